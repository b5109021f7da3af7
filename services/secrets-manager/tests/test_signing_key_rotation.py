"""Signing keys of a running secrets manager: announced before they sign, and void at once in an emergency."""

import asyncio

import jwt
from fountain_common.testing import wait_until
from secrets_manager.identities import Actor
from secrets_manager.models_trust import SigningKeyRow
from secrets_manager.signing_keys import LEAD_SECONDS, TOKEN_SECONDS
from sqlalchemy import select


def test_a_new_signing_key_is_published_before_it_signs(running):
    admin = running.as_("admin")
    before = running.client.get("/.well-known/jwks.json").json()["keys"]
    rotated = running.client.post("/signing-keys/rotate", headers=admin).json()
    after = [key["kid"] for key in running.client.get("/.well-known/jwks.json").json()["keys"]]
    assert after == [before[0]["kid"], rotated["kid"]]
    token = running.token(running.key_of("admin"))
    assert jwt.get_unverified_header(token)["kid"] == before[0]["kid"] == rotated["previous_kid"]
    assert running.client.get("/secrets", headers=admin).status_code == 200
    wait_until(lambda: "signing-key.rotated" in running.neighbours.types(), "the event")


def test_an_emergency_voids_every_token_at_once(running):
    admin = running.as_("admin")
    rotated = running.client.post("/signing-keys/rotate", json={"emergency": True}, headers=admin).json()
    keys = running.client.get("/.well-known/jwks.json").json()["keys"]
    assert [key["kid"] for key in keys] == [rotated["kid"]]
    assert running.client.get("/secrets", headers=admin).status_code == 401
    assert running.client.get("/secrets", headers=running.as_("admin")).status_code == 200


class BlockedWriter:
    """A database whose first write waits until it is let go."""

    def __init__(self, db):
        self._db, self._first = db, True
        self.reached, self.let_go = asyncio.Event(), asyncio.Event()

    async def write(self, fn):
        if self._first:
            self._first = False
            self.reached.set()
            await self.let_go.wait()
        return await self._db.write(fn)


def test_an_emergency_is_not_undone_by_the_forgetting_of_old_keys_beside_it(running):
    running.client.post("/signing-keys/rotate", headers=running.as_("admin"))
    core = running.app.state.core
    keys = core.signing_keys

    async def story():
        # The first key's tokens have all expired, so that it is forgotten, and one is left for the emergency.
        later = core.steady() + LEAD_SECONDS + 2 * TOKEN_SECONDS
        keys._clock = lambda: later
        keys._db = blocked = BlockedWriter(core.db)
        ticking = asyncio.create_task(keys.tick())
        await blocked.reached.wait()
        emergency = asyncio.create_task(keys.rotate(Actor(), emergency=True))
        await asyncio.wait([emergency], timeout=0.3)
        blocked.let_go.set()
        assert await ticking
        fresh, until_then = await emergency
        stored = await core.db.read(lambda session: list(session.scalars(select(SigningKeyRow.kid))))
        return fresh.kid, until_then, stored

    fresh, until_then, stored = running.client.portal.call(story)
    assert until_then is None
    assert [key["kid"] for key in keys.jwks()["keys"]] == stored == [fresh]
    assert keys.current().kid == fresh


def test_a_key_is_rotated_by_age_in_the_turn_that_forgets_an_older_one(running):
    running.client.post("/signing-keys/rotate", headers=running.as_("admin"))
    core = running.app.state.core
    keys, before = core.signing_keys, core.signing_keys.jwks()["keys"]
    later = core.steady() + keys._max_age + LEAD_SECONDS + 2 * TOKEN_SECONDS
    keys._clock = lambda: later

    async def tick():
        async with asyncio.timeout(10):
            return await keys.tick()

    assert running.client.portal.call(tick)
    after = [key["kid"] for key in keys.jwks()["keys"]]
    assert after[0] == before[1]["kid"]
    assert len(after) == len(before) == 2
    assert keys.current().kid == after[0], "the fresh one is announced"

"""Tokens that are asked for while their key is being revoked; keys that are shown to services."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import jwt
import pytest
from fountain_common.requests import RequestContext
from fountain_common.tracing import TraceParent
from secrets_manager.identities import Actor, Identities
from secrets_manager.issuance import Issuance
from secrets_manager.repository_identities import not_before, prune_revocations
from secrets_manager.signing_keys import TOKEN_SECONDS
from secrets_manager.throttle import FailureThrottle
from secrets_manager.token_requests import OAuthError, TokenRequest

INSIDE = RequestContext("r", TraceParent("0" * 31 + "1", "0" * 15 + "1"))
Begin = Callable[[Awaitable], Awaitable[asyncio.Future]]
SECOND = float(int(time.time()))


class Desk:
    """What issues and revokes in a running secrets manager, by a clock that a test sets."""

    def __init__(self, running, name, *roles):
        core = running.app.state.core
        self.db, self.now, self.name = core.db, SECOND, name
        self.key = running.person(name, *roles)
        self.key_id = self.key.split("_")[1]
        self.identities = Identities(core.db, core.rows, core.audit, clock=self.clock)
        self.issuance = Issuance(
            "https://issuer",
            core.authenticator,
            core.signing_keys,
            core.audit,
            core.db,
            FailureThrottle(),
            clock=self.clock,
        )

    def clock(self):
        return self.now

    async def ask(self):
        issued = await self.issuance.issue(TokenRequest("client_credentials", None, self.key, ()), INSIDE)
        return jwt.decode(issued.token, options={"verify_signature": False})

    async def revoke_key(self):
        await self.identities.revoke_key(self.name, self.key_id, Actor("tester"))

    async def change_roles(self, *roles):
        await self.identities.update(self.name, Actor("tester"), roles=roles)

    async def let_time_pass(self, seconds):
        def write(_session):
            self.now += seconds

        await self.db.write(write)

    async def not_before(self):
        return await self.db.read(lambda session: not_before(session, self.name, self.key_id))

    @asynccontextmanager
    async def in_this_order(self) -> AsyncIterator[Begin]:
        """Have work written in the order in which it is begun, after all of it has looked."""
        go_on, begun = threading.Event(), threading.Event()
        tasks = []

        def block(_session):
            begun.set()
            go_on.wait(10)

        async def begin(work):
            tasks.append(asyncio.ensure_future(work))
            for _ in range(20):
                await asyncio.sleep(0)
            return tasks[-1]

        blocking = asyncio.ensure_future(self.db.write(block))
        await asyncio.to_thread(begun.wait, 10)
        try:
            yield begin
        finally:
            go_on.set()
            await asyncio.wait([blocking, *tasks])


def test_a_token_never_outlives_a_revocation_that_was_made_while_it_was_issued(running):
    desk = Desk(running, "ada", "operator")

    async def story():
        desk.now = SECOND + 0.99
        async with desk.in_this_order() as begin:
            await begin(desk.revoke_key())
            await begin(desk.let_time_pass(0.03))
            asked = await begin(desk.ask())
        with pytest.raises(OAuthError):
            asked.result()

    running.client.portal.call(story)


def test_a_token_that_was_issued_just_before_a_revocation_falls_under_it(running):
    desk = Desk(running, "ada", "operator")

    async def story():
        desk.now = SECOND + 0.99
        async with desk.in_this_order() as begin:
            asked = await begin(desk.ask())
            await begin(desk.revoke_key())
            await begin(desk.let_time_pass(0.03))
        assert asked.result()["iat"] < await desk.not_before()

    running.client.portal.call(story)


def test_a_token_asked_for_while_roles_change_has_the_new_ones_and_passes(running):
    desk = Desk(running, "ada", "operator")

    async def story():
        async with desk.in_this_order() as begin:
            await begin(desk.change_roles("viewer"))
            asked = await begin(desk.ask())
        claims = asked.result()
        assert claims["roles"] == ["viewer"]
        assert claims["iat"] >= await desk.not_before() > 0

    running.client.portal.call(story)


def test_a_second_revocation_in_the_same_second_ends_the_tokens_between_the_two(running):
    desk = Desk(running, "ada", "operator")

    async def story():
        await desk.change_roles("viewer")
        claims = await desk.ask()
        await desk.revoke_key()
        assert claims["iat"] < await desk.not_before()

    running.client.portal.call(story)


def exchange(running, key, **form):
    return running.ask_token(
        running.key_of("example-consumer"),
        grant_type="urn:ietf:params:oauth:grant-type:token-exchange",
        subject_token=key,
        subject_token_type="urn:fountain:params:token-type:api-key",
        resource="example-consumer",
        **form,
    )


def denied_exchanges(running):
    query = {"action": "tokens:exchange", "outcome": "denied", "limit": 500}
    return running.client.get("/audit", params=query, headers=running.as_("admin")).json()["items"]


def test_a_services_key_is_exchanged_through_the_edge_only_if_it_is_remote(running):
    admin = running.as_("admin")
    body = {"audiences": ["example-consumer"]}
    key = running.client.post("/identities/notification/keys", json=body, headers=admin).json()["api_key"]
    assert exchange(running, key, through_edge="false").status_code == 200
    refused = exchange(running, key, through_edge="true")
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    record = denied_exchanges(running)[0]
    assert (record["caller"], record["detail"]["reason"]) == ("notification", "edge")
    running.client.patch("/identities/notification", json={"remote": True}, headers=admin)
    assert exchange(running, key, through_edge="true").status_code == 200


def test_a_persons_key_is_exchanged_through_the_edge(running):
    key = running.person("ada", "operator", audiences=["example-consumer"])
    assert exchange(running, key, through_edge="true").status_code == 200


def test_whether_it_came_through_the_edge_is_said_in_words_that_exist(running):
    key = running.person("ada", "operator", audiences=["example-consumer"])
    refused = exchange(running, key, through_edge="yes")
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")


def test_a_flood_of_wrong_keys_at_a_service_is_no_flood_of_records_and_no_right_key_suffers(running):
    right = running.person("ada", "operator", audiences=["example-consumer"])
    wrong = right[:-6]
    answers = [exchange(running, f"{wrong}{number:06d}") for number in range(60)]
    assert {answer.status_code for answer in answers} == {400}
    assert exchange(running, right).status_code == 200
    records = denied_exchanges(running)
    assert 0 < len(records) < 15
    exposed = exchange(running, running.key_of("admin"))
    assert exposed.status_code == 400
    assert denied_exchanges(running)[0]["detail"]["exposed"] is True


def test_the_record_of_an_exchange_says_where_the_key_was_shown(running):
    ada = running.person("ada", "operator", audiences=["example-consumer"])
    assert exchange(running, ada, shown_from="203.0.113.7").status_code == 200
    assert exchange(running, running.key_of("admin"), shown_from="::ffff:203.0.113.8").status_code == 400
    query = {"action": "tokens:exchange"}
    records = running.client.get("/audit", params=query, headers=running.as_("admin")).json()["items"]
    told = {record["caller"]: record["detail"]["shown_from"] for record in records}
    assert told == {"ada": "203.0.113.7", "admin": "203.0.113.8"}


def test_who_has_not_proved_who_he_is_says_nothing_about_where_a_key_was_shown(running):
    wrong = running.key_of("example-consumer")[:-6] + "AAAAAA"
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": running.key_of("admin"),
        "subject_token_type": "urn:fountain:params:token-type:api-key",
    }
    assert running.ask_token(wrong, **form, shown_from="203.0.113.7").status_code == 401
    nobody = running.person("nobody-special", "viewer")
    assert running.ask_token(nobody, **form, shown_from="203.0.113.7").status_code == 400
    audit = running.client.get("/audit", params={"limit": 500}, headers=running.as_("admin")).text
    assert "203.0.113.7" not in audit


def test_wrong_keys_from_one_address_hide_nothing_that_comes_from_another(running):
    wrong = running.person("ada", "operator")[:-6]
    for number in range(30):
        exchange(running, f"{wrong}{number:06d}", shown_from=f"2001:db8::{number:x}")
    exchange(running, f"{wrong}zzzzzz", shown_from="203.0.113.9")
    records = denied_exchanges(running)
    assert records[0]["detail"]["shown_from"] == "203.0.113.9"
    assert len(records) <= 12  # addresses of one network count as one


def test_an_identity_that_is_remote_no_more_loses_the_tokens_it_got_outside(running):
    admin = running.as_("admin")
    running.client.patch("/identities/notification", json={"remote": True}, headers=admin)
    key = running.key_of("notification")
    outside = running.ask_token(key, headers={"X-Fountain-Edge": "1"}).json()["access_token"]
    headers = {"Authorization": f"Bearer {outside}"}
    assert running.client.get("/secrets/notification", headers=headers).status_code == 200
    running.client.patch("/identities/notification", json={"description": "mail"}, headers=admin)
    assert running.client.get("/secrets/notification", headers=headers).status_code == 200
    running.client.patch("/identities/notification", json={"remote": False}, headers=admin)
    assert running.client.get("/secrets/notification", headers=headers).status_code == 401
    assert running.client.get("/secrets/notification", headers=running.as_("notification")).status_code == 200


def test_a_revocation_is_kept_when_the_wall_clock_is_set_ahead_and_back(running):
    """Tokens that seem to have expired are alive again afterwards."""
    desk = Desk(running, "ada", "operator")
    steady = desk.now

    async def story():
        desk.identities = Identities(
            desk.db, running.app.state.core.rows, running.app.state.core.audit,
            clock=desk.clock, steady=lambda: steady,
        )  # fmt: skip
        desk.now += 7200
        await desk.revoke_key()
        desk.now -= 7200
        await desk.db.write(lambda session: prune_revocations(session, steady + TOKEN_SECONDS))
        assert await desk.not_before() > desk.now
        await desk.db.write(lambda session: prune_revocations(session, steady + TOKEN_SECONDS + 61))
        assert await desk.not_before() == 0

    running.client.portal.call(story)


def test_what_is_pruned_is_judged_by_a_clock_that_nobody_sets(running):
    core = running.app.state.core
    key = running.person("ada", "operator")
    token = {"Authorization": f"Bearer {running.token(key)}"}
    running.client.delete("/identities/ada", headers=running.as_("admin"))
    real = core.clock
    core.clock = lambda: real() + 86400
    running.client.portal.call(core._keep_house)
    core.clock = real
    assert running.client.get("/secrets", headers=token).status_code == 401
    assert len(running.client.get("/.well-known/revocations").json()["revocations"]) == 1

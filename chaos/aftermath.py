"""What is asked once everything is whole again; by a deadline, nothing may violate a rule any more."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

from chaos import invariants
from chaos.history import NewVersion, RotationSeen, expected_events
from chaos.invariants import Violation
from chaos.judging import Judge, Tally, tallies
from chaos.load import fingerprint, open_everywhere
from chaos.scene import CONSUMER, GATEWAY, MANAGER, Scene
from chaos.schedule import Part

Violations = list[Violation]
SETTLED_SECONDS = 90.0
"""By then every rotation has ended: longer than a dead holder lives, the overlap, and a deadline. And the
audit is anchored in the event log, which it is every ten seconds here (`FOUNTAIN_ANCHOR_SECONDS`).
"""
_PAUSE_SECONDS = 0.3
_LINKS = 60
_VERSIONS = 500
"""So many versions are read again at most: more than ten minutes give."""
_VERSIONS_AT_ONCE = 8


class Aftermath:
    """Looks at a calm platform.

    Args:
        scene: the platform, everything in it running.
        since: when the run began, in unix seconds; earlier rotations are nobody's business here.
    """

    def __init__(self, scene: Scene, since: float) -> None:
        self._scene, self._history, self._since = scene, scene.history, since
        self._kept: set[NewVersion] = set()
        self.tallies: dict[str, Tally] = {}

    async def judge(self, say: Callable[[str], None]) -> Violations:
        """Return everything that is violated."""
        history, found = self._history, Violations()
        for title, check in (
            ("rotations end", self._rotations),
            ("events arrive", self._events),
            ("consumers are on the newest version", self._consumers),
            ("versions are kept", self._versions),
            ("signing keys turn", self._signing_keys),
            ("links open", self._links),
            ("the audit verifies", self._audit),
        ):
            began = time.monotonic()
            # What a link was answered once stays so.
            violations = await (check() if check == self._links else self._settled(check))
            say(f"{'ok  ' if not violations else 'FAIL'} {title} ({time.monotonic() - began:.1f} s)")
            found += violations
        found += invariants.in_order(history.streamed, "stream's reader", by_subject=False)
        found += invariants.in_order(history.delivered, "subscription's receiver", by_subject=True)
        found += invariants.stored_once(history.streamed)
        found += invariants.nothing_missed(history.gaps)
        found += invariants.genuine(history.forged)
        found += invariants.recovered(history.troubles)
        found += invariants.joined(history.troubles, (Part(MANAGER), Part(GATEWAY)))
        self.tallies = tallies(history.requests, Judge(history.troubles, self._scene.instances))
        return found + invariants.requests_answered(self.tallies)

    async def _settled(self, check: Callable[[], Awaitable[Violations]]) -> Violations:
        """Check until nothing is violated, or the deadline is over."""
        deadline = time.monotonic() + SETTLED_SECONDS
        while (found := await check()) and time.monotonic() < deadline:
            await asyncio.sleep(_PAUSE_SECONDS)
        return found

    async def _document(self, path: str, **params: object) -> Any:
        """Ask the Secrets Manager; None if it does not answer."""
        answer = await self._scene.ask("look at the Secrets Manager", "GET", MANAGER, path, params=params)
        return None if answer is None else answer.json()

    async def _all(self, path: str) -> list[dict[str, Any]] | None:
        """Return all items of a list, page by page; None if one does not come."""
        items: list[dict[str, Any]] = []
        params: dict[str, object] = {"limit": 500}
        while True:
            page = await self._document(path, **params)
            if page is None:
                return None
            items += page["items"]
            if not page["next"]:
                return items
            params["cursor"] = page["next"]

    async def _list_rotations(self) -> Violations:
        listed = await self._all("/rotations")
        if listed is None:
            return [Violation("every rotation ends, or says why not", "they cannot be listed", (MANAGER,))]
        self._history.rotations = [seen(one) for one in listed if moment(one["created_at"]) >= self._since]
        return []

    async def _rotations(self) -> Violations:
        if unlisted := await self._list_rotations():
            return unlisted
        return [
            *invariants.rotations_ended(self._history.rotations),
            *invariants.rotations_listed(self._history.versions, self._history.rotations),
        ]

    async def _events(self) -> Violations:
        history = self._history
        expected = [*history.acknowledged, *expected_events(history.rotations)]
        return [
            *invariants.received(expected, history.streamed, "stream's reader"),
            *invariants.received(expected, history.delivered, "subscription's receiver"),
        ]

    async def _consumers(self) -> Violations:
        secret = await self._document(f"/secrets/{CONSUMER}")
        holds: dict[str, int | None] = {}
        for part in self._scene.instances[CONSUMER]:
            answer = await self._scene.ask_part("status of a consumer", part, "/status")
            holds[str(part)] = None if answer is None else int(answer.json()["version"])
        active = -1 if secret is None else int(secret["version"])
        return [
            *await self._list_rotations(),
            *invariants.on_the_newest(holds, active),
            *invariants.nobody_late(self._history.rotations),
        ]

    async def _versions(self) -> Violations:
        given = self._history.versions
        listed: dict[str, list[int]] = {}
        active: dict[str, NewVersion | None] = {}
        for service in sorted({one.service for one in given}):
            versions = await self._all(f"/secrets/{service}/versions")
            listed[service] = [one["version"] for one in versions or ()]
            secret = await self._document(f"/secrets/{service}")
            opens = secret and secret["secrets"]
            active[service] = (
                NewVersion(service, secret["version"], fingerprint(secret["secrets"])) if opens else None
            )
        # What is in doubt is read again until the deadline, and the others once.
        asked = [one for one in spread_over(given, _VERSIONS) if one not in self._kept]
        turns = asyncio.Semaphore(_VERSIONS_AT_ONCE)

        async def read(one: NewVersion) -> str | None:
            async with turns:
                secret = await self._document(f"/secrets/{one.service}", version=one.version)
            return fingerprint(secret["secrets"]) if secret and secret["secrets"] else None

        now = await asyncio.gather(*map(read, asked))
        self._kept |= {one for one, values in zip(asked, now, strict=True) if values == one.fingerprint}
        opened = {(one.service, one.version): values for one, values in zip(asked, now, strict=True)}
        return invariants.versions_kept(given, listed, opened, active)

    async def _links(self) -> Violations:
        """Open the newest links once more, everywhere, and judge all openings of the run."""
        for link in self._history.links[-_LINKS:]:
            await open_everywhere(self._scene, link)
        return invariants.links_open(self._history.openings, self._history.retired(CONSUMER))

    async def _signing_keys(self) -> Violations:
        known = await self._document("/.well-known/jwks.json")
        names = {key["kid"] for key in known["keys"]} if known else set()
        given, tokens = self._history.signing_keys, self._history.tokens
        return invariants.signing_keys_turn(given, tokens, names, time.time())

    async def _audit(self) -> Violations:
        report = await self._document("/audit/verify")
        return invariants.audit_whole(report or {"findings": "it cannot be asked"})


def spread_over(given: Sequence[NewVersion], most: int) -> list[NewVersion]:
    """Return so many of them at most, from the first to the last at even distances."""
    if len(given) <= most:
        return list(given)
    return [given[number * (len(given) - 1) // (most - 1)] for number in range(most)]


def moment(written: str) -> float:
    """Return unix seconds."""
    return datetime.fromisoformat(written).timestamp()


def seen(rotation: dict[str, Any]) -> RotationSeen:
    """Read a rotation as the Secrets Manager shows it."""
    return RotationSeen(
        rotation["rotation_id"],
        rotation["service_name"],
        rotation["version"],
        rotation["previous_version"],
        rotation["state"],
        rotation["reason"],
        tuple(f"{one['identity']} {one['instance_id']}" for one in rotation["holders"] if one["late"]),
        rotation["activated_at"] is not None,
        moment(rotation["retired_at"]) if rotation["retired_at"] else None,
    )

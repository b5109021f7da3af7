"""What an operator does but wait: he aborts, forces, begins anew over what is staged, rotates at once. And
what happens while he waits: instances leave or are heard of no more, and a schedule's moment comes. And what
waits by the clock: an overlap, and holders beyond their deadline. And who comes back while a version drains.

Told again from the beginning after a kill, each goes on where it was.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
from secrets_manager.repository_rotations import all_holders
from secrets_world import SERVICE, World

#: Each operation, and how to know in a transaction that it is done there.
OPERATIONS = {
    "abort": "SELECT 1 FROM rotations WHERE version = 2 AND state = 'aborted'",
    "supersede": "SELECT 1 FROM rotations WHERE version = 3 AND state = 'superseded'",
    "force": "SELECT 1 FROM rotations WHERE version = 4 AND activated_at IS NOT NULL",
    "force to the end": "SELECT 1 FROM rotations WHERE version = 4 AND state = 'retired'",
    "immediate": "SELECT 1 FROM rotations WHERE version = 5",
}
VERSIONS = [(5, "active"), (4, "retired"), (3, "superseded"), (2, "aborted"), (1, "retired")]
EVENTS = {
    ("secret.staged", 2),
    ("secret.aborted", 2),
    ("secret.staged", 3),
    ("secret.staged", 4),
    ("secret.rotated", 4),
    ("secret.retired", 1),
    ("secret.rotated", 5),
    ("secret.retired", 4),
}
#: The same of what happens by itself.
INCIDENTS = {
    "leave": "SELECT count(*) = 1 FROM secret_holders",
    "expiry": "SELECT count(*) = 0 FROM secret_holders",
    "schedule": "SELECT 1 FROM rotations WHERE reason = 'scheduled'",
}
VERSIONS_BY_THEN = [(3, "active"), (2, "retired"), (1, "retired")]
EVENTS_BY_THEN = [
    (event, version)
    for new in (2, 3)
    for event, version in (("secret.staged", new), ("secret.rotated", new), ("secret.retired", new - 1))
]
#: By so much the clock of whoever goes on is ahead: behind the schedule's moment, before the next one.
LATER = 3700.0
#: Nothing is overdue by then.
PATIENCE = 86400.0


class Turn(NamedTuple):
    """How to know in a transaction that it is done there, and what the next start makes of a kill before or
    after: the rotation to this version as it is shown, and the version before. Nobody says anything by then.
    """

    done: str
    version: int
    before: tuple[str, str]
    after: tuple[str, str]


_OF = "SELECT 1 FROM rotations WHERE version ="
#: The same of what takes an overlap, or longer than the deadline. What the clock alone does is done by the
#: next start itself; what somebody said is lost before its commit.
TURNS = {
    "drain": Turn(f"{_OF} 2 AND state = 'draining'", 2, ("active", "draining"), ("draining", "draining")),
    "overlap": Turn(f"{_OF} 2 AND state = 'retired'", 2, ("retired", "retired"), ("retired", "retired")),
    "overdue": Turn(f"{_OF} 3 AND overdue", 3, ("overdue", "active"), ("overdue", "active")),
    "accepts late": Turn(f"{_OF} 3 AND state = 'active'", 3, ("overdue", "active"), ("active", "draining")),
    "overdue in use": Turn(
        f"{_OF} 3 AND state = 'active' AND overdue", 3, ("overdue", "draining"), ("overdue", "draining")
    ),
    "uses late": Turn(
        f"{_OF} 3 AND state = 'draining'", 3, ("overdue", "draining"), ("draining", "draining")
    ),
    "force overdue": Turn(f"{_OF} 4 AND state = 'active'", 4, ("overdue", "active"), ("active", "draining")),
    "force overdue to the end": Turn(
        f"{_OF} 4 AND state = 'retired'", 4, ("overdue", "draining"), ("retired", "retired")
    ),
}
VERSIONS_IN_THE_END = [(4, "active"), (3, "retired"), (2, "retired"), (1, "retired")]
EVENTS_IN_THE_END = [
    ("secret.staged", 2),
    ("secret.rotated", 2),
    ("secret.retired", 1),
    *(
        (event, version)
        for new in (3, 4)
        for event, version in (
            ("secret.staged", new),
            ("secret.rotation-overdue", new),
            ("secret.rotated", new),
            ("secret.rotation-overdue", new),
            ("secret.retired", new - 1),
        )
    ),
]
#: The same of what happens while a version drains.
RETURNS = {
    "come back": Turn(
        "SELECT 1 FROM secret_holders WHERE uses = 0", 2, ("draining", "draining"), ("active", "draining")
    ),
    "let go at last": Turn(
        "SELECT count(*) = 2 FROM secret_holders WHERE uses = 2",
        2,
        ("active", "draining"),
        ("draining", "draining"),
    ),
    "force draining": Turn(
        f"{_OF} 2 AND state = 'retired'", 2, ("draining", "draining"), ("retired", "retired")
    ),
}
VERSIONS_OF_RETURNS = [(2, "active"), (1, "retired")]
EVENTS_OF_RETURNS = [("secret.staged", 2), ("secret.rotated", 2), ("secret.retired", 1)]
OVERLAP = 600.0
DEADLINE = 300.0


class Operator:
    """Asks for rotations, and leaves their answers alone, which may come late or never."""

    def __init__(self, sm: World) -> None:
        self.sm = sm
        self.asked: list[asyncio.Task[httpx2.Response]] = []

    async def rotation(self, version: int, **body: object) -> dict[str, Any]:
        """Begin the rotation to this version, unless it was begun, and return it as it is."""
        headers = {"Idempotency-Key": f"version-{version}"}
        asking = asyncio.create_task(
            self.sm.admin.post(f"/secrets/{SERVICE}/rotate", json=body, headers=headers)
        )
        self.asked.append(asking)
        async with asyncio.timeout(30):
            while True:
                # Past the API, where a look is a commit too, which would be taken for one of the rotation.
                for found in await self.sm.parts.rotations.page(None, 100, SERVICE, None):
                    if found.rotation.version == version:
                        return await self.sm.rotation(found.rotation.rotation_id)
                assert not asking.done() or asking.result().is_success, asking.result().text
                await asyncio.sleep(0.002)

    async def step(self, one: dict[str, Any], how: str, leads_to: str) -> dict[str, Any]:
        answer = await self.sm.operator.post(f"/rotations/{one['rotation_id']}/{how}")
        assert (answer.status_code, answer.json()["state"]) == (200, leads_to), answer.text
        return await self.sm.rotation(one["rotation_id"])

    async def leave(self) -> None:
        for task in self.asked:
            task.cancel()
        await asyncio.gather(*self.asked, return_exceptions=True)


async def meddle(sm: World, reached: Callable[[str], None] = lambda operation: None) -> None:
    """Do all of it, with a holder that acknowledges nothing; `reached` is called just before each."""
    await sm.holder(1).read()
    operator = Operator(sm)
    second = await operator.rotation(2)
    if second["state"] == "staged":
        reached("abort")
        await operator.step(second, "abort", "aborted")
    if (await operator.rotation(3))["state"] == "staged":
        reached("supersede")
    fourth = await operator.rotation(4)
    if fourth["state"] == "staged":
        reached("force")
        fourth = await operator.step(fourth, "force", "active")
    if fourth["state"] == "active":
        reached("force to the end")
        await operator.step(fourth, "force", "retired")
    if len(await sm.rotations(SERVICE)) == 3:
        reached("immediate")
    await operator.rotation(5, immediate=True)
    await operator.leave()


async def wait_by(sm: World, reached: Callable[[str], None] = lambda incident: None) -> None:
    """Let two holders keep a rotation staged until one leaves and one expires, and wait for a schedule."""
    if not await sm.rotations(SERVICE):
        for number in (1, 2):
            await sm.holder(number).read()
    operator = Operator(sm)
    second = await operator.rotation(2)
    if len(second["holders"]) == 2:
        reached("leave")
        assert (await sm.holder(1).leave()).status_code == 204
    if second["state"] == "staged":
        reached("expiry")
        await sm.pass_time(95)
    policy = (await sm.admin.get(f"/secrets/{SERVICE}/rotation-policy")).json()
    if policy["interval_seconds"] is None:
        await sm.policy(overlap_seconds=0, deadline_seconds=PATIENCE, interval_seconds=3600)
    if len(await sm.rotations(SERVICE)) == 1:
        reached("schedule")
        await sm.pass_time(3601)
    await operator.leave()


async def becomes(sm: World, version: int, state: str) -> dict[str, Any]:
    """Wait until the rotation to this version is in this state, and return it."""
    async with asyncio.timeout(30):
        while True:
            for one in await sm.rotations(SERVICE):
                if one["version"] == version and one["state"] == state:
                    return one
            await asyncio.sleep(0.01)


class Slow:
    """A holder that says what a rotation waits for, or leaves that to an operator, beyond the deadline."""

    def __init__(self, sm: World, reached: Callable[[str], None]) -> None:
        self.sm, self.reached = sm, reached
        self.holder, self.operator = sm.holder(1), Operator(sm)

    async def says(self, one: dict[str, Any], phase: str, leads_to: str) -> dict[str, Any]:
        assert (await self.holder.ack(one["version"], phase)).status_code == 200
        return await becomes(self.sm, one["version"], leads_to)

    async def overlap(self, one: dict[str, Any]) -> None:
        """Let the rotation drain for as long as it must, and no shorter."""
        if one["state"] == "draining":
            await self.sm.pass_time(OVERLAP / 2)
            assert (await self.sm.rotation(one["rotation_id"]))["state"] == "draining"
            self.reached("overlap")
            await self.sm.pass_time(OVERLAP / 2 + 1)
        await becomes(self.sm, one["version"], "retired")

    async def late(
        self,
        one: dict[str, Any],
        moment: str,
        names: tuple[str, str],
        end: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]],
    ) -> dict[str, Any]:
        """Unless the rotation has had its moment: have it overdue, and end that."""
        if one[moment] is not None:
            return one
        if not one["overdue"]:
            self.reached(names[0])
            await self.sm.pass_time(DEADLINE + 1)
            one = await becomes(self.sm, one["version"], "overdue")
        self.reached(names[1])
        return await end(one)


async def outstay(sm: World, reached: Callable[[str], None] = lambda turn: None) -> None:
    """Rotate in time, then with a holder that is late twice, then with one that is never heard of again."""
    slow = Slow(sm, reached)
    if not await sm.rotations(SERVICE):
        await sm.policy(overlap_seconds=OVERLAP, deadline_seconds=DEADLINE)
        await slow.holder.read()
    second = await slow.operator.rotation(2)
    if second["state"] == "staged":
        second = await slow.says(second, "accepts", "active")
    if second["state"] == "active":
        reached("drain")
        second = await slow.says(second, "uses", "draining")
    await slow.overlap(second)
    third = await slow.operator.rotation(3)
    accepts, uses = ("overdue", "accepts late"), ("overdue in use", "uses late")
    third = await slow.late(third, "activated_at", accepts, lambda one: slow.says(one, "accepts", "active"))
    third = await slow.late(third, "draining_since", uses, lambda one: slow.says(one, "uses", "draining"))
    await slow.overlap(third)
    fourth, force = await slow.operator.rotation(4), slow.operator.step
    names = "overdue once more", "force overdue"
    fourth = await slow.late(fourth, "activated_at", names, lambda one: force(one, "force", "active"))
    names = "overdue once more", "force overdue to the end"
    await slow.late(fourth, "retired_at", names, lambda one: force(one, "force", "retired"))
    await slow.operator.leave()


async def come_back(sm: World, reached: Callable[[str], None] = lambda turn: None) -> None:
    """Rotate; have an instance that was forgotten come back, which may still use what drains; then force."""
    slow, returning = Slow(sm, reached), sm.holder(2)
    if not await sm.rotations(SERVICE):
        await sm.policy(overlap_seconds=OVERLAP, deadline_seconds=DEADLINE)
        await slow.holder.read()
    second = await slow.operator.rotation(2)
    if second["state"] == "staged":
        second = await slow.says(second, "accepts", "active")
    if second["state"] == "active" and len(await sm.db.read(all_holders)) == 1:
        second = await slow.says(second, "uses", "draining")
    if len(await sm.db.read(all_holders)) == 1:
        await sm.pass_time(max(0.0, DEADLINE + 1 - sm.clock.offset))
        reached("come back")
        returning.etag = '"what it held before"'
        assert (await returning.read(conditional=True)).status_code == 200
        second = await becomes(sm, 2, "active")
    if second["state"] == "active":
        # The deadline of the others is over, and its own is not.
        await sm.pass_time(DEADLINE / 3)
        reached("let go at last")
        assert (await returning.ack(2, "uses")).status_code == 200
        second = await becomes(sm, 2, "draining")
    if second["state"] == "draining":
        # The overlap that had begun would be over by then.
        await sm.pass_time(OVERLAP / 2 - 1)
        assert (await sm.rotation(second["rotation_id"]))["state"] == "draining"
        reached("force draining")
        await slow.operator.step(second, "force", "retired")
    await slow.operator.leave()


class Story(NamedTuple):
    """How it is told; how to know of each moment in a transaction that it is done there; how many events it
    tells in the end; and how long a holder is waited for that is not heard of.
    """

    tell: Callable[[World, Callable[[str], None]], Awaitable[None]]
    done: dict[str, str]
    events: int
    ttl: float = 90.0


STORIES = (
    Story(meddle, OPERATIONS, len(EVENTS)),
    Story(wait_by, INCIDENTS, len(EVENTS_BY_THEN)),
    # Who is waited for beyond a deadline is not to be gone by then.
    Story(outstay, {name: turn.done for name, turn in TURNS.items()}, len(EVENTS_IN_THE_END), PATIENCE),
    Story(come_back, {name: turn.done for name, turn in RETURNS.items()}, len(EVENTS_OF_RETURNS), PATIENCE),
)


async def told(
    events: Callable[[Path], list[tuple[str, int]]], file: Path, many: int = len(EVENTS)
) -> list[tuple[str, int]]:
    """Wait until all events were told, and return them."""
    async with asyncio.timeout(30):
        while len(events(file)) < many:
            await asyncio.sleep(0.01)
    return events(file)

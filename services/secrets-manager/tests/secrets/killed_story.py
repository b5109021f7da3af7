"""What an operator does but wait: he aborts, forces, begins anew over what is staged, rotates at once. And
what happens while he waits: instances leave or are heard of no more, and a schedule's moment comes.

Told again from the beginning after a kill, each goes on where it was.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
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


async def told(
    events: Callable[[Path], list[tuple[str, int]]], file: Path, many: int = len(EVENTS)
) -> list[tuple[str, int]]:
    """Wait until all events were told, and return them."""
    async with asyncio.timeout(30):
        while len(events(file)) < many:
            await asyncio.sleep(0.01)
    return events(file)

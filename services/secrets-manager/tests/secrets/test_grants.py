"""What grantees may do to the secret of another service: read it, and nothing else."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from secrets_manager.holders import MAX_OF_GRANTEE, HolderKey
from secrets_world import SERVICE, World

pytestmark = pytest.mark.anyio


class SlowReads:
    """Changes whose reads answer long after they were made, as a database behind a network may."""

    def __init__(self, changes: Any) -> None:
        self._changes = changes
        self.made, self.go_on = asyncio.Event(), asyncio.Event()

    async def read(self, fn: Any) -> Any:
        found = await self._changes.read(fn)
        self.made.set()
        await self.go_on.wait()
        return found


@pytest.mark.parametrize("method", ["PUT", "DELETE"], ids=["given", "withdrawn"])
async def test_a_health_check_does_not_undo_what_happened_to_a_grant_meanwhile(
    sm: World, method: str
) -> None:
    grant = f"/secrets/{SERVICE}/grants/action"
    if method == "DELETE":
        await sm.admin.put(grant)
    slow = SlowReads(sm.parts.changes)
    looking = asyncio.create_task(replace(sm.parts.grants, changes=slow).check())
    await slow.made.wait()
    assert (await sm.admin.request(method, grant)).is_success
    slow.go_on.set()
    assert await looking
    read = await sm.as_("action:service").get(f"/secrets/{SERVICE}")
    assert read.status_code == (200 if method == "PUT" else 403)


async def test_a_grantee_with_many_instances_takes_the_place_of_nobody_else(sm: World) -> None:
    for identity in ("action", "two-factor"):
        await sm.admin.put(f"/secrets/{SERVICE}/grants/{identity}")
    sm.parts.presence.add(HolderKey(SERVICE, "action", f"{n:032x}") for n in range(MAX_OF_GRANTEE))
    refused = await sm.holder(MAX_OF_GRANTEE + 1, identity="action").read()
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "90")
    assert (await sm.holder(1, identity="action").read()).status_code == 200
    assert (await sm.holder(1, identity="two-factor").read()).status_code == 200
    assert (await sm.holder(1).read()).status_code == 200

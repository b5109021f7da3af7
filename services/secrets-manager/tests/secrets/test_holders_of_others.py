"""Whose instance it is decides who may speak for it."""

import pytest
from secrets_world import SERVICE, World

pytestmark = pytest.mark.anyio


@pytest.fixture
async def staged(sm: World) -> str:
    """A rotation that waits for an instance of the service."""
    await sm.holder(1).read()
    return str((await sm.begin_rotation())["rotation_id"])


async def state(sm: World, rotation_id: str) -> str:
    return str((await sm.rotation(rotation_id))["state"])


async def test_one_identity_cannot_speak_for_anothers_instance(sm: World, staged: str) -> None:
    await sm.admin.put(f"/secrets/{SERVICE}/grants/action")
    grantee = sm.holder(1, identity="action")
    assert (await grantee.ack(2, "accepts")).status_code == 409
    assert (await grantee.leave()).status_code == 204
    assert await state(sm, staged) == "staged"


async def test_an_admin_may_say_that_an_instance_never_comes_back_and_nobody_else_may(
    sm: World, staged: str
) -> None:
    path = f"/secrets/{SERVICE}/holders/{1:032x}"
    for other in (sm.operator, sm.as_("another:service")):
        await other.delete(path)
        assert await state(sm, staged) == "staged"
    assert (await sm.admin.delete(path)).status_code == 204
    assert await state(sm, staged) == "draining"

"""What grantees may do to the secret of another service: read it, and nothing else."""

import asyncio
from dataclasses import replace
from typing import Any
from urllib.parse import quote, unquote

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


async def test_one_grant_can_be_shown_while_it_stands(sm: World) -> None:
    grant = f"/secrets/{SERVICE}/grants/action"
    assert (await sm.admin.get(grant)).status_code == 404
    given = (await sm.admin.put(grant)).json()
    assert (await sm.admin.get(grant)).json() == given
    assert (await sm.operator.get(grant)).status_code == 403
    await sm.admin.delete(grant)
    assert (await sm.admin.get(grant)).status_code == 404


@pytest.mark.parametrize(
    "name",
    [
        "%2e%2e",
        "..",
        "NOTIFICATION",
        "\uff41ction",
        "\uff21ction",
        "acti%D0%BEn",
        "action%00",
        "action%20",
        "a%2eb",
    ],
    ids=ascii,
)
async def test_a_name_that_is_none_is_given_nothing_and_read_by_nobody(sm: World, name: str) -> None:
    """Full-width letters and a folder above are folded to no name, of a secret or of who reads it."""
    # As a transport sends it: a client of HTTP would take the dots out of a path before.
    for path in (f"/secrets/{SERVICE}/grants/{name}", f"/secrets/{name}/grants/action"):
        for method in ("PUT", "DELETE"):
            answer = await literally(sm, method, path)
            assert answer in (404, 405, 422), path
    assert await literally(sm, "GET", f"/secrets/{name}") in (404, 422)
    assert (await sm.admin.get(f"/secrets/{SERVICE}/grants")).json()["items"] == []
    assert (await sm.as_("action:service").get(f"/secrets/{SERVICE}")).status_code == 403


async def literally(sm: World, method: str, path: str) -> int:
    """Ask as an admin for exactly this path, with nothing put right in it; returns the status."""
    sent: list[Any] = []
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": quote(path, safe="/%").encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"sm"), (b"authorization", b"Bearer admin:admin")],
        "client": ("127.0.0.1", 1),
        "server": ("sm", 80),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await sm.app(scope, receive, send)
    return int(sent[0]["status"])


async def test_a_name_that_is_right_is_let_through_as_literally(sm: World) -> None:
    assert await literally(sm, "PUT", f"/secrets/{SERVICE}/grants/action") == 200


async def test_a_grantee_with_many_instances_takes_the_place_of_nobody_else(sm: World) -> None:
    for identity in ("action", "two-factor"):
        await sm.admin.put(f"/secrets/{SERVICE}/grants/{identity}")
    sm.parts.presence.add(HolderKey(SERVICE, "action", f"{n:032x}") for n in range(MAX_OF_GRANTEE))
    refused = await sm.holder(MAX_OF_GRANTEE + 1, identity="action").read()
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "90")
    assert (await sm.holder(1, identity="action").read()).status_code == 200
    assert (await sm.holder(1, identity="two-factor").read()).status_code == 200
    assert (await sm.holder(1).read()).status_code == 200

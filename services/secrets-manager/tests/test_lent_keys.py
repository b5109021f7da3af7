"""A key shown to a team's service: the real secrets manager and a real service, with no network between."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import httpx2
import pytest
from fastapi import APIRouter
from fountain_common.app import create_service
from fountain_common.auth import Caller, requires
from fountain_common.platform import create_platform
from fountain_common.settings import ServiceSettings
from fountain_common.testing import ServiceClient, World, service_client

NAME = "example-consumer"
router = APIRouter()


@router.get("/whoami", summary="Say who calls")
async def who_am_i(caller: Annotated[Caller, requires()]) -> dict[str, Any]:
    """Say who calls."""
    return {"subject": caller.subject, "audience": list(caller.audience)}


class AroundTheRealOne(World):
    """A platform whose secrets manager is the real one."""

    def __init__(self, running: Any) -> None:
        super().__init__("https://secrets-manager.fountain.localhost")
        self.running = running
        self.bodies: list[str] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.host != "secrets-manager":
            return await super().handle_async_request(request)
        content = await request.aread()
        headers = {name: value for name, value in request.headers.items() if name != "host"}
        answer = await asyncio.to_thread(
            self.running.client.request,
            request.method,
            request.url.raw_path.decode(),
            content=content,
            headers=headers,
        )
        kept = {name: value for name, value in answer.headers.items() if name in ("content-type", "etag")}
        return httpx2.Response(answer.status_code, content=answer.content, headers=kept)


@pytest.fixture
def service(running: Any, tmp_path: Path) -> Iterator[ServiceClient]:
    """A service of a team, with its own key of the real secrets manager."""

    class Settings(ServiceSettings):
        service_name: str = NAME

    settings = Settings(_env_file=None, data_dir=tmp_path / "service", runtime="local")
    platform = create_platform(settings)
    app = create_service(
        settings, title="T", description="d", version="0", routers=[router], platform=platform
    )
    client = service_client(app, AroundTheRealOne(running), roles=None)
    # In the place of the world's invented key, which `with` gives it: the one that was made for it.
    give: Callable[[str], None] = platform.identity.give  # type: ignore[union-attr]
    platform.identity.give = lambda _key: give(running.key_of(NAME))  # type: ignore[union-attr, method-assign, assignment]
    with client:
        yield client


def exposures(running: Any) -> list[dict[str, Any]]:
    found = running.client.get("/audit", params={"limit": 500}, headers=running.as_("admin")).json()["items"]
    return [one for one in found if one["outcome"] == "denied" and "exposed" in str(one)]


def test_a_key_made_for_the_service_is_honoured_there_under_its_own_name(
    running: Any, service: ServiceClient
) -> None:
    key = running.person("ada", "viewer", audiences=[NAME])
    answer = service.get("/whoami", headers={"X-API-Key": key})
    assert (answer.status_code, answer.json()) == (200, {"subject": "ada", "audience": [NAME]})
    assert exposures(running) == []


def test_an_unrestricted_key_is_refused_and_on_record_as_exposed(
    running: Any, service: ServiceClient
) -> None:
    key = running.person("ada", "admin")
    answer = service.get("/whoami", headers={"X-API-Key": key})
    assert answer.status_code == 401
    assert key not in answer.text
    (record,) = exposures(running)
    assert key.split("_")[1] in str(record)
    assert key.split("_", 2)[2] not in str(record)


def test_a_key_made_for_another_service_is_refused(running: Any, service: ServiceClient) -> None:
    key = running.person("ada", "viewer", audiences=["notification"])
    assert service.get("/whoami", headers={"X-API-Key": key}).status_code == 401


def test_a_token_for_the_platform_is_refused_at_the_service_and_the_other_way_round(
    running: Any, service: ServiceClient
) -> None:
    platforms = running.token(running.key_of("admin"))
    services = running.token(running.key_of("admin"), resource=NAME)
    at = {"whoami": service, "audit": running.client}
    bearer = {
        name: {"Authorization": f"Bearer {token}"} for name, token in (("p", platforms), ("s", services))
    }
    assert at["whoami"].get("/whoami", headers=bearer["s"]).status_code == 200
    assert at["whoami"].get("/whoami", headers=bearer["p"]).status_code == 401
    assert at["audit"].get("/audit", headers=bearer["p"]).status_code == 200
    assert at["audit"].get("/audit", headers=bearer["s"]).status_code == 401

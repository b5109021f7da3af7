"""A small service that keeps every rule, and a way to have it break one."""

from collections.abc import Callable
from typing import Annotated

import httpx2
from fastapi import APIRouter, FastAPI
from fountain_common import create_service
from fountain_common.auth import Caller, requires
from fountain_common.schemas import StrictModel
from fountain_common.settings import ServiceSettings
from fountain_common.testing import ServiceClient

Edit = Callable[[httpx2.Request, httpx2.Response], httpx2.Response]
router = APIRouter()


class Thing(StrictModel):
    """A thing."""

    name: str


@router.get("/things", summary="List things")
async def list_things(_: Annotated[Caller, requires("things:read")]) -> list[str]:
    """All names."""
    return []


@router.put("/things/{name}", summary="Put a thing")
async def put_thing(name: str, body: Thing, _: Annotated[Caller, requires("things:write")]) -> Thing:
    """Keep a thing under a name."""
    return body


def things(settings: ServiceSettings) -> FastAPI:
    """Make the application, as a process of its own would."""
    description = "Keeps things & tells of <b>them</b>."
    return create_service(
        settings, title="Things", description=description, version="1.2.3", routers=[router]
    )


class Tampering(httpx2.BaseTransport):
    """Passes requests on to the service and changes what comes back."""

    def __init__(self, service: ServiceClient, edit: Edit) -> None:
        self._service, self._edit = service, edit

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        headers = {name: value for name, value in request.headers.items() if name != "transfer-encoding"}
        content = request.read()
        answer = self._service.request(
            request.method,
            str(request.url.raw_path, "ascii"),
            content=content,
            headers=headers,
            follow_redirects=False,
        )
        edited = self._edit(request, answer)
        if edited is not answer and "x-request-id" in answer.headers:
            edited.headers["x-request-id"] = answer.headers["x-request-id"]
        return edited

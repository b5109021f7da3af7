"""A service with one authenticated endpoint that returns a constant, served as every service is."""

import json
import os
from pathlib import Path
from typing import Annotated, Any

import uvloop
from fastapi import APIRouter
from fountain_common import create_service
from fountain_common.auth import Caller, requires
from fountain_common.entrypoint import serve
from fountain_common.logging import configure
from fountain_common.platform import create_platform
from fountain_common.settings import ServiceSettings


class _Keys:
    """The published keys of the one who signs the tokens; nothing is revoked."""

    async def jwks(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(Path(os.environ["BENCHMARK_JWKS"]).read_text())
        return document

    async def revocations(self) -> dict[str, Any]:
        return {"issued_at": 0, "revocations": []}


router = APIRouter()


@router.get("/constant", summary="Answer a constant")
async def get_constant(caller: Annotated[Caller, requires("constants:read")]) -> dict[str, str]:
    """A constant, for whoever may read it."""
    return {"answer": "constant"}


def main() -> None:
    """Serve until told to stop."""
    settings = ServiceSettings(
        service_name="constant", host="127.0.0.1", port=int(os.environ["BENCHMARK_PORT"]), runtime="local"
    )
    configure(settings)
    parts: Any = dict.fromkeys(
        ("identity", "directory", "issuer", "tokens", "secrets", "events", "registrar", "api_keys")
    )
    app = create_service(
        settings,
        title="Constant",
        description="Answers a constant.",
        version="1.0.0",
        routers=[router],
        platform=create_platform(settings, keys=_Keys(), **parts),
    )
    uvloop.run(serve(app, settings))


if __name__ == "__main__":
    main()

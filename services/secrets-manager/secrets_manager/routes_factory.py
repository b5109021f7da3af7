"""The factory: random values that are stored nowhere."""

from typing import Annotated

from fastapi import APIRouter, Response
from fountain_common.auth import Caller, requires
from fountain_common.roles import Permission

from secrets_manager.deps_secrets import Parts
from secrets_manager.generate import generate
from secrets_manager.schemas_secrets import Generated, GenerateRequest

router = APIRouter(tags=["Factory"])


@router.post("/factory/generate", summary="Generate a value")
async def generate_secret(
    caller: Annotated[Caller, requires(Permission.SECRETS_GENERATE)],
    parts: Parts,
    response: Response,
    wish: GenerateRequest | None = None,
) -> Generated:
    """Make a random value: a token, a hex string, a password, a UUID, an Ed25519 key or a Fernet key."""
    wish = wish or GenerateRequest()
    await parts.record_reading(caller, "secrets:generate", "factory", kind=str(wish.kind), length=wish.length)
    response.headers["Cache-Control"] = "no-store"
    return Generated(secret=generate(wish.kind, wish.length))

"""The factory: random values that are stored nowhere."""

from typing import Annotated

from fastapi import APIRouter, Response
from fountain_common.auth import Caller, requires
from fountain_common.roles import Permission

from secrets_manager.generate import generate
from secrets_manager.schemas_secrets import Generated, GenerateRequest

router = APIRouter(tags=["Factory"])


@router.post("/factory/generate", summary="Generate a value")
async def generate_secret(
    caller: Annotated[Caller, requires(Permission.SECRETS_GENERATE)],
    response: Response,
    wish: GenerateRequest | None = None,
) -> Generated:
    """Make a random value: a token, a hex string, a password, a UUID, an Ed25519 key or a Fernet key."""
    wish = wish or GenerateRequest()
    response.headers["Cache-Control"] = "no-store"
    return Generated(secret=generate(wish.kind, wish.length))

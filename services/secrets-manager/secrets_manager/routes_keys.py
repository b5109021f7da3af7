"""The key-encryption key."""

from typing import Annotated

from fastapi import APIRouter
from fountain_common.auth import Caller, requires
from fountain_common.errors import problem_responses
from fountain_common.roles import Permission

from secrets_manager.deps_secrets import Parts
from secrets_manager.schemas_secrets import RewrapResult

router = APIRouter(tags=["Keys"])


@router.post(
    "/key-encryption-key/rotate",
    summary="Rotate the key-encryption key",
    responses=problem_responses(409, 503),
)
async def rotate_key_encryption_key(
    caller: Annotated[Caller, requires(Permission.KEK_ROTATE)], parts: Parts
) -> RewrapResult:
    """Replace the key-encryption key and the key ring's key, and wrap every data key anew, while
    everything goes on.
    """
    return RewrapResult(rewrapped=await parts.rotate_key_encryption_key(caller))

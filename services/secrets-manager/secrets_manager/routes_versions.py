"""Versions of a secret: list them, destroy one."""

from typing import Annotated

from fastapi import APIRouter, Path
from fountain_common.auth import Caller, requires
from fountain_common.errors import problem_responses
from fountain_common.roles import Permission

from secrets_manager.deps_secrets import Parts, SecretName
from secrets_manager.paging import NUMBERS, Cursor, Limit, Page, encode, number_position
from secrets_manager.schemas_secrets import VersionMetadata

router = APIRouter(tags=["Secrets"])


Version = Annotated[int, Path(ge=1, le=NUMBERS, description="The number of the version.")]


@router.get("/secrets/{serviceName}/versions", summary="List versions", responses=problem_responses(404))
async def list_secret_versions(
    caller: Annotated[Caller, requires()],
    service_name: SecretName,
    parts: Parts,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[VersionMetadata]:
    """List the versions of a secret and their states, the newest first. No values."""
    parts.access.require_sight(caller, service_name)
    before = number_position(cursor) or NUMBERS
    found = await parts.listing.versions(caller, service_name, before, limit + 1)
    items = [VersionMetadata.model_validate(row, from_attributes=True) for row in found[:limit]]
    return Page(items=items, next=encode(items[-1].version) if len(found) > limit else None)


@router.delete(
    "/secrets/{serviceName}/versions/{version}",
    status_code=204,
    summary="Destroy a version",
    responses=problem_responses(404, 409),
)
async def destroy_secret_version(
    caller: Annotated[Caller, requires(Permission.SECRETS_WRITE)],
    service_name: SecretName,
    version: Version,
    parts: Parts,
) -> None:
    """Erase the values of a version for good. Refused while it is staged, active or draining."""
    await parts.lifecycle.destroy(caller, service_name, version)

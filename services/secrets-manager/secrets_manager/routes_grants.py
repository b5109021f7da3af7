"""Grants: which other identities may read a service's secret."""

from typing import Annotated

from fastapi import APIRouter
from fountain_common.auth import Caller, requires
from fountain_common.errors import NotFound, problem_responses
from fountain_common.roles import Permission

from secrets_manager.deps_secrets import IdentityName, Parts, SecretName
from secrets_manager.schemas_secrets import GrantList, GrantView

router = APIRouter(tags=["Grants"])

_PATH = "/secrets/{serviceName}/grants/{identity}"

Granter = Annotated[Caller, requires(Permission.GRANTS_WRITE)]


@router.put(_PATH, summary="Grant access", responses=problem_responses(404))
async def grant_secret_access(
    caller: Granter, service_name: SecretName, identity: IdentityName, parts: Parts
) -> GrantView:
    """Let another identity read a service's secret; its instances become holders of it."""
    row = await parts.grants.grant(caller, service_name, identity)
    return GrantView.model_validate(row, from_attributes=True)


@router.get("/secrets/{serviceName}/grants", summary="List grants")
async def list_secret_grants(
    caller: Annotated[Caller, requires(Permission.GRANTS_READ)], service_name: SecretName, parts: Parts
) -> GrantList:
    """List who may read a service's secret besides the service and admins."""
    rows = await parts.grants.of(service_name)
    await parts.record_reading(caller, "grants:read", f"secrets/{service_name}", count=len(rows))
    return GrantList(items=[GrantView.model_validate(row, from_attributes=True) for row in rows])


@router.get(_PATH, summary="Show a grant", responses=problem_responses(404))
async def get_secret_grant(
    caller: Annotated[Caller, requires(Permission.GRANTS_READ)],
    service_name: SecretName,
    identity: IdentityName,
    parts: Parts,
) -> GrantView:
    """Show whether an identity may read a service's secret by a grant: who gave it, and when."""
    row = next((row for row in await parts.grants.of(service_name) if row.identity == identity), None)
    await parts.record_reading(caller, "grants:read", f"secrets/{service_name}", identity=identity)
    if row is None:
        raise NotFound(f"{identity} has no grant to the secret of {service_name}.")
    return GrantView.model_validate(row, from_attributes=True)


@router.delete(_PATH, status_code=204, summary="Withdraw a grant", responses=problem_responses(404))
async def revoke_secret_access(
    caller: Granter, service_name: SecretName, identity: IdentityName, parts: Parts
) -> None:
    """Let an identity read no more; what it has read it knows, so rotate the secret afterwards."""
    await parts.grants.withdraw(caller, service_name, identity)

"""Rotation policies: when a secret rotates by itself, and how."""

from typing import Annotated

from fastapi import APIRouter
from fountain_common.auth import Caller, requires
from fountain_common.errors import problem_responses
from fountain_common.roles import Permission

from secrets_manager.deps_secrets import Parts, SecretName
from secrets_manager.policies import Policy
from secrets_manager.schemas_secrets import PolicyRequest, PolicyView

router = APIRouter(tags=["Rotation policies"])

_PATH = "/secrets/{serviceName}/rotation-policy"

Setter = Annotated[Caller, requires(Permission.POLICIES_WRITE)]


@router.put(_PATH, summary="Set a rotation policy", responses=problem_responses(404))
async def set_rotation_policy(
    caller: Setter, service_name: SecretName, wish: PolicyRequest, parts: Parts
) -> PolicyView:
    """Set when a secret rotates by itself, how long things made with it live, and how long holders may
    take.
    """
    row = await parts.policies.set(caller, service_name, Policy(**wish.model_dump()))
    return PolicyView.model_validate(row, from_attributes=True)


@router.get(_PATH, summary="Read a rotation policy", responses=problem_responses(404))
async def get_rotation_policy(
    caller: Annotated[Caller, requires(Permission.POLICIES_READ)], service_name: SecretName, parts: Parts
) -> PolicyView:
    """Read when a secret rotates by itself, and when next."""
    row = await parts.policies.get(service_name)
    await parts.record_reading(caller, "policies:read", f"secrets/{service_name}")
    return PolicyView.model_validate(row, from_attributes=True)


@router.delete(_PATH, status_code=204, summary="Delete a rotation policy", responses=problem_responses(404))
async def delete_rotation_policy(caller: Setter, service_name: SecretName, parts: Parts) -> None:
    """Let a secret rotate no more by itself, and by the usual overlap and deadline when somebody asks."""
    await parts.policies.delete(caller, service_name)

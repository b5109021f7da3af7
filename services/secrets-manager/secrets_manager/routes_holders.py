"""What holders say: they accept, they use, they leave."""

from typing import Annotated

from fastapi import APIRouter
from fountain_common.auth import Caller, requires
from fountain_common.errors import problem_responses
from fountain_common.roles import Permission

from secrets_manager.deps_secrets import HolderHeader, InstancePath, Parts, SecretName
from secrets_manager.holders import HolderKey
from secrets_manager.routes_versions import Version
from secrets_manager.schemas_secrets import Acknowledged, Acknowledgement, Phase

router = APIRouter(tags=["Secrets"])

Holding = Annotated[Caller, requires(Permission.SECRETS_ACK)]


@router.post(
    "/secrets/{serviceName}/versions/{version}/ack",
    summary="Acknowledge a version",
    responses=problem_responses(404, 409),
)
async def acknowledge_secret_version(
    caller: Holding,
    service_name: SecretName,
    version: Version,
    word: Acknowledgement,
    parts: Parts,
    instance_id: HolderHeader,
) -> Acknowledged:
    """Say, as a holder, that a version is accepted or used. It may be said again, and covers older
    versions.
    """
    parts.access.require_values(caller, service_name)
    holder = HolderKey(service_name, caller.subject, instance_id)
    after = await parts.holders.acknowledge(caller, holder, version, uses=word.phase is Phase.USES)
    return Acknowledged(
        service_name=service_name, version=version, phase=word.phase, accepts=after.accepts, uses=after.uses
    )


@router.delete("/secrets/{serviceName}/holders/{instanceId}", status_code=204, summary="Leave as a holder")
async def remove_secret_holder(
    caller: Holding,
    service_name: SecretName,
    instanceId: InstancePath,  # noqa: N803
    parts: Parts,
) -> None:
    """Say that an instance stops, so that no rotation waits for it. Of another identity's instances, only
    an admin may.
    """
    parts.access.require_values(caller, service_name)
    await parts.holders.leave(caller, service_name, instanceId)

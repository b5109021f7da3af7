"""Rotations: watch them, force or abort one."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from fountain_common.auth import Caller, requires
from fountain_common.errors import problem_responses
from fountain_common.names import service_name as canonical
from fountain_common.roles import Permission

from secrets_manager.deps_secrets import Parts
from secrets_manager.holders import HolderKey
from secrets_manager.paging import Cursor, Limit, Page, encode, number_position
from secrets_manager.parts import SecretsParts
from secrets_manager.rotation import RotationState
from secrets_manager.schemas_secrets import HolderStatus, RotationView
from secrets_manager.service_rotations import RotationStatus

router = APIRouter(tags=["Rotations"])

Watcher = Annotated[Caller, requires(Permission.ROTATIONS_READ)]
RotationId = Annotated[str, Path(max_length=64, description="The id that the rotation was begun with.")]


@router.get("/rotations", summary="List rotations")
async def list_rotations(
    caller: Watcher,
    parts: Parts,
    service: Annotated[
        str | None, Query(alias="service_name", max_length=200, description="Of this service alone.")
    ] = None,
    state: Annotated[RotationState | None, Query(description="In this state alone.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[RotationView]:
    """List rotations, the newest first, with their holders and who is late."""
    name = None if service is None else canonical(service)
    found = await parts.rotations.page(number_position(cursor), limit + 1, name, state)
    await parts.record_reading(
        caller, "rotations:read", "rotations", service_name=name, count=len(found[:limit])
    )
    items = [_view(parts, status) for status in found[:limit]]
    return Page(items=items, next=encode(found[limit - 1].position) if len(found) > limit else None)


@router.get("/rotations/{rotationId}", summary="Read a rotation", responses=problem_responses(404))
async def get_rotation(caller: Watcher, rotationId: RotationId, parts: Parts) -> RotationView:  # noqa: N803
    """Read how far a rotation is, which holder has acknowledged what, and who is late."""
    status = await parts.rotations.get(rotationId)
    rotation = status.rotation
    await parts.record_reading(
        caller,
        "rotations:read",
        f"rotations/{rotation.rotation_id}",
        service_name=rotation.service_name,
        version=rotation.version,
    )
    return _view(parts, status)


@router.post(
    "/rotations/{rotationId}/force", summary="Force a rotation", responses=problem_responses(404, 409)
)
async def force_rotation(
    caller: Annotated[Caller, requires(Permission.ROTATIONS_FORCE)],
    rotationId: RotationId,  # noqa: N803
    parts: Parts,
) -> RotationView:
    """Take the next step without those who are late: activate a staged version, or retire the one before
    an active one.
    """
    return _view(parts, await parts.rotations.force(caller, rotationId))


@router.post(
    "/rotations/{rotationId}/abort", summary="Abort a rotation", responses=problem_responses(404, 409)
)
async def abort_rotation(
    caller: Annotated[Caller, requires(Permission.ROTATIONS_ABORT)],
    rotationId: RotationId,  # noqa: N803
    parts: Parts,
) -> RotationView:
    """Give up a version that is staged and that nobody uses yet."""
    return _view(parts, await parts.rotations.abort(caller, rotationId))


def _view(parts: SecretsParts, status: RotationStatus) -> RotationView:
    rotation = status.rotation
    now = parts.clock()

    def holder_status(holder: Any) -> HolderStatus:
        key = HolderKey(rotation.service_name, holder.identity, holder.instance_id)
        left = parts.presence.seconds_left(key) if rotation.is_open else None
        return HolderStatus(
            instance_id=holder.instance_id,
            identity=holder.identity,
            accepts=holder.accepts,
            uses=holder.uses,
            expires_at=None if left is None else now + left,
            late=rotation.is_late(holder),
        )

    return RotationView(
        rotation_id=rotation.rotation_id,
        service_name=rotation.service_name,
        version=rotation.version,
        previous_version=rotation.previous_version,
        state=rotation.shown_state,
        overdue=rotation.overdue,
        created_at=rotation.created_at,
        activated_at=rotation.activated_at,
        draining_since=rotation.draining_since,
        retired_at=rotation.retired_at,
        deadline_at=rotation.deadline_at,
        overlap_seconds=rotation.overlap_seconds,
        deadline_seconds=rotation.deadline_seconds,
        reason=rotation.reason,
        requested_by=status.requested_by,
        holders=[holder_status(holder) for holder in status.holders],
    )

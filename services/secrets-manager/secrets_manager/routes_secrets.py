"""Secrets: create, read, replace, rotate, revoke, restore."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from fountain_common.auth import Caller, requires
from fountain_common.errors import problem_responses
from fountain_common.roles import Permission

from secrets_manager import access
from secrets_manager.deps_secrets import IdempotencyHeader, InstanceHeader, Parts, SecretName
from secrets_manager.idempotency import IdempotencyKey
from secrets_manager.idempotency import check as checked_key
from secrets_manager.intents import Intent
from secrets_manager.paging import NUMBERS, Cursor, Limit, Page, encode, text_position
from secrets_manager.parts import SecretsParts
from secrets_manager.schemas_secrets import (
    Created,
    GivenSecrets,
    OneVersion,
    Rotated,
    RotateRequest,
    Secret,
    SecretMetadata,
    VersionMetadata,
)
from secrets_manager.service_listing import Listed
from secrets_manager.service_secrets import Outcome
from secrets_manager.views import iso

router = APIRouter(tags=["Secrets"])

_NO_STORE = {"Cache-Control": "no-store"}

Reader = Annotated[Caller, requires()]
Lister = Annotated[Caller, requires(Permission.SECRETS_LIST)]
Writer = Annotated[Caller, requires(Permission.SECRETS_WRITE)]
Rotator = Annotated[Caller, requires(Permission.SECRETS_ROTATE)]
IfMatch = Annotated[str | None, Header(description="The ETag that was read; anything else by now is a 412.")]
IfNoneMatch = Annotated[str | None, Header(description="The ETag that the caller has; the same is a 304.")]


@router.get("/secrets", summary="List secrets")
async def list_secrets(
    caller: Lister, parts: Parts, limit: Limit = 50, cursor: Cursor = None
) -> Page[SecretMetadata]:
    """List which services have secrets, and their versions. No values."""
    found = await parts.listing.page(caller, text_position(cursor), limit + 1)
    items = [metadata(listed) for listed in found[:limit]]
    return Page(items=items, next=encode(items[-1].service_name) if len(found) > limit else None)


@router.post("/secrets/{serviceName}", status_code=201, summary="Create a secret")
async def create_secrets_for_service(
    caller: Writer,
    service_name: SecretName,
    parts: Parts,
    response: Response,
    given: GivenSecrets | None = None,
    idempotency_key: IdempotencyHeader = None,
) -> Created:
    """Make the first version for a service: generated JWT_SECRET and DB_PASSWORD, overridden and joined by
    what is given.
    """
    values = {} if given is None else given.root
    key = _key(parts, caller, idempotency_key, "create", service_name, values)
    generated = parts.generated.get(service_name, ())
    outcome = await parts.secrets.create(Intent(caller, "create", key), service_name, values, generated)
    response.headers.update(_NO_STORE)
    return Created(**_answer(parts, caller, outcome))


@router.get(
    "/secrets/{serviceName}",
    summary="Read a secret",
    response_model=Secret | OneVersion,
    responses={304: {"description": "The caller has it already."}, **problem_responses(404, 410, 429, 503)},
)
async def get_secrets_for_service(
    caller: Reader,
    service_name: SecretName,
    parts: Parts,
    version: Annotated[
        int | None, Query(ge=1, le=NUMBERS, description="One version alone, whatever its state.")
    ] = None,
    instance_id: InstanceHeader = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Read the active version, and all that are staged, active or draining. Values are for the service,
    for those it is granted to, and for admins.
    """
    if version is not None:
        one = await parts.reading.read_version(caller, service_name, version)
        answer = OneVersion(
            service_name=one.service_name, version=one.version, state=one.state, secrets=one.values
        )
        return Response(answer.model_dump_json(), media_type="application/json", headers=_NO_STORE)
    reading = await parts.reading.read(caller, service_name, instance_id, if_none_match)
    headers = {**_NO_STORE, "ETag": reading.etag}
    if reading.body is None:
        return Response(status_code=304, headers=headers)
    return Response(reading.body, media_type="application/json", headers=headers)


@router.put("/secrets/{serviceName}", summary="Replace a secret", responses=problem_responses(404, 409, 412))
async def replace_secrets_for_service(
    caller: Writer,
    service_name: SecretName,
    given: GivenSecrets,
    parts: Parts,
    response: Response,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyHeader = None,
) -> Rotated:
    """Rotate to exactly the given values. If-Match refuses to overwrite what somebody else changed
    meanwhile. 409 while 32 versions still drain.
    """
    key = _key(parts, caller, idempotency_key, "replace", service_name, given.root)
    intent = Intent(caller, "replace", key, if_match)
    outcome = await parts.secrets.replace(intent, service_name, given.root)
    response.headers.update(_NO_STORE)
    return Rotated(**_answer(parts, caller, outcome), rotation_id=outcome.rotation_id)


@router.post(
    "/secrets/{serviceName}/rotate", summary="Rotate a secret", responses=problem_responses(404, 409)
)
async def rotate_secrets_for_service(
    caller: Rotator,
    service_name: SecretName,
    parts: Parts,
    response: Response,
    wish: RotateRequest | None = None,
    idempotency_key: IdempotencyHeader = None,
) -> Rotated:
    """Give generated keys new values. Answers when every holder accepts them, or after 5 seconds, still
    staged. Choosing values, and not waiting, need secrets:write. While 32 versions still drain, only
    `immediate` goes on (409).
    """
    wish = wish or RotateRequest()
    if wish.new_secrets or wish.immediate:
        access.require(caller, Permission.SECRETS_WRITE)
    body = wish.model_dump(exclude_defaults=True)
    key = _key(parts, caller, idempotency_key, "rotate", service_name, body)
    intent = Intent(caller, "rotate", key, immediate=wish.immediate)
    outcome = await parts.secrets.rotate(intent, service_name, wish.new_secrets or {}, wish.keys)
    response.headers.update(_NO_STORE)
    return Rotated(**_answer(parts, caller, outcome), rotation_id=outcome.rotation_id)


@router.delete(
    "/secrets/{serviceName}", status_code=204, summary="Revoke a secret", responses=problem_responses(404)
)
async def revoke_secrets_for_service(caller: Writer, service_name: SecretName, parts: Parts) -> None:
    """Take a secret out of use; nothing is erased, and restore undoes it."""
    await parts.lifecycle.revoke(caller, service_name)


@router.post(
    "/secrets/{serviceName}/restore", summary="Restore a secret", responses=problem_responses(404, 409)
)
async def restore_secrets_for_service(
    caller: Writer, service_name: SecretName, parts: Parts
) -> SecretMetadata:
    """Bring a revoked secret back, as it was."""
    await parts.lifecycle.restore(caller, service_name)
    return metadata(await parts.listing.get(service_name))


def metadata(listed: Listed) -> SecretMetadata:
    """Return a secret as lists show it."""
    secret = listed.secret
    return SecretMetadata.model_validate(
        {
            "service_name": secret.service_name,
            "version": listed.active,
            "state": "active" if secret.revoked_at is None else "revoked",
            "versions": [VersionMetadata.model_validate(row, from_attributes=True) for row in listed.held],
            "created_at": iso(secret.created_at),
            "updated_at": iso(secret.updated_at),
        }
    )


def _answer(parts: SecretsParts, caller: Caller, outcome: Outcome) -> dict[str, object]:
    return {
        "service_name": outcome.service_name,
        "version": outcome.version,
        "state": outcome.state,
        "secrets": outcome.values if parts.access.sees_values(caller, outcome.service_name) else {},
    }


def _key(
    parts: SecretsParts, caller: Caller, header: str | None, operation: str, service_name: str, body: object
) -> IdempotencyKey | None:
    if header is None:
        return None
    fingerprint = parts.vault.digest(operation, service_name, body)
    return IdempotencyKey(caller.subject, checked_key(header), fingerprint)

"""Identities and their API keys; all of it is the admin's, but for looking, which the auditor may."""

from typing import Annotated

from fastapi import APIRouter, Path, Response
from fountain_common.errors import Unprocessable, problem_responses
from fountain_common.names import service_name

from secrets_manager import schemas_identities as schemas
from secrets_manager.deps import Context, IdentityReader, IdentityWriter, KeyWriter, TheCore
from secrets_manager.identities import NewIdentity, NewKey
from secrets_manager.paging import Cursor, Limit, Page, encode, has_more, text_position

router = APIRouter(tags=["identities"])

Name = Annotated[str, Path(max_length=63, description="The identity's name.")]
KeyId = Annotated[
    str, Path(max_length=16, description="The key's id: what stands between fnt_ and the next _.")
]


@router.get("/identities", operation_id="listIdentities", summary="List identities")
async def list_identities(
    actor: IdentityReader, core: TheCore, limit: Limit = 50, cursor: Cursor = None
) -> Page[schemas.Identity]:
    """List services, people and robots by name, those that were revoked included. Needs identities:read."""
    rows = await core.identities.page(text_position(cursor), limit + 1)
    await core.audit.append(
        caller=actor.who, action="identities:read", target="identities", request=actor.request
    )
    following = encode(rows[limit - 1].name) if has_more(rows, limit) else None
    return Page(
        items=[schemas.Identity.of(row) for row in rows[:limit] if core.rows.genuine(row)], next=following
    )


@router.post(
    "/identities",
    operation_id="createIdentity",
    summary="Create an identity",
    status_code=201,
    responses=problem_responses(409, 503),
)
async def create_identity(
    body: schemas.IdentityRequest, actor: IdentityWriter, core: TheCore
) -> schemas.Identity:
    """Create a service, a person or a robot, without a key yet.

    A name that was ever taken is a 409. Needs identities:write.
    """
    remote = body.remote if body.remote is not None else body.kind is not schemas.Kind.SERVICE
    roles = tuple(role.value for role in body.roles)
    new = NewIdentity(body.name, body.kind.value, roles, remote, body.description)
    return schemas.Identity.of(await core.identities.create(new, actor))


@router.get(
    "/identities/{name}",
    operation_id="getIdentity",
    summary="Get an identity",
    responses=problem_responses(404),
)
async def get_identity(name: Name, actor: IdentityReader, core: TheCore) -> schemas.IdentityWithKeys:
    """Show an identity with the metadata of its keys, when each was last used included.

    Needs identities:read.
    """
    row, keys = await core.identities.get(name)
    await core.audit.append(
        caller=actor.who, action="identities:read", target=f"identities/{row.name}", request=actor.request
    )
    identity = schemas.Identity.of(row)
    return schemas.IdentityWithKeys(
        **identity.model_dump(), keys=[schemas.ApiKeyMetadata.of(key) for key in keys]
    )


@router.patch(
    "/identities/{name}",
    operation_id="updateIdentity",
    summary="Change an identity",
    responses=problem_responses(404, 409, 503),
)
async def update_identity(
    name: Name, body: schemas.IdentityChange, actor: IdentityWriter, core: TheCore
) -> schemas.Identity:
    """Change roles, description, or whether keys work through the edge.

    Other roles revoke its tokens. Needs identities:write.
    """
    row = await core.identities.update(
        name,
        actor,
        roles=None if body.roles is None else [role.value for role in body.roles],
        remote=body.remote,
        description=body.description,
    )
    await core.trust_changed()
    return schemas.Identity.of(row)


@router.delete(
    "/identities/{name}",
    operation_id="revokeIdentity",
    summary="Revoke an identity",
    status_code=204,
    responses=problem_responses(404, 409, 503),
)
async def revoke_identity(name: Name, actor: IdentityWriter, core: TheCore) -> Response:
    """End an identity for good, with its keys and tokens, at every service within seconds.

    Needs identities:write.
    """
    await core.identities.revoke(name, actor, core.secrets.forget_identity)
    core.secrets.identity_forgotten(service_name(name))
    await core.trust_changed()
    return Response(status_code=204)


@router.get(
    "/identities/{name}/keys",
    operation_id="listApiKeys",
    summary="List an identity's keys",
    responses=problem_responses(404),
)
async def list_api_keys(name: Name, actor: IdentityReader, core: TheCore) -> Page[schemas.ApiKeyMetadata]:
    """List the keys of an identity, oldest first, without themselves. Needs identities:read."""
    row, keys = await core.identities.get(name)
    await core.audit.append(
        caller=actor.who, action="identities:read", target=f"identities/{row.name}", request=actor.request
    )
    return Page(items=[schemas.ApiKeyMetadata.of(key) for key in keys], next=None)


@router.post(
    "/identities/{name}/keys",
    operation_id="createApiKey",
    summary="Create an API key",
    status_code=201,
    responses=problem_responses(404, 409, 503),
)
async def create_api_key(
    name: Name,
    body: schemas.KeyRequest,
    actor: KeyWriter,
    core: TheCore,
    context: Context,
    response: Response,
) -> schemas.CreatedApiKey:
    """Create a key, shown this once.

    An identity can have several, so that one is replaced without a gap. Needs keys:write.
    """
    expires_at = body.expires_at.timestamp() if body.expires_at else None
    if expires_at is not None and expires_at <= core.clock():
        raise Unprocessable("expires_at has passed already.")
    audiences = tuple(service_name(audience) for audience in body.audiences)
    key, row = await core.identities.create_key(name, NewKey(body.description, audiences, expires_at), actor)
    response.headers["Cache-Control"] = "no-store"
    return schemas.CreatedApiKey.made(row, key.reveal())


@router.patch(
    "/identities/{name}/keys/{keyId}",
    operation_id="updateApiKey",
    summary="Enable or disable a key",
    responses=problem_responses(404, 409, 503),
)
async def update_api_key(
    name: Name,
    key_id: Annotated[KeyId, Path(alias="keyId")],
    body: schemas.KeyChange,
    actor: KeyWriter,
    core: TheCore,
) -> schemas.ApiKeyMetadata:
    """Honour a key that a restore disabled, or stop honouring one for now, with the tokens it got.

    Needs keys:write.
    """
    row = await core.identities.enable_key(name, key_id, actor, enabled=body.enabled)
    await core.trust_changed()
    return schemas.ApiKeyMetadata.of(row)


@router.delete(
    "/identities/{name}/keys/{keyId}",
    operation_id="revokeApiKey",
    summary="Revoke an API key",
    status_code=204,
    responses=problem_responses(404, 503),
)
async def revoke_api_key(
    name: Name, key_id: Annotated[KeyId, Path(alias="keyId")], actor: KeyWriter, core: TheCore
) -> Response:
    """End a key for good, and the tokens it got. The identity's other keys stay. Needs keys:write."""
    await core.identities.revoke_key(name, key_id, actor)
    await core.trust_changed()
    return Response(status_code=204)

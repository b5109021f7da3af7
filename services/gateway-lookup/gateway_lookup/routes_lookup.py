"""`GET /lookup/{serviceName}`: the question that every service asks."""

from typing import Annotated

from fastapi import APIRouter, Header, Response
from fountain_common.errors import NotFound, problem_responses

from gateway_lookup.deps import GatewayDep, LookedUp
from gateway_lookup.lookups import not_modified
from gateway_lookup.schemas import LookupAnswer

router = APIRouter(tags=["lookup"])

_PRIVATE = "private, no-cache"


@router.get(
    "/lookup/{serviceName}",
    operation_id="lookupService",
    summary="Find a running service",
    response_model=LookupAnswer,
    responses={304: {"description": "What If-None-Match names is still so."}, **problem_responses(404)},
)
async def lookup_service(
    name: LookedUp, gateway: GatewayDep, if_none_match: Annotated[str | None, Header()] = None
) -> Response:
    """Answer where a service runs: one URL to use, and every instance with its state. The ETag changes when
    any of it does.
    """
    found = gateway.registry.lookup(name)
    if found is None:
        near = gateway.registry.near(name)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise NotFound(f"No instance of {name} is registered.{hint}", near=near)
    headers = {"ETag": found.etag, "Cache-Control": _PRIVATE}
    if not_modified(if_none_match, found.etag):
        return Response(status_code=304, headers=headers)
    return Response(found.body, media_type="application/json", headers=headers)

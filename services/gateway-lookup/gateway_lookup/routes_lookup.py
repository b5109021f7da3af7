"""`GET /lookup/{serviceName}`: the question that every service asks."""

from fastapi import APIRouter, Request, Response
from fountain_common.errors import NotFound, problem_responses

from gateway_lookup.deps import LookedUp
from gateway_lookup.lookups import not_modified
from gateway_lookup.schemas import LookupAnswer
from gateway_lookup.service import Gateway

router = APIRouter(tags=["lookup"])

_PRIVATE = "private, no-cache"
# Read from the request itself, since every parameter that is resolved costs the hottest route of the
# platform some time.
_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "The ETag of the answer that you have.",
    "schema": {"type": "string"},
}


@router.get(
    "/lookup/{serviceName}",
    operation_id="lookupService",
    summary="Find a running service",
    response_model=LookupAnswer,
    responses={304: {"description": "What If-None-Match names is still so."}, **problem_responses(404)},
    openapi_extra={"parameters": [_IF_NONE_MATCH]},
)
async def lookup_service(request: Request, name: LookedUp) -> Response:
    """Return where a service runs: one URL to use, and every instance with its state. The ETag changes when
    any of it does.
    """
    gateway: Gateway = request.app.state.gateway
    found = gateway.registry.lookup(name)
    if found is None:
        near = gateway.registry.near(name)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise NotFound(f"No instance of {name} is registered.{hint}", near=near)
    headers = {"ETag": found.etag, "Cache-Control": _PRIVATE}
    if not_modified(request.headers.get("if-none-match"), found.etag):
        return Response(status_code=304, headers=headers)
    return Response(found.body, media_type="application/json", headers=headers)

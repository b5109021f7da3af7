"""The short way beside `GET /lookup/{serviceName}`: a known caller asks for a service that is there."""

from fountain_common.roles import Permission
from fountain_common.shortcuts import Answer, QuickRequest, Shortcut

from gateway_lookup.lookups import not_modified
from gateway_lookup.service import Gateway

_CACHE = (b"cache-control", b"private, no-cache")
_JSON = (b"content-type", b"application/json")


async def look_up(request: QuickRequest) -> Answer | None:
    """Return where a service runs; everything else is for the operation itself."""
    caller = request.caller()
    if caller is None or not caller.may(Permission.REGISTRY_LOOKUP):
        return None
    gateway: Gateway = request.app.state.gateway
    found = gateway.registry.lookup(request.argument)
    if found is None:
        return None
    etag = (b"etag", found.etag.encode())
    if not_modified(request.header(b"if-none-match"), found.etag):
        return Answer(304, b"", (etag, _CACHE))
    return Answer(200, found.body, (_JSON, etag, _CACHE))


LOOK_UP = Shortcut("GET", "/lookup/{serviceName}", look_up)

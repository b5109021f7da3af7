"""The short ways beside `GET /secrets/{serviceName}` and `POST /secrets/{serviceName}/rotate`.

A known caller reads what is in memory, or rotates what was generated, and asks for nothing special.
"""

from typing import Final

import orjson
from fountain_common.names import is_canonical, service_name
from fountain_common.roles import Permission
from fountain_common.shortcuts import Answer, QuickRequest, Shortcut

from secrets_manager.intents import Intent
from secrets_manager.parts import SecretsParts

_NO_STORE: Final = (b"cache-control", b"no-store")
_JSON: Final = (b"content-type", b"application/json")
#: Who sends it again wants the answer of the first time.
_SPECIAL: Final = b"idempotency-key"


async def read(request: QuickRequest) -> Answer | None:
    """Return the values, or that they have not changed; everything else is for the operation itself."""
    caller = request.caller()
    # Another spelling is for the operation to fold or to refuse, and no database is to see it.
    if caller is None or not is_canonical(request.argument):
        return None
    parts: SecretsParts = request.app.state.secrets_parts
    reading = await parts.reading.read_held(
        caller, request.argument, request.header(b"x-fountain-instance"), request.header(b"if-none-match")
    )
    if reading is None:
        return None
    etag = (b"etag", reading.etag.encode())
    if reading.body is None:
        return Answer(304, b"", (_NO_STORE, etag))
    return Answer(200, reading.body, (_JSON, _NO_STORE, etag))


async def rotate(request: QuickRequest) -> Answer | None:
    """Give the generated keys of a secret new values, for a caller who wishes for nothing beyond that."""
    caller = request.caller()
    if caller is None or not caller.may(Permission.SECRETS_ROTATE) or _SPECIAL in request.headers:
        return None
    body = await request.body()
    if body is None or (body and (body != b"{}" or request.headers.get(b"content-type") != _JSON[1])):
        return None
    name = service_name(request.argument)
    parts: SecretsParts = request.app.state.secrets_parts
    outcome = await parts.secrets.rotate(Intent(caller, "rotate", None), name, {}, None)
    sees = parts.access.sees_values(caller, outcome.service_name)
    answer = {
        "service_name": outcome.service_name,
        "version": outcome.version,
        "state": outcome.state,
        "secrets": outcome.values if sees else {},
        "rotation_id": outcome.rotation_id,
    }
    return Answer(200, orjson.dumps(answer), (_JSON, _NO_STORE))


SHORTCUTS: Final = (
    Shortcut("GET", "/secrets/{serviceName}", read),
    Shortcut("POST", "/secrets/{serviceName}/rotate", rotate),
)

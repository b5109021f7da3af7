"""The short way beside `GET /secrets/{serviceName}`: a known caller reads what is in memory."""

from fountain_common.shortcuts import Answer, QuickRequest, Shortcut

from secrets_manager.parts import SecretsParts

_NO_STORE = (b"cache-control", b"no-store")
_JSON = (b"content-type", b"application/json")


async def read(request: QuickRequest) -> Answer | None:
    """Answer the values, or that they have not changed; everything else is for the operation itself."""
    caller = request.caller()
    if caller is None:
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


READ = Shortcut("GET", "/secrets/{serviceName}", read)

"""The short way beside `POST /notifications`: a known publisher says something well-formed."""

import time
from urllib.parse import quote

from fastapi.exceptions import RequestValidationError
from fountain_common.errors import Problem
from fountain_common.roles import Permission
from fountain_common.shortcuts import Answer, QuickRequest, Shortcut

from notification.board import Board
from notification.payloads import draft
from notification.publish_route import read_event, read_key

_JSON = (b"content-type", b"application/json")
_REPLAYED = (b"idempotency-replayed", b"true")


async def publish(request: QuickRequest) -> Answer | None:
    """Store an event and answer it; what is malformed or not allowed is for the operation itself."""
    caller = request.caller()
    if caller is None or not caller.may(Permission.EVENTS_PUBLISH):
        return None
    raw = await request.body()
    if raw is None:
        return None
    try:
        key = read_key(request.header(b"idempotency-key"))
        said = draft(read_event(raw), caller, time.time(), key)
    except (Problem, RequestValidationError):
        return None
    board: Board = request.app.state.board
    event, replayed = await board.log.append(said)
    board.metrics.published.inc()
    location = (b"location", b"/notifications/" + quote(event.id, safe="").encode())
    headers = (_JSON, location, _REPLAYED) if replayed else (_JSON, location)
    return Answer(201, event.at_time(time.time()).body, headers)


PUBLISH = Shortcut("POST", "/notifications", publish)

"""The short ways beside `POST /notifications` and `POST /notifications/batch`: a known publisher says
something well-formed.
"""

import time
from urllib.parse import quote

import orjson
from fastapi.exceptions import RequestValidationError
from fountain_common.errors import Problem
from fountain_common.roles import Permission
from fountain_common.shortcuts import Answer, QuickRequest, Shortcut

from notification.board import Board
from notification.payloads import draft
from notification.plain import plain_drafts
from notification.publish_route import read_event, read_key
from notification.routes_batches import batch_drafts, read_batch

_JSON = (b"content-type", b"application/json")
_REPLAYED = (b"idempotency-replayed", b"true")


async def publish(request: QuickRequest) -> Answer | None:
    """Store an event and return it; what is malformed or not allowed is for the operation itself."""
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
    if not replayed:
        board.metrics.published.inc()
    location = (b"location", b"/notifications/" + quote(event.id, safe="").encode())
    headers = (_JSON, location, _REPLAYED) if replayed else (_JSON, location)
    return Answer(201, event.at_time(time.time()).body, headers)


async def publish_batch(request: QuickRequest) -> Answer | None:
    """Store several events; as above."""
    caller = request.caller()
    if caller is None or not caller.may(Permission.EVENTS_PUBLISH):
        return None
    raw = await request.body()
    if raw is None or request.header(b"content-type") != "application/json":
        return None
    try:
        events, now = orjson.loads(raw), time.time()
        drafts = plain_drafts(events, caller, now) or batch_drafts(read_batch(events), caller, now)
    except (Problem, ValueError):
        return None
    board: Board = request.app.state.board
    outcomes = await board.log.append_batch(drafts)
    board.metrics.published.inc(sum(not replayed for _, replayed in outcomes))
    places = [{"id": event.id, "position": event.position} for event, _ in outcomes]
    return Answer(201, orjson.dumps({"items": places}), (_JSON,))


PUBLISH = Shortcut("POST", "/notifications", publish)
PUBLISH_BATCH = Shortcut("POST", "/notifications/batch", publish_batch)

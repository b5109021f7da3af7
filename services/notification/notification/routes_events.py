"""Publishing events and reading them back."""

import time
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fountain_common.errors import NotFound, problem_responses

from notification import repository
from notification.deps import PublishingCaller, ReadingCaller, board_of
from notification.event import Stored
from notification.filters import Filter, read_patterns
from notification.payloads import EventIn, draft
from notification.publish_route import PublishRoute
from notification.schemas import EventOut, EventPage

router = APIRouter(tags=["events"])
publishing = APIRouter(tags=["events"], route_class=PublishRoute)

Limit = Annotated[int, Query(ge=1, le=500, description="At most so many.")]
Types = Annotated[
    list[str] | None,
    Query(
        alias="type",
        description="Types, or patterns of them: `*` is one word, `>` the rest. Several may be given.",
    ),
]
_JSON = "application/json"


@publishing.post(
    "/notifications",
    operation_id="publishNotification",
    summary="Publish an event",
    status_code=201,
    response_model=EventOut,
    responses=problem_responses(409, 503),
)
async def publish_notification(
    body: EventIn,
    caller: PublishingCaller,
    request: Request,
    idempotency_key: Annotated[
        str | None,
        Header(min_length=1, max_length=255, description="Publishing again with it stores nothing more."),
    ] = None,
) -> Response:
    """Store an event and answer it, once it is durable. The same id or Idempotency-Key again answers the
    stored one.
    """
    board = board_of(request)
    event, replayed = await board.log.append(draft(body, caller, time.time(), idempotency_key))
    headers = {"Location": f"/notifications/{quote(event.id, safe='')}"}
    if not replayed:
        board.metrics.published.inc()
    else:
        headers["Idempotency-Replayed"] = "true"
    return Response(_shown(event), 201, media_type=_JSON, headers=headers)


@router.get(
    "/notifications", operation_id="listNotifications", summary="List events", response_model=EventPage
)
async def list_notifications(
    caller: ReadingCaller,
    request: Request,
    types: Types = None,
    source: Annotated[str | None, Query(max_length=255, description="The publisher.")] = None,
    subject: Annotated[str | None, Query(max_length=255, description="What they are about.")] = None,
    after: Annotated[int, Query(ge=0, le=2**63 - 1, description="Only those behind this position.")] = 0,
    limit: Limit = 50,
) -> Response:
    """Return events in the order of their positions; `next` is what `after` must be for more, or null."""
    wanted = Filter(caller.subject, read_patterns(types), source, subject)
    found, _ = await board_of(request).log.after(after, wanted, limit + 1)
    page = found[:limit]
    following = b"%d" % page[-1].position if len(found) > limit else b"null"
    return Response(
        b'{"items":[' + b",".join(event.body for event in page) + b'],"next":' + following + b"}",
        media_type=_JSON,
    )


@router.get(
    "/notifications/retained",
    operation_id="getRetainedNotification",
    summary="Get the newest event of a type",
    response_model=EventOut,
    responses=problem_responses(404),
)
async def get_retained_notification(
    caller: ReadingCaller,
    request: Request,
    type_: Annotated[str, Query(alias="type", max_length=255, description="The type, exactly.")],
    subject: Annotated[
        str | None, Query(max_length=255, description="What it is about; any if not given.")
    ] = None,
) -> Response:
    """Return the newest event of a type and subject; retention keeps it however old it is."""
    event = await board_of(request).database.read(
        lambda session: repository.retained_event(session, type_, subject, caller.subject),
        # Without a subject many events may be passed over that are for others alone.
        long=subject is None,
    )
    return _found(event)


# An id is whatever its publisher chose, slashes included. The paths above are no ids.
@router.get(
    "/notifications/{id:path}",
    operation_id="getNotification",
    summary="Get an event",
    response_model=EventOut,
    responses=problem_responses(404),
)
async def get_notification(
    id_: Annotated[str, Path(alias="id", max_length=255, description="The event's id.")],
    caller: ReadingCaller,
    request: Request,
    source: Annotated[
        str | None, Query(max_length=255, description="Its publisher, where two chose one id.")
    ] = None,
) -> Response:
    """Return one event."""
    event = await board_of(request).database.read(
        lambda session: repository.event_by_id(session, id_, caller.subject, source)
    )
    return _found(event)


def _found(event: Stored | None) -> Response:
    if event is None:
        raise NotFound("There is no such event, or it is not for you.")
    return Response(_shown(event), media_type=_JSON)


def _shown(event: Stored) -> bytes:
    return event.at_time(time.time()).body

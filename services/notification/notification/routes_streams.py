"""The stream of events."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from fountain_common.errors import problem_responses

from notification.deps import ReadingCaller, board_of
from notification.filters import Filter, read_about, read_patterns
from notification.routes_events import Types
from notification.sse import gap_frame, resume
from notification.stream_response import StreamResponse

router = APIRouter(tags=["events"])

STREAM_PATH = "/notifications/stream"


@router.get(
    STREAM_PATH,
    operation_id="streamNotifications",
    summary="Receive events as they happen",
    response_class=Response,
    responses={
        200: {
            "description": "Server-sent events: `id` is `<epoch>-<position>`, `data` a CloudEvent. "
            "An event `gap` says that some are missing.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        **problem_responses(503),
    },
)
async def stream_notifications(
    caller: ReadingCaller,
    request: Request,
    types: Types = None,
    about: Annotated[
        list[str] | None,
        Query(
            max_length=64,
            description="`pattern:subject`: of the types that the pattern covers only what is about this "
            "subject. Several may be given.",
            examples=[["secret.*:example-consumer"]],
        ),
    ] = None,
    last_event_id: Annotated[
        str | None,
        Header(max_length=255, description="Resume behind this event; without it, begin at the present."),
    ] = None,
) -> Response:
    """Hold a stream open. It ends with the token; reconnecting with `Last-Event-ID` loses nothing."""
    wanted = Filter(caller.subject, read_patterns(types), about=read_about(about))
    board = board_of(request)
    log = board.log
    removed = log.removed_through(wanted)
    start = resume(last_event_id, epoch=log.epoch, latest=log.latest, removed_through=removed)
    first = gap_frame(log.epoch, start.after, removed + 1, log.latest) if start.gap else b""
    reader = board.streams.join(caller, wanted, start.after)
    reader.told_gone = removed
    # Who has not seen an event yet learns here where to resume if the connection breaks before the first.
    return StreamResponse(
        board.streams,
        reader,
        first,
        board.settings.stream_stall_seconds,
        {"Last-Event-ID": f"{log.epoch}-{start.after}"},
    )

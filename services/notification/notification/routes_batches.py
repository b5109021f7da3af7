"""Publishing several events in one request: what an outbox does that has many to hand on."""

import time
from typing import Annotated

from fastapi import APIRouter, Body, Request
from fountain_common.errors import Problem, problem_responses
from pydantic import BaseModel, Field

from notification.deps import PublishingCaller, board_of
from notification.payloads import CloudEventIn, Text, draft

MAX_EVENTS = 250

router = APIRouter(tags=["events"])


class NamedEventIn(CloudEventIn):
    """A CloudEvent 1.0 with an id of its publisher's own, by which it is known when it is sent again."""

    id: Text


class Place(BaseModel):
    """Where an event is in the log."""

    id: str = Field(description="Its id in the log: as sent, unless an Idempotency-Key was that id before.")
    position: int


class BatchOut(BaseModel):
    """The places of the events, in the order in which they were sent."""

    items: list[Place]


@router.post(
    "/notifications/batch",
    operation_id="publishNotificationBatch",
    summary="Publish several events",
    status_code=201,
    responses=problem_responses(409, 503),
)
async def publish_notification_batch(
    events: Annotated[list[NamedEventIn], Body(min_length=1, max_length=MAX_EVENTS)],
    caller: PublishingCaller,
    request: Request,
) -> BatchOut:
    """Store events in this order, in one transaction, and answer once they are durable. If one of them may
    not be published, or its id is another event's already, none is stored. Sent again, each is stored once.
    """
    board = board_of(request)
    now = time.time()
    drafts = []
    for number, event in enumerate(events):
        try:
            drafts.append(draft(event, caller, now, event.id))
        except Problem as problem:
            problem.detail = f"Event {number} of the batch: {problem.detail}"
            raise
    outcomes = await board.log.append_batch(drafts)
    board.metrics.published.inc(sum(not replayed for _, replayed in outcomes))
    return BatchOut(items=[Place(id=event.id, position=event.position) for event, _ in outcomes])

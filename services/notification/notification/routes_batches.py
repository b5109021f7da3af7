"""Publishing several events in one request: what an outbox does that has many to hand on."""

import time
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request
from fountain_common.errors import Problem, problem_responses
from fountain_common.tokens import Caller
from pydantic import BaseModel, Field, TypeAdapter

from notification.deps import PublishingCaller, board_of
from notification.event import Draft
from notification.payloads import CloudEventIn, Text, draft

MAX_EVENTS = 500

router = APIRouter(tags=["events"])


class NamedEventIn(CloudEventIn):
    """A CloudEvent 1.0 with an id of its publisher's own, by which it is known when it is sent again."""

    id: Text


Batch = Annotated[list[NamedEventIn], Field(min_length=1, max_length=MAX_EVENTS)]
_BATCH: TypeAdapter[list[NamedEventIn]] = TypeAdapter(Batch)


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
    events: Annotated[Batch, Body()],
    caller: PublishingCaller,
    request: Request,
) -> BatchOut:
    """Store events in this order, in one transaction, and answer once they are durable. If one of them may
    not be published, or its id is another event's already, none is stored. Sent again, each is stored once.
    """
    board = board_of(request)
    outcomes = await board.log.append_batch(batch_drafts(events, caller, time.time()))
    board.metrics.published.inc(sum(not replayed for _, replayed in outcomes))
    return BatchOut(items=[Place(id=event.id, position=event.position) for event, _ in outcomes])


def read_batch(events: Any) -> list[NamedEventIn]:
    """Return the events of a request's JSON; ValueError if these are none."""
    return _BATCH.validate_python(events)


def batch_drafts(events: Sequence[NamedEventIn], caller: Caller, now: float) -> list[Draft]:
    """Return what these events mean. Raises as `draft`, and says which of them it is about."""
    drafts = []
    for number, event in enumerate(events):
        try:
            drafts.append(draft(event, caller, now, event.id))
        except Problem as problem:
            problem.detail = f"Event {number} of the batch: {problem.detail}"
            raise
    return drafts

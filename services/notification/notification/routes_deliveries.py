"""Deliveries: what was sent, what came back, and sending it again."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from fountain_common.errors import BadRequest, problem_responses

from notification.deps import SubscriptionReader, SubscriptionReplayer, board_of
from notification.repository_deliveries import Attempt, list_deliveries
from notification.routes_subscriptions import Name, moment
from notification.schemas import AttemptOut, DeliveryOut, DeliveryPage, Redelivery

router = APIRouter(tags=["subscriptions"])


@router.get(
    "/subscriptions/{name}/deliveries",
    operation_id="listDeliveries",
    summary="List a subscription's deliveries",
    responses=problem_responses(404),
)
async def list_of_deliveries(
    name: Name,
    caller: SubscriptionReader,
    request: Request,
    status: Annotated[
        Literal["pending", "delivered", "dead", "dropped"] | None,
        Query(description="Only those; dead ones were given up."),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=500, description="At most so many.")] = 50,
    cursor: Annotated[str | None, Query(max_length=20, description="From `next` of the page before.")] = None,
) -> DeliveryPage:
    """Return deliveries, the newest events first, with every attempt. What a receiver answered is shown to
    whoever owned the subscription then, and to nobody else.
    """
    await board_of(request).subscriptions.get(name)
    before = _number(cursor) if cursor is not None else None
    found = await board_of(request).database.read(
        lambda session: list_deliveries(session, name, status, before, limit + 1), long=True
    )
    page = found[:limit]
    items = [_delivery(row, caller.subject) for row in page]
    return DeliveryPage(items=items, next=str(page[-1]["position"]) if len(found) > limit else None)


@router.post(
    "/deliveries/{id}/redeliver",
    operation_id="redeliverDelivery",
    summary="Deliver one event again",
    status_code=202,
    responses=problem_responses(404, 409),
)
async def redeliver_delivery(
    id_: Annotated[str, Path(alias="id", max_length=20, description="The delivery's id.")],
    caller: SubscriptionReplayer,
    request: Request,
) -> Redelivery:
    """Have one delivery made again, with its whole schedule before it."""
    return Redelivery(
        id=id_, subscription=await board_of(request).subscriptions.redeliver(caller, _number(id_))
    )


def _number(raw: str) -> int:
    if not (raw.isascii() and raw.isdigit() and len(raw) < 19):
        raise BadRequest("This is not the id of a delivery.")
    return int(raw)


def _delivery(row: dict[str, Any], reader: str) -> DeliveryOut:
    # That there is an event for somebody else alone is no secret here; what it is called is.
    hidden = row["recipient"] not in (None, "", reader)
    finished = row["finished_at"]
    return DeliveryOut(
        id=str(row["id"]),
        subscription=row["subscription"],
        status=row["status"],
        position=row["position"],
        event_id=None if hidden else row["event_id"],
        source=None if hidden else row["source"],
        type=None if hidden else row["type"],
        # Whom a removed event was for cannot be told any more.
        subject=None if hidden or row["event_id"] is None else row["subject"] or None,
        created_at=moment(row["created_at"]),
        next_attempt_at=moment(row["next_at"]) if row["status"] == "pending" else None,
        finished_at=moment(finished) if finished is not None else None,
        attempts=[_attempt(attempt, reader) for attempt in row["tried"]],
    )


def _attempt(attempt: Attempt, reader: str) -> AttemptOut:
    return AttemptOut(
        at=moment(attempt.at),
        latency_ms=attempt.latency_ms,
        status_code=attempt.status_code,
        error=attempt.error,
        answer=attempt.answer.decode("utf-8", "replace") if attempt.owner == reader else None,
    )

"""Subscriptions: who wants which events where."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from fountain_common.errors import problem_responses

from notification.deps import SubscriptionReader, SubscriptionReplayer, SubscriptionWriter, board_of
from notification.schemas import (
    NewSecret,
    ReplayIn,
    ReplayOut,
    SubscriptionIn,
    SubscriptionOut,
    SubscriptionPage,
    SubscriptionWithSecret,
)
from notification.subscription import Options, Subscription
from notification.subscriptions import Wish

router = APIRouter(tags=["subscriptions"])

Name = Annotated[
    str,
    Path(
        pattern="^[a-z0-9][a-z0-9-]{0,62}$", description="Lower-case letters, digits and hyphens, at most 63."
    ),
]


@router.put(
    "/subscriptions/{name}",
    operation_id="putSubscription",
    summary="Make or change a subscription",
    responses={
        201: {"model": SubscriptionWithSecret, "description": "It was made."},
        **problem_responses(409, 503),
    },
)
async def put_subscription(
    name: Name, body: SubscriptionIn, caller: SubscriptionWriter, request: Request, response: Response
) -> SubscriptionWithSecret:
    """Make a subscription, which gets what is published from now on; 201 with its signing secret, once. Or
    change it: 200, and it goes on where it was. It becomes an admin's own when he changes its receiver.
    """
    put = await board_of(request).subscriptions.put(caller, name, _wish(body))
    response.status_code = 201 if put.secret is not None else 200
    return SubscriptionWithSecret(**shown(put.subscription).model_dump(), signing_secret=put.secret)


def _wish(body: SubscriptionIn) -> Wish:
    options = Options(
        timeout_seconds=body.timeout_seconds,
        concurrency=body.concurrency,
        schedule=tuple(body.schedule_seconds) if body.schedule_seconds is not None else None,
        subject=body.subject,
        source=body.source,
    )
    return Wish(tuple(sorted(set(body.types))), body.service, body.callback_url, options, body.enabled)


@router.get("/subscriptions", operation_id="listSubscriptions", summary="List subscriptions")
async def list_subscriptions(
    _caller: SubscriptionReader,
    request: Request,
    limit: Annotated[int, Query(ge=1, le=500, description="At most so many.")] = 50,
    cursor: Annotated[str, Query(max_length=63, description="From `next` of the page before.")] = "",
) -> SubscriptionPage:
    """Return subscriptions by name."""
    found = await board_of(request).subscriptions.page(cursor, limit + 1)
    page = found[:limit]
    return SubscriptionPage(
        items=[shown(subscription) for subscription in page],
        next=page[-1].name if len(found) > limit else None,
    )


@router.get(
    "/subscriptions/{name}",
    operation_id="getSubscription",
    summary="Get a subscription",
    responses=problem_responses(404),
)
async def get_subscription(name: Name, _caller: SubscriptionReader, request: Request) -> SubscriptionOut:
    """Return a subscription, without its secret."""
    return shown(await board_of(request).subscriptions.get(name))


@router.delete(
    "/subscriptions/{name}",
    operation_id="deleteSubscription",
    summary="Remove a subscription",
    status_code=204,
    responses=problem_responses(404),
)
async def delete_subscription(name: Name, caller: SubscriptionWriter, request: Request) -> None:
    """Remove a subscription with its deliveries."""
    await board_of(request).subscriptions.delete(caller, name)


@router.post(
    "/subscriptions/{name}/secret/rotate",
    operation_id="rotateSubscriptionSecret",
    summary="Replace a signing secret",
    responses=problem_responses(404, 503),
)
async def rotate_subscription_secret(name: Name, caller: SubscriptionWriter, request: Request) -> NewSecret:
    """Make a new signing secret and show it once. For 24 hours deliveries are signed with both."""
    secret, until = await board_of(request).subscriptions.rotate_secret(caller, name)
    return NewSecret(signing_secret=secret, previous_signs_until=moment(until))


@router.post(
    "/subscriptions/{name}/replay",
    operation_id="replaySubscription",
    summary="Deliver past events again",
    responses=problem_responses(404),
)
async def replay_subscription(
    name: Name, body: ReplayIn, caller: SubscriptionReplayer, request: Request
) -> ReplayOut:
    """Have past events delivered again, with the same ids, in order; `dry_run` only counts them."""
    count = await board_of(request).subscriptions.replay(
        caller,
        name,
        after=body.after,
        since=body.since.timestamp() if body.since is not None else None,
        missing=bool(body.missing),
        dry_run=body.dry_run,
    )
    return ReplayOut(count=count, dry_run=body.dry_run)


def moment(unix: float) -> datetime:
    """Return unix seconds as a moment."""
    return datetime.fromtimestamp(unix, UTC)


def shown(subscription: Subscription) -> SubscriptionOut:
    """Return what may be shown of a subscription."""
    options = subscription.options
    return SubscriptionOut(
        name=subscription.name,
        owner=subscription.owner,
        types=list(subscription.types),
        callback_url=subscription.callback_url,
        service=subscription.service,
        subject=options.subject,
        source=options.source,
        enabled=subscription.enabled,
        disabled_reason=subscription.disabled_reason,
        timeout_seconds=options.timeout_seconds,
        concurrency=options.concurrency,
        schedule_seconds=list(options.schedule) if options.schedule is not None else None,
        had=subscription.had,
        missed_through=subscription.missed_through,
        failing_since=moment(subscription.failing_since) if subscription.failing_since is not None else None,
        created_at=moment(subscription.created_at),
        updated_at=moment(subscription.updated_at),
    )

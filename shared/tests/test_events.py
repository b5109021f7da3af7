"""Events: published and heard."""

import asyncio
from typing import Any

import httpx2
import pytest
from fountain_common.errors import Forbidden, PayloadTooLarge, Unavailable, Unprocessable
from fountain_common.event import Event
from fountain_common.events import MAX_WAITING, MOST_ABOUT, Events
from fountain_common.platform import Platform
from fountain_common.testing import World
from prometheus_client import CollectorRegistry
from waiting import until


@pytest.fixture
def events(platform: Platform) -> Events:
    assert platform.events is not None
    return platform.events


async def test_handlers_run_for_the_types_that_they_named(
    events: Events, platform: Platform, world: World
) -> None:
    heard: list[tuple[str, str]] = []
    for pattern in ("order.*", ">", "order.placed", "stock.*"):

        async def remember(event: Event, pattern: str = pattern) -> None:
            heard.append((pattern, event.type))

        events.on(pattern)(remember)
    await platform.announce()
    world.notification.emit("order.placed", "7")
    await until(lambda: ("order.placed", "order.placed") in heard)
    assert [pattern for pattern, event_type in heard if event_type == "order.placed"] == [
        "order.*",
        ">",
        "order.placed",
    ]


async def test_a_handler_that_raises_is_counted_and_the_stream_goes_on(
    events: Events, platform: Platform, world: World
) -> None:
    heard: list[Any] = []

    @events.on("order.*")
    async def raises(event: Event) -> None:
        raise RuntimeError("no")

    @events.on("order.*")
    async def remembers(event: Event) -> None:
        heard.append(event.data)

    await platform.announce()
    for number in range(3):
        world.notification.emit("order.placed", data=number)
    await until(lambda: heard == [0, 1, 2])
    assert platform.metrics.registry.get_sample_value("fountain_event_handler_failures_total") == 3


async def test_what_arrives_before_the_service_is_ready_waits_for_it(
    events: Events, platform: Platform, world: World
) -> None:
    heard: list[str] = []

    @events.on("order.*")
    async def remember(event: Event) -> None:
        heard.append(event.type)

    world.notification.emit("order.placed")
    await until(lambda: platform.metrics.registry.get_sample_value("fountain_events_received_total") == 1)
    assert heard == []
    await platform.announce()
    await until(lambda: heard)


async def test_an_event_that_is_delivered_and_streamed_is_handled_once(
    events: Events, platform: Platform, world: World
) -> None:
    heard: list[str] = []

    @events.on("order.*")
    async def remember(event: Event) -> None:
        heard.append(event.id)

    await platform.announce()
    event = Event.model_validate(world.notification.emit("order.placed"))
    assert await events.receive(event)
    await until(lambda: heard)
    assert await events.receive(event)
    assert heard == [event.id]


async def test_a_failed_delivery_is_handled_again(events: Events) -> None:
    outcomes = [RuntimeError("not yet"), None]

    @events.on("order.*")
    async def second_time_lucky(event: Event) -> None:
        outcome = outcomes.pop(0)
        if outcome is not None:
            raise outcome

    event = Event(type="order.placed", id="1", source="shop")
    assert not await events.receive(event)
    assert await events.receive(event)


async def test_a_published_event_is_stored_once_however_often_it_is_sent(
    events: Events, world: World
) -> None:
    one = await events.publish("order.placed", "7", {"total": 3}, idempotency_key="k")
    two = await events.publish("order.placed", "7", {"total": 3}, idempotency_key="k")
    assert one == two
    assert (one.source, one.subject, one.data) == ("orders", "7", {"total": 3})
    assert len(world.notification.events("order.placed")) == 1


async def test_a_publish_that_broke_on_the_way_is_sent_again(events: Events, world: World) -> None:
    real, broken = world.notification.handle, []

    def breaks_once(request: httpx2.Request) -> httpx2.Response:
        answer = real(request)
        if request.method == "POST" and not broken:
            broken.append(1)
            raise httpx2.ReadError("gone", request=request)
        return answer

    world.notification.handle = breaks_once  # type: ignore[method-assign]
    await events.publish("order.placed")
    assert len(world.notification.events("order.placed")) == 1


@pytest.mark.parametrize(
    ("status", "kind"), [(403, Forbidden), (413, PayloadTooLarge), (422, Unprocessable), (500, Unavailable)]
)
async def test_a_refused_event_says_why(
    events: Events, world: World, status: int, kind: type[Exception]
) -> None:
    real = world.notification.handle
    world.notification.handle = lambda request: (  # type: ignore[method-assign]
        httpx2.Response(status, json={"detail": "because"}) if request.method == "POST" else real(request)
    )
    with pytest.raises(kind, match="because"):
        await events.publish("order.placed")


async def test_with_notification_away_publishing_says_so(events: Events, world: World) -> None:
    world.notification.down = True
    with pytest.raises(Unavailable):
        await events.publish("order.placed")


@pytest.mark.parametrize("text", ["", "a b", "secret.*", "a..b"])
async def test_a_type_that_is_none_is_refused_before_it_is_sent(events: Events, text: str) -> None:
    with pytest.raises(Unprocessable):
        await events.publish(text)
    with pytest.raises(ValueError, match="pattern"):
        events.on(text + " ")


async def test_secrets_of_others_are_not_listened_to(
    events: Events, platform: Platform, world: World
) -> None:
    assert platform.secrets is not None
    assert events.interest().about == (("secret.*", "orders"),)
    heard = world.notification.readers
    await platform.secrets.granted("billing")
    assert events.interest().about == (("secret.*", "billing"), ("secret.*", "orders"))
    assert (world.notification.readers, events.connected) == (heard + 1, True)


async def test_of_very_many_secrets_all_is_heard(events: Events, platform: Platform) -> None:
    assert platform.secrets is not None
    platform.secrets._others = {f"other-{number}": platform.secrets for number in range(MOST_ABOUT)}
    assert events.interest().about == ()
    platform.secrets._others.popitem()
    assert len(events.interest().about) == MOST_ABOUT
    platform.secrets._others.clear()


async def test_who_begins_to_listen_while_the_service_runs_is_heard_too(events: Events, world: World) -> None:
    heard: list[str] = []
    await until(lambda: events.connected)

    @events.on("order.*")
    async def orders(event: Event) -> None:
        heard.append(event.type)

    @events.on("link.*")
    async def links(event: Event) -> None:
        heard.append(event.type)

    events.ready()
    world.notification.emit("order.placed")
    world.notification.emit("link.made")
    await until(lambda: heard == ["order.placed", "link.made"])


async def test_who_listens_to_secrets_himself_hears_of_all(events: Events, world: World) -> None:
    heard: list[str | None] = []

    @events.on("secret.rotated")
    async def remember(event: Event) -> None:
        heard.append(event.subject)

    assert "secret.rotated" in events.interest().types
    assert events.interest().about == ()


async def test_a_handler_that_hangs_keeps_nothing_from_being_heard(
    events: Events, platform: Platform, world: World
) -> None:
    told: list[int] = []
    heard: list[str | None] = []

    @events.on("order.*")
    async def hangs(event: Event) -> None:
        await asyncio.Event().wait()

    @events.on_gap
    async def remember() -> None:
        told.append(1)

    events.internal("identity.*", lambda event: heard.append(event.subject))
    await platform.announce()
    for _ in range(MAX_WAITING + 10):
        world.notification.emit("order.placed")
    world.notification.emit("identity.revoked", "eve")
    await until(lambda: heard == ["eve"])
    await until(lambda: told)
    dropped = platform.metrics.registry.get_sample_value("fountain_events_dropped_total")
    assert dropped is not None
    assert 1 <= dropped <= 10


def test_they_may_be_started_again_in_another_event_loop() -> None:
    events = Events(None, None, registry=CollectorRegistry())
    handled: list[str] = []

    @events.on("order.*")
    async def handle(event: Event) -> None:
        await asyncio.sleep(0)
        handled.append(event.id)

    async def live(loop: str) -> None:
        await events.start()
        events.ready()
        placed = [
            Event(id=f"{loop}{number}", type="order.placed", source="orders", time="2030-01-01T00:00:00Z")
            for number in range(3)
        ]
        # Side by side: a lock belongs to a loop from when one waits for it.
        await asyncio.gather(*map(events.receive, placed))
        await events.stop()

    for loop in "ab":
        asyncio.run(live(loop))
    assert handled == ["a0", "a1", "a2", "b0", "b1", "b2"]

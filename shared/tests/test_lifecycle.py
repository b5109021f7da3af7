"""What a service says about itself."""

import asyncio
from typing import Any

import pytest
from fountain_common import lifecycle
from fountain_common.errors import Forbidden, Problem, Unavailable
from fountain_common.events import Events
from fountain_common.health import Health
from fountain_common.lifecycle import LifecycleNews
from fountain_common.publisher import TokenNotHonoured
from waiting import until


class Log:
    """Stores what is published."""

    def __init__(self) -> None:
        self.stored: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.error: Exception | None = None

    async def publish(self, event: dict[str, Any], idempotency_key: str) -> dict[str, Any]:
        self.keys.append(idempotency_key)
        if self.error is not None:
            raise self.error
        self.stored.append(event)
        return {"id": "1", "source": "orders", **event}

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.stored]


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def health() -> Health:
    return Health("orders", clock=iter(range(0, 10**6, 10)).__next__)


@pytest.fixture
async def news(log: Log, health: Health, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(lifecycle, "LOOK_SECONDS", 0.01)
    news = LifecycleNews("orders", "i1", Events(log, None), health)
    yield news
    await news.stop()


async def test_it_says_that_it_started_and_that_it_stops(news: LifecycleNews, log: Log) -> None:
    await news.start()
    await news.stop()
    assert log.types == ["service.started", "service.stopping"]
    assert log.stored[0]["subject"] == "orders"
    assert log.stored[0]["data"]["instance_id"] == "i1"


async def test_it_says_when_something_is_missing_and_when_it_is_back(
    news: LifecycleNews, log: Log, health: Health
) -> None:
    well = True

    async def check() -> bool:
        return well

    health.add("database", check)
    await news.start()
    well = False
    await until(lambda: "service.degraded" in log.types)
    well = True
    await until(lambda: "service.recovered" in log.types)
    assert log.types == ["service.started", "service.degraded", "service.recovered"]
    assert log.stored[1]["data"]["degraded"] == ["database"]


@pytest.mark.parametrize("error", [Unavailable("away"), TokenNotHonoured("not yet")])
async def test_what_cannot_be_said_now_is_said_later_under_the_same_key(
    news: LifecycleNews, log: Log, error: Problem
) -> None:
    log.error = error
    await news.start()
    await until(lambda: log.keys)
    log.error = None
    await until(lambda: log.types)
    assert len(set(log.keys)) == 1


async def test_what_is_refused_is_not_said_again(news: LifecycleNews, log: Log) -> None:
    log.error = Forbidden("no")
    await news.start()
    await until(lambda: log.keys)
    log.error = None
    news.say("service.degraded")
    await until(lambda: log.types)
    assert log.types == ["service.degraded"]


async def test_with_nobody_listening_a_stop_takes_a_second_at_most(news: LifecycleNews, log: Log) -> None:
    log.error = Unavailable("away")
    await news.start()
    async with asyncio.timeout(2):
        await news.stop()


async def test_old_news_give_way_to_new_ones(news: LifecycleNews, log: Log) -> None:
    log.error = Unavailable("away")
    await news.start()
    for number in range(100):
        news.say("service.degraded", number=number)
    log.error = None
    await until(lambda: log.stored and log.stored[-1]["data"].get("number") == 99)
    assert len(log.stored) <= lifecycle.MAX_WAITING + 1

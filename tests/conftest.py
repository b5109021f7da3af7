"""One running platform for all journeys: `pytest tests --runtime=local`, `--runtime=docker`, or both."""

from collections.abc import Iterator

import instances as every
import pytest
import repeating
import stacks
from fountain_cli.stack import ComposeStack, LocalStack, Ports, Stack
from fountain_cli.stack.layout import repository, services
from instances import Instance
from steward import CONSUMER, Replica, Steward

from chaos.stacks import started

_WHERE = ("stack", "machine")
"""The fixtures that are a platform in one of the runtimes."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--runtime",
        action="append",
        choices=("local", "docker"),
        help="where the platform runs: as local processes (default) or in containers; may be given twice",
    )
    parser.addoption(
        "--thorough",
        action="store_true",
        help="run in both runtimes what is else run in the one that is named by its mark, for its length",
    )
    parser.addoption(
        "--chaos-seed",
        type=int,
        default=7,
        help="which parts are broken when; the same draws the same (default 7)",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "mainly(runtime): long, and else run in this runtime alone")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--thorough"):
        return
    for item in items:
        mark = item.get_closest_marker("mainly")
        given = getattr(item, "callspec", None)
        runtimes = set() if given is None or mark is None else {given.params.get(name) for name in _WHERE}
        if mark is not None and runtimes - {None} and mark.args[0] not in runtimes:
            item.add_marker(
                pytest.mark.skip(f"long: run with {mark.args[0]}; in both by make test thorough=1")
            )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in repeating.commands(terminalreporter.stats):
        terminalreporter.write_line(line)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "stack" in metafunc.fixturenames:
        runtimes = metafunc.config.getoption("--runtime") or ["local"]
        metafunc.parametrize("stack", runtimes, indirect=True, scope="session")


@pytest.fixture(scope="session")
def ports() -> Ports:
    """Free ports for a platform of our own, beside whatever else runs here."""
    return Ports.free(services(repository()))


@pytest.fixture(scope="session")
def stack(
    request: pytest.FixtureRequest, ports: Ports, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """The platform, gone afterwards with all that it held."""
    stack: LocalStack | ComposeStack
    if request.param == "local":
        stack = stacks.local(tmp_path_factory.mktemp("state"), ports)
    else:
        stack = stacks.compose(ports)
    with started(stack):
        yield stack


@pytest.fixture(scope="session")
def steward(stack: Stack) -> Steward:
    return Steward(stack)


@pytest.fixture
def replicas(steward: Steward) -> Iterator[list[Replica]]:
    """Every instance of the consumer, each by itself."""
    found = [Replica(steward, number) for number in range(steward.stack.replicas(CONSUMER))]
    yield found
    for replica in found:
        replica.client.close()


@pytest.fixture
def instances(stack: Stack) -> Iterator[list[Instance]]:
    """Every instance of every service, each by itself."""
    found = every.instances(stack)
    yield found
    for instance in found:
        instance.client.close()

"""One running platform for all journeys: `pytest tests --runtime=local`, `--runtime=compose`, or both."""

from collections.abc import Iterator

import pytest
from fountain_cli.stack import ComposeStack, LocalStack, Ports, Stack
from fountain_cli.stack.layout import repository, services
from steward import CONSUMER, REPLICAS, Replica, Steward

SETTINGS = {
    # Short enough to wait for where no events come, and too long to be of help where they should.
    "FOUNTAIN_SECRETS_RENEW_SECONDS": "5",
    # A rotation waits so long for an instance that was killed.
    "FOUNTAIN_HOLDER_SECONDS": "15",
    # Those who receive webhooks are on this machine.
    "FOUNTAIN_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--runtime",
        action="append",
        choices=("local", "compose"),
        help="where the platform runs: as local processes (default) or in containers; may be given twice",
    )
    parser.addoption(
        "--chaos-seed",
        type=int,
        default=7,
        help="which parts are broken when; the same draws the same (default 7)",
    )


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
    stack: Stack
    if request.param == "local":
        stack = LocalStack(tmp_path_factory.mktemp("state"), ports, {CONSUMER: REPLICAS}, settings=SETTINGS)
    else:
        stack = ComposeStack(
            "fountain-e2e",
            http_port=ports.http,
            https_port=ports.https,
            network="fountain-e2e",
            replicas={CONSUMER: REPLICAS},
            files=("compose.yaml", "tests/compose.yaml"),
            settings=SETTINGS,
        )
    try:
        stack.start()
        yield stack
    finally:
        stack.stop(remove=True)


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

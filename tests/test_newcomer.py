"""A service that nobody configured: there as soon as it is well, gone as soon as it has gone."""

import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from fountain_cli.stack import Stack
from fountain_cli.stack.layout import repository
from fountain_cli.stack.ports import free_ports
from polling import poll_until
from steward import Steward
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

NAME = "guest-book"
FOLDER = Path(__file__).parent / "newcomer"
_START_SECONDS, _SEEN_SECONDS, _LOST_SECONDS = 30, 2, 35


class Newcomer:
    """Processes of the guest book beside a local stack, under an identity that an administrator made.

    Args:
        steward: the administrator.
        folder: where its key and its data are.
    """

    def __init__(self, steward: Steward, folder: Path) -> None:
        self.steward, self._folder = steward, folder
        identity = folder / "identity"
        identity.mkdir()
        steward.manager("POST", "/identities", json={"name": NAME, "kind": "service", "roles": ["service"]})
        steward.manager("POST", f"/secrets/{NAME}", json={})
        key = steward.manager("POST", f"/identities/{NAME}/keys", json={})["api_key"]
        (identity / "api-key").write_text(key)
        (identity / "ca.pem").write_text(steward.stack.issuer_ca())

    def start(self) -> subprocess.Popen[bytes]:
        """Start a process, and answer when it is healthy."""
        [port] = free_ports(1)
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("FOUNTAIN_")},
            "PYTHONPATH": str(repository() / "shared"),
            "FOUNTAIN_RUNTIME": "local",
            "FOUNTAIN_HOST": "127.0.0.1",
            "FOUNTAIN_PORT": str(port),
            "FOUNTAIN_GATEWAY_URL": self.steward.stack.address("gateway-lookup"),
            "FOUNTAIN_IDENTITY_DIR": str(self._folder / "identity"),
            "FOUNTAIN_DATA_DIR": str(self._folder),
        }
        with (self._folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "entrypoint.py"], cwd=FOLDER, env=environment, stdout=log, stderr=log
            )
        poll_until(
            lambda: httpx2.get(f"http://127.0.0.1:{port}/health").status_code == 200,
            "the newcomer is healthy",
            _START_SECONDS,
        )
        return process

    def answers(self) -> bool:
        """Tell whether it is reached under its own name."""
        answer = self.steward.at(NAME).get("/health")
        return answer.status_code == 200 and answer.json()["service"] == NAME

    def is_unknown(self) -> bool:
        """Tell whether its name gives the gateway's page for names that there are not."""
        # The edge goes on trying one that is leased and silent; nobody need wait for that here.
        with self.steward.stack.client(NAME, timeout=1) as client:
            answer = client.get("/health", headers={"Accept": "text/html"})
        return answer.status_code == 404 and "text/html" in answer.headers["content-type"]

    def talk(self, stack: Stack, headers: dict[str, str]) -> ClientConnection:
        """Open a WebSocket to it through the edge."""
        url = urlsplit(stack.url(NAME))
        return connect(
            f"wss://{url.netloc}/talk",
            sock=socket.create_connection(("127.0.0.1", url.port or 443), timeout=10),
            ssl=ssl.create_default_context(cafile=stack.ca()),
            additional_headers=headers,
        )


@pytest.fixture(scope="module")
def newcomer(steward: Steward, tmp_path_factory: pytest.TempPathFactory) -> Newcomer:
    if steward.stack.runtime != "local":
        pytest.skip("a process beside the stack joins local processes alone")
    return Newcomer(steward, tmp_path_factory.mktemp("newcomer"))


@pytest.fixture
def process(newcomer: Newcomer) -> Iterator[subprocess.Popen[bytes]]:
    """One process of it, reached through the edge."""
    process = newcomer.start()
    poll_until(newcomer.answers, f"{NAME} answers through the edge", _SEEN_SECONDS)
    yield process
    # In good order: the lease of one that was killed would be in the way of the next for half a minute.
    process.terminate()
    process.wait(15)


def test_it_takes_bodies_and_streams_under_its_own_name(
    steward: Steward, process: subprocess.Popen[bytes]
) -> None:
    headers = steward.headers(NAME)
    with steward.stack.client(NAME).stream("GET", "/entries", headers=headers) as stream:
        lines = stream.iter_lines()
        assert next(lines) == "reading"
        for text in ("Ann", "Bob", ""):
            written = steward.ask("POST", NAME, "/entries", json={"text": text})
            assert (written.status_code, written.json()) == (201, {"text": text})
            # What was written arrives while the answer goes on.
            assert next(lines, "") == text


def test_it_opens_websockets_to_those_whom_it_knows(
    steward: Steward, newcomer: Newcomer, process: subprocess.Popen[bytes]
) -> None:
    with newcomer.talk(steward.stack, steward.headers(NAME)) as talk:
        for text in ("hello", "x" * 100_000):
            talk.send(text)
            assert str(talk.recv(timeout=10)).endswith(f": {text}")
    with pytest.raises(InvalidStatus) as refused:
        newcomer.talk(steward.stack, {})
    assert refused.value.response.status_code == 401


def test_it_is_on_the_portal_and_in_the_catalog(steward: Steward, process: subprocess.Popen[bytes]) -> None:
    poll_until(lambda: "Guest Book" in steward.at("").get("/").text, "the portal shows its title", 5)
    listed = steward.ask("GET", "gateway-lookup", "/catalog").json()
    assert NAME in {item["service_name"] for item in listed["services"]}


def test_stopped_its_name_is_unknown_within_two_seconds(
    newcomer: Newcomer, process: subprocess.Popen[bytes]
) -> None:
    process.terminate()
    assert process.wait(15) == 0
    poll_until(newcomer.is_unknown, f"{NAME} is unknown", _SEEN_SECONDS)


def test_killed_its_name_is_unknown_when_its_lease_has_run_out(
    newcomer: Newcomer, process: subprocess.Popen[bytes]
) -> None:
    process.kill()
    started = time.monotonic()
    poll_until(newcomer.is_unknown, f"{NAME} is unknown", _LOST_SECONDS)
    assert time.monotonic() - started < _LOST_SECONDS

"""A service that nobody configured: there as soon as it is well, gone as soon as it has gone."""

import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import guests
import pytest
from guests import NAME, Guest
from polling import poll_until
from steward import Steward
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

_SEEN_SECONDS, _LOST_SECONDS = 2, 35


class Newcomer:
    """Instances of the guest book beside a stack, under an identity that an administrator made.

    Args:
        steward: the administrator.
        folder: where its key and its log are.
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

    def start(self) -> Guest:
        """Start an instance, and return when it is healthy."""
        return guests.start(self.steward.stack, self._folder)

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

    def talk(self, headers: dict[str, str]) -> ClientConnection:
        """Open a WebSocket to it through the edge."""
        stack = self.steward.stack
        url = urlsplit(stack.url(NAME))
        return connect(
            f"wss://{url.netloc}/talk",
            sock=socket.create_connection(("127.0.0.1", url.port or 443), timeout=10),
            ssl=ssl.create_default_context(cafile=stack.ca()),
            additional_headers=headers,
        )


@pytest.fixture(scope="module")
def newcomer(steward: Steward, tmp_path_factory: pytest.TempPathFactory) -> Newcomer:
    return Newcomer(steward, tmp_path_factory.mktemp("newcomer"))


@pytest.fixture(scope="module")
def guest(newcomer: Newcomer) -> Iterator[Guest]:
    """One instance of it, reached through the edge."""
    guest = newcomer.start()
    try:
        poll_until(newcomer.answers, f"{NAME} answers through the edge", _SEEN_SECONDS)
        yield guest
    finally:
        guest.remove()


def test_it_takes_bodies_and_streams_under_its_own_name(steward: Steward, guest: Guest) -> None:
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
    steward: Steward, newcomer: Newcomer, guest: Guest
) -> None:
    with newcomer.talk(steward.headers(NAME)) as talk:
        for text in ("hello", "x" * 100_000):
            talk.send(text)
            assert str(talk.recv(timeout=10)).endswith(f": {text}")
    with pytest.raises(InvalidStatus) as refused:
        newcomer.talk({})
    assert refused.value.response.status_code == 401


def test_a_websocket_ends_when_its_caller_is_revoked(
    steward: Steward, newcomer: Newcomer, guest: Guest
) -> None:
    steward.manager("POST", "/identities", json={"name": "talker", "kind": "person", "roles": ["viewer"]})
    key = steward.manager("POST", "/identities/talker/keys", json={})
    with newcomer.talk({"Authorization": f"Bearer {steward.fetch_token(key['api_key'], NAME)}"}) as talk:
        talk.send("hello")
        assert talk.recv(timeout=10) == "talker: hello"
        steward.manager("DELETE", f"/identities/talker/keys/{key['key_id']}")
        with pytest.raises(ConnectionClosed) as ended:
            talk.recv(timeout=10)
    assert ended.value.rcvd is not None
    assert ended.value.rcvd.code == 1008


def test_it_is_on_the_portal_and_in_the_catalog(steward: Steward, guest: Guest) -> None:
    poll_until(lambda: "Guest Book" in steward.at("").get("/").text, "the portal shows its title", 5)
    listed = steward.ask("GET", "gateway-lookup", "/catalog").json()
    assert NAME in {item["service_name"] for item in listed["services"]}


def test_its_name_is_unknown_two_seconds_after_it_was_asked_to_stop_whatever_it_still_answers(
    steward: Steward, newcomer: Newcomer, guest: Guest
) -> None:
    # The last test that needs this one.
    with steward.stack.client(NAME).stream("GET", "/entries", headers=steward.headers(NAME)) as stream:
        # Held: a generator that nobody holds ends the stream.
        lines = stream.iter_lines()
        assert next(lines) == "reading"
        guest.ask_to_stop()
        poll_until(newcomer.is_unknown, f"{NAME} is unknown", _SEEN_SECONDS)
    assert guest.ended() == 0


@pytest.mark.mainly("local")
def test_killed_its_name_is_unknown_when_its_lease_has_run_out(newcomer: Newcomer) -> None:
    guest = newcomer.start()
    poll_until(newcomer.answers, f"{NAME} answers through the edge", _SEEN_SECONDS)
    guest.kill()
    killed = time.monotonic()
    try:
        poll_until(newcomer.is_unknown, f"{NAME} is unknown", _LOST_SECONDS)
        assert time.monotonic() - killed < _LOST_SECONDS
    finally:
        guest.remove()

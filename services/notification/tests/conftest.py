"""The service as it runs, on a port of its own, in a world of fakes."""

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest
import uvicorn
from fountain_common.connection import BreakableProtocol
from fountain_common.testing import World, instance, wait_until
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

# On a busy machine an example takes as long as it takes.
hypothesis_settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("patient")

SERVICE = Path(__file__).parents[1]


class Running:
    """The service on a real port.

    Attributes:
        url: where it listens.
        world: what is around it.
        board: its parts.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self._client = instance(SERVICE, world)
        self.app = self._client.app
        self.board = self.app.state.board
        world.enter(self.app.state.platform)
        config = uvicorn.Config(
            self.app,
            host="127.0.0.1",
            port=0,
            http=BreakableProtocol,
            log_config=None,
            timeout_graceful_shutdown=2,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        wait_until(lambda: self._server.started or not self._thread.is_alive(), "the service starts", 15)
        assert self._server.started
        self.url = f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"

    def bearer(
        self, subject: str = "tester", roles: Iterable[str] = ("admin",), **claims: Any
    ) -> dict[str, str]:
        """Return the header of a token."""
        return self._client.bearer(subject, roles, **claims)

    def client(
        self, subject: str = "tester", roles: Iterable[str] = ("admin",), **claims: Any
    ) -> httpx2.Client:
        """Return a client with a token."""
        return httpx2.Client(base_url=self.url, headers=self.bearer(subject, roles, **claims), timeout=10)

    def publish(
        self, type_: str, subject: str | None = None, data: object = None, **more: Any
    ) -> dict[str, Any]:
        """Publish as the tester and return the stored event."""
        body = {"type": type_, "subject": subject, "data": data, **more}
        with self.client() as client:
            response = client.post(
                "/notifications", json={key: item for key, item in body.items() if item is not None}
            )
        assert response.status_code == 201, response.text
        return response.json()

    def subscribe(self, name: str = "hook", **wish: Any) -> dict[str, Any]:
        """Put a subscription as the tester, to `order.*` and with quick retries unless told otherwise."""
        body = {"types": ["order.*"], "schedule_seconds": [0, 0.05, 0.1], **wish}
        with self.client() as client:
            response = client.put(f"/subscriptions/{name}", json=body)
        assert response.status_code in (200, 201), response.text
        return response.json()

    def deliveries(
        self, name: str = "hook", status: str | None = None, **caller: Any
    ) -> list[dict[str, Any]]:
        """Return a subscription's deliveries, the newest first."""
        with self.client(**caller) as client:
            response = client.get(
                f"/subscriptions/{name}/deliveries", params={"status": status} if status else None
            )
        assert response.status_code == 200, response.text
        return response.json()["items"]

    def stop(self) -> None:
        """Stop it."""
        self._server.should_exit = True
        self._thread.join(10)
        assert not self._thread.is_alive()


@dataclass
class Listener:
    """Reads a stream in a thread.

    Attributes:
        events: what came, as (id, event type of the stream, data).
        comments: the comment lines that came.
        bookmark: the place to resume from that came last without an event.
        ended: the stream has ended.
    """

    running: Running
    headers: dict[str, str]
    asked: dict[str, str] = field(default_factory=dict)
    events: list[tuple[str, str, Any]] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    bookmark: str = ""
    ended: bool = False
    answer: httpx2.Response | None = None

    def start(self) -> "Listener":
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        wait_until(lambda: self.comments or self.ended, "the stream is subscribed")
        return self

    def _read(self) -> None:
        try:
            with (
                httpx2.Client(timeout=httpx2.Timeout(10, read=30)) as client,
                client.stream(
                    "GET", self.running.url + "/notifications/stream", headers=self.headers, params=self.asked
                ) as self.answer,
            ):
                self._lines(self.answer.iter_lines())
        except httpx2.HTTPError:
            pass
        finally:
            self.ended = True

    def _lines(self, lines: Iterable[str]) -> None:
        found: dict[str, str] = {}
        for line in lines:
            if line.startswith(":"):
                self.comments.append(line)
            elif line:
                name, _, value = line.partition(": ")
                found[name] = value
            elif found.keys() == {"id"}:
                self.bookmark = found.pop("id")
            elif found:
                self.events.append((found.get("id", ""), found.get("event", ""), orjson.loads(found["data"])))
                found = {}

    def hang_up(self) -> None:
        """Leave, so that whoever stops the service need not wait until it cuts the stream."""
        if self.answer is not None and not self.ended:
            with suppress(OSError):
                self.answer.extensions["network_stream"].get_extra_info("socket").shutdown(socket.SHUT_RDWR)
        self._thread.join(10)

    @property
    def positions(self) -> list[int]:
        return [data["position"] for _, kind, data in self.events if not kind]

    def wait_for(self, count: int) -> list[tuple[str, str, Any]]:
        wait_until(lambda: len(self.events) >= count, f"{count} events on the stream")
        return self.events


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Running]]:
    """Start the service; what is started again has the same data."""
    monkeypatch.setenv("FOUNTAIN_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("FOUNTAIN_RUNTIME", "local")
    monkeypatch.setenv("FOUNTAIN_WEBHOOK_ALLOWED_NETWORKS", "127.0.0.1/32")
    monkeypatch.chdir(tmp_path)
    started: list[Running] = []

    def run(world: World | None = None, **settings: object) -> Running:
        for name, value in settings.items():
            monkeypatch.setenv(f"FOUNTAIN_{name.upper()}", str(value))
        running = Running(world or World())
        started.append(running)
        return running

    yield run
    for running in started:
        if running._thread.is_alive():
            running.stop()


@pytest.fixture
def listen(start: Callable[..., Running]) -> Iterator[Callable[..., Listener]]:
    """Open a stream; all are left before the services stop."""
    opened: list[Listener] = []

    def open_stream(
        running: Running,
        types: str | None = None,
        after: str | None = None,
        about: str | None = None,
        **caller: Any,
    ) -> Listener:
        headers = running.bearer(**caller)
        if after is not None:
            headers["Last-Event-ID"] = after
        asked = {"type": types, "about": about}
        listener = Listener(running, headers, {name: value for name, value in asked.items() if value})
        opened.append(listener)
        return listener.start()

    yield open_stream
    for listener in opened:
        listener.hang_up()


class Receiver:
    """A receiver of webhooks.

    Attributes:
        requests: what came, as (headers, body).
        answer: decides on the answer: a status, or a status with headers and body.
    """

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.answer: Callable[[dict[str, str], bytes], Any] = lambda _headers, _body: 200
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers["content-length"])
                body = self.rfile.read(length)
                if len(body) < length:
                    # Whoever sent this was killed in the middle of it.
                    self.close_connection = True
                    return
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.requests.append((headers, body))
                answer = outer.answer(headers, body)
                status, more, said = answer if isinstance(answer, tuple) else (answer, {}, b"thanks")
                self.send_response(status)
                for name, value in {**more, "Content-Length": str(len(said))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_: object) -> None:
                """Senders that go away are part of the test."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [orjson.loads(body) for _, body in self.requests]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that answers 200 unless told otherwise."""
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def receivers() -> Iterator[Callable[[], Receiver]]:
    """Makes receivers."""
    made: list[Receiver] = []

    def make() -> Receiver:
        made.append(Receiver())
        return made[-1]

    yield make
    for each in made:
        each.close()

"""Starting and stopping a service, as a process."""

import json
import signal
import socket
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from entrypoint_process import Start, processes


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with processes(tmp_path) as start:
        yield start


def test_a_service_that_needs_no_secrets_serves_and_stops_with_0(start: Start) -> None:
    service = start(more=", secrets=False")
    service.until_healthy()
    service.process.send_signal(signal.SIGTERM)
    assert service.ended() == 0
    events = [line["event"] for line in service.lines]
    assert {"listening", "stopping"} <= set(events)
    assert len({line["instance"] for line in service.lines}) == 1


def test_a_request_that_is_being_answered_is_answered_before_the_end(start: Start) -> None:
    service = start(more=", secrets=False")
    service.until_healthy()
    answers: list[bytes] = []
    client = threading.Thread(target=lambda: answers.append(service.get("/slow")))
    client.start()
    service.until(
        lambda: (
            b"in_progress" in service.get("/metrics")
            and b"http_requests_in_progress 2.0" in service.get("/metrics")
        )
    )
    service.process.send_signal(signal.SIGTERM)
    client.join(20)
    assert json.loads(answers[0])["instance"] == service.lines[0]["instance"]
    assert service.ended() == 0


def test_a_stream_that_never_ends_does_not_keep_it_from_ending(start: Start) -> None:
    service = start(more=", secrets=False", FOUNTAIN_SHUTDOWN_GRACE_SECONDS="1")
    service.until_healthy()
    with urllib.request.urlopen(f"http://127.0.0.1:{service.port}/forever", timeout=5) as stream:
        assert stream.read(4) == b"tick"
        service.process.send_signal(signal.SIGTERM)
        assert service.ended(6) == 0


def test_without_a_secrets_manager_it_says_why_once_an_attempt_and_gives_up_with_69(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "identity").mkdir()
    (tmp_path / "identity" / "api-key").write_text("fnt_0123456789ab_" + "s" * 43)
    service = start(FOUNTAIN_BOOT_DEADLINE_SECONDS="2")
    assert service.ended() == 69
    attempts = [line for line in service.lines if line["event"] == "secrets_not_fetched_yet"]
    assert [line["attempt"] for line in attempts] == list(range(1, len(attempts) + 1))
    assert len(attempts) >= 2
    last = service.lines[-1]
    assert (last["event"], last["level"]) == ("start_given_up", "critical")
    assert "not reachable" in last["reason"]
    assert "ssss" not in service.output


def test_without_an_identity_it_says_which_file_is_missing(start: Start) -> None:
    service = start(FOUNTAIN_BOOT_DEADLINE_SECONDS="1")
    assert service.ended() == 69
    assert "is not reachable" in service.lines[-1]["reason"] or "api-key" in service.lines[-1]["reason"]


def test_a_taken_port_is_said_in_plain_words(start: Start) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        service = start(more=", secrets=False", FOUNTAIN_PORT=str(taken.getsockname()[1]))
        assert service.ended() == 69
    assert service.lines[-1]["event"] == "cannot_listen"


def test_wrong_settings_end_it_with_78(start: Start) -> None:
    service = start(FOUNTAIN_PORT="many")
    assert service.ended() == 78
    assert "FOUNTAIN_PORT" in service.output


def test_it_fetches_its_secrets_from_nobody_who_cannot_prove_to_be_the_secrets_manager(
    start: Start, tmp_path: Path
) -> None:
    received: list[str] = []

    class Impostor(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            received.append(f"{self.path} {self.headers}")
            body = json.dumps(
                {
                    "service_name": "secrets-manager",
                    "url": f"http://127.0.0.1:{server.server_port}",
                    "instances": [],
                }
            ).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - the name that the base class looks for

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Impostor)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (tmp_path / "identity").mkdir()
    (tmp_path / "identity" / "api-key").write_text("fnt_0123456789ab_" + "s" * 43)
    service = start(
        FOUNTAIN_BOOT_DEADLINE_SECONDS="1", FOUNTAIN_GATEWAY_URL=f"http://127.0.0.1:{server.server_port}"
    )
    assert service.ended() == 69
    server.shutdown()
    assert received
    assert all(line.startswith("/lookup/secrets-manager") for line in received)
    assert "ssss" not in "".join(received)

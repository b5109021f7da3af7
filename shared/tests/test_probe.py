import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from fountain_common import probe


@pytest.fixture
def server() -> Iterator[str]:
    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/health" else 503)
            self.end_headers()

        def log_message(self, *_args: object) -> None: ...

    http = HTTPServer(("127.0.0.1", 0), Health)
    threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://orders:{http.server_port}"
    http.shutdown()
    http.server_close()


def _run(url: str) -> int:
    # As a container runs it: the file alone, without the package around it.
    return subprocess.run([sys.executable, "-IS", Path(probe.__file__), url], capture_output=True).returncode


@pytest.mark.parametrize(("path", "code"), [("/health", 0), ("/ill", 1)])
def test_it_tells_healthy_from_unhealthy_whatever_the_name(server: str, path: str, code: int) -> None:
    assert _run(server + path) == code


def test_with_nobody_there_it_says_so() -> None:
    closed = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    closed.server_close()
    assert _run(f"http://orders:{closed.server_port}/health") == 2


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("http://orders:8000/health", (False, "orders", 8000, "/health")),
        ("https://secrets-manager/health", (True, "secrets-manager", 443, "/health")),
        ("http://orders", (False, "orders", 80, "/")),
    ],
)
def test_an_address_is_split(url: str, parts: tuple[bool, str, int, str]) -> None:
    assert probe.parse(url) == parts

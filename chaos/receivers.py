"""Who receives events: a reader of the stream that resumes, and a webhook on this machine."""

import asyncio
import base64
import hmac
import json
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2

from chaos.history import History, Received
from chaos.scene import NOTIFICATION, Scene

TYPES = ("chaos.>", "action.>", "secret.>")
_SILENCE_SECONDS = 20.0
"""The stream's heartbeat comes every 15 seconds: after so long the connection is dead."""
_REOPEN_SECONDS = 0.3


def received(event: Mapping[str, Any]) -> Received:
    """Read a CloudEvent: what it tells of, and where it stands in the log."""
    kind, data = str(event["type"]), event.get("data") or {}
    if kind.startswith("chaos."):
        key = f"{kind}:{event['id']}"
    else:
        key = f"{kind}:{data.get('rotation_id') or event.get('subject') or event['id']}"
    return Received(
        key, int(event["position"]), str(event.get("subject") or ""), str(data.get("number") or "")
    )


class Reader:
    """Holds the stream of events open through the edge, and resumes it behind the last one that it has.

    Args:
        scene: the platform.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._last = ""
        self.opened = asyncio.Event()
        self.openings = 0

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            with suppress(httpx2.HTTPError, OSError, ValueError):
                await self._read()
            await asyncio.sleep(_REOPEN_SECONDS)

    async def _read(self) -> None:
        headers = self._scene.headers(NOTIFICATION) | ({"Last-Event-ID": self._last} if self._last else {})
        async with self._scene.client(NOTIFICATION).stream(
            "GET",
            "/notifications/stream",
            params={"type": ",".join(TYPES)},
            headers=headers,
            timeout=httpx2.Timeout(10.0, read=_SILENCE_SECONDS),
        ) as answer:
            if answer.status_code != 200:
                return
            # Where this stream begins, for the case that it breaks before the first event.
            self._last = self._last or answer.headers.get("Last-Event-ID", "")
            self.openings += 1
            self.opened.set()
            async for sent in httpx2.EventSource(answer):
                self._take(sent.event, sent.id, sent.data)

    def _take(self, kind: str, place: str, data: str) -> None:
        if kind == "gap":
            self._scene.history.gaps += 1
        elif data:
            self._scene.history.streamed.append(received(json.loads(data)))
        self._last = place or self._last


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that broke: those at the other end are killed."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Webhook:
    """A receiver of signed deliveries at an address of this machine.

    Args:
        history: where deliveries are written down.
        host: the address to listen at.
    """

    def __init__(self, history: History, host: str) -> None:
        self.history = history
        self.secret = ""
        self._server = _Server((host, 0), self._handler())
        self.url = f"http://{host}:{self._server.server_address[1]}/"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> "Webhook":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def take(self, headers: Mapping[str, str], body: bytes) -> None:
        """Write a delivery down."""
        if not signed(self.secret, headers, body):
            self.history.forged += 1
        else:
            self.history.delivered.append(received(json.loads(body)))

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                if len(body) < length:  # who sent it was killed meanwhile
                    self.close_connection = True
                    return
                webhook.take({name.lower(): value for name, value in self.headers.items()}, body)
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing: what comes is in the history."""

        return Handler


def signed(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Tell whether a delivery was signed with this secret (Standard Webhooks)."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    said = f"{headers.get('webhook-id', '')}.{headers.get('webhook-timestamp', '')}.".encode() + body
    mine = "v1," + base64.b64encode(hmac.digest(key, said, "sha256")).decode()
    return any(hmac.compare_digest(mine, one) for one in headers.get("webhook-signature", "").split())

"""Speaks ASGI to an application as a server would, byte for byte, and to no network.

A client library would mend or refuse much of what is sent here; a server passes it on.
"""

import asyncio
import traceback
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

import orjson

SECONDS = 20.0
"""An answer that takes longer is a finding."""

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Request:
    """What is sent: `target` is the path with its query, as in the request line."""

    method: str
    target: str
    headers: Headers = field(default_factory=list)
    chunks: tuple[bytes, ...] = ()
    client: tuple[str, int] = ("127.0.0.1", 50000)

    def scope(self, state: dict[str, Any]) -> dict[str, Any]:
        """The request as ASGI has it."""
        path, _, query = self.target.partition("?")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": self.method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode("ascii"),
            "query_string": query.encode("ascii"),
            "root_path": "",
            "headers": [(b"host", b"testserver"), *((name.lower(), value) for name, value in self.headers)],
            "client": self.client,
            "server": ("testserver", 80),
            "state": dict(state),
        }


@dataclass
class Answer:
    """What came back; `raised` is the traceback of what the application let out, `streams` that it had begun
    a stream, which was not read, `by_edge` that the service was not asked at all.
    """

    status: int = 0
    headers: Headers = field(default_factory=list)
    body: bytes = b""
    raised: str = ""
    streams: bool = False
    by_edge: bool = False

    def header(self, name: str) -> str:
        """The first header of that name, or an empty text."""
        return next((value.decode("latin-1") for key, value in self.headers if key.decode() == name), "")

    @property
    def is_success(self) -> bool:
        """Whether it is what was asked for, or leads there."""
        return not self.raised and self.status < HTTPStatus.BAD_REQUEST

    def json(self) -> Any:
        """The body; None if there is none, or it is no JSON."""
        is_json = self.body and self.header("content-type") == "application/json"
        return orjson.loads(self.body) if is_json else None

    def named(self) -> dict[str, list[str]]:
        """All headers, by their names."""
        found: dict[str, list[str]] = {}
        for name, value in self.headers:
            found.setdefault(name.decode().lower(), []).append(value.decode("latin-1"))
        return found


async def ask(app: Any, request: Request, state: dict[str, Any]) -> Answer:
    """Send a request and return what comes of it; the reader of a stream hangs up at once."""
    answer = Answer()
    gone = asyncio.Event()
    messages = iter(_messages(request.chunks))

    async def receive() -> dict[str, Any]:
        message = next(messages, None)
        if message is None:
            await gone.wait()
            return {"type": "http.disconnect"}
        return message

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            answer.status, answer.headers = message["status"], list(message.get("headers", ()))
            if answer.header("content-type").startswith("text/event-stream"):
                answer.streams = True
                gone.set()
        elif message["type"] == "http.response.body":
            answer.body += message.get("body", b"")
            if not message.get("more_body"):
                gone.set()

    try:
        async with asyncio.timeout(SECONDS):
            await app(request.scope(state), receive, send)
    except Exception:
        answer.raised = traceback.format_exc()
        answer.status = answer.status or 500
    return answer


def _messages(chunks: tuple[bytes, ...]) -> Iterable[dict[str, Any]]:
    for chunk in chunks:
        yield {"type": "http.request", "body": chunk, "more_body": True}
    yield {"type": "http.request", "body": b"", "more_body": False}

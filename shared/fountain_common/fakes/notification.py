"""A notification service in memory, for tests."""

import asyncio
import secrets
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx2
import orjson

from fountain_common.fakes.tokens import TokenMaker
from fountain_common.patterns import matches


class _Reader(httpx2.AsyncByteStream):
    """One open stream."""

    def __init__(self, subject: str, asked: httpx2.QueryParams) -> None:
        self._subject = subject
        self._types = ",".join(asked.get_list("type")).split(",") if "type" in asked else [">"]
        self._about = [item.partition(":") for item in asked.get_list("about")]
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()

    def wants(self, event: dict[str, Any]) -> bool:
        """Tell whether an event was asked for, and may be seen."""
        named = [subject for pattern, _, subject in self._about if matches(pattern, event["type"])]
        return (
            event["recipient"] in (None, self._subject)
            and any(matches(pattern, event["type"]) for pattern in self._types)
            and (not named or event["subject"] in named)
        )

    def send(self, chunk: bytes | None) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._queue.put_nowait, chunk)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (chunk := await self._queue.get()) is not None:
            yield chunk

    async def aclose(self) -> None:
        self._queue.put_nowait(None)


class FakeNotification:
    """Stores events and streams them.

    Attributes:
        log: all events, in order of their positions, which begin at 1.
        epoch: of the log; part of every stream id.
        down: nobody answers.
    """

    def __init__(self, tokens: TokenMaker) -> None:
        self._tokens = tokens
        self._readers: list[_Reader] = []
        self._by_key: dict[str, dict[str, Any]] = {}
        self._lock = threading.RLock()
        self._first = 1
        self.log: list[dict[str, Any]] = []
        self.epoch = secrets.token_hex(4)
        self.down = False

    @property
    def readers(self) -> int:
        """How many streams are open."""
        return len(self._readers)

    def events(self, event_type: str) -> list[dict[str, Any]]:
        """Return the stored events of a type."""
        return [event for event in self.log if event["type"] == event_type]

    def emit(
        self,
        event_type: str,
        subject: str | None = None,
        data: Any = None,
        *,
        source: str = "secrets-manager",
        recipient: str | None = None,
        expires_at: str | None = None,
    ) -> dict[str, Any]:
        """Store an event, and send it to all streams that want it, or to the recipient's alone."""
        with self._lock:
            event = {
                "specversion": "1.0",
                "id": secrets.token_hex(8),
                "source": source,
                "type": event_type,
                "subject": subject,
                "time": datetime.now(UTC).isoformat(),
                "datacontenttype": "application/json",
                "data": data,
                "position": self._first + len(self.log),
                "recipient": recipient,
                "expires_at": expires_at,
            }
            self.log.append(event)
            if not self.down:
                for reader in self._readers:
                    if reader.wants(event):
                        reader.send(self._chunk(event))
            return event

    def break_streams(self) -> None:
        """End all open streams; who was reading has to come again."""
        with self._lock:
            for reader in self._readers:
                reader.send(None)
            self._readers.clear()

    def forget_the_past(self) -> None:
        """Remove all events, as retention does: who resumes from before finds a gap."""
        with self._lock:
            self._first += len(self.log)
            self.log.clear()

    def handle(self, request: httpx2.Request) -> httpx2.Response:
        """Return a request."""
        if self.down:
            raise httpx2.ConnectError("connection refused", request=request)
        subject = self._tokens.subject_of(request.headers.get("authorization"))
        if subject is None:
            return httpx2.Response(401, json={"detail": "the fake wants a token"})
        if request.method == "POST" and request.url.path == "/notifications":
            return self._publish(request, subject)
        if request.method == "POST" and request.url.path == "/notifications/batch":
            return self._publish_batch(request, subject)
        if request.url.path == "/notifications/stream":
            return self._stream(subject, request)
        return httpx2.Response(404, json={"detail": "the fake has no such thing"})

    def _publish(self, request: httpx2.Request, source: str) -> httpx2.Response:
        key = request.headers.get("idempotency-key", secrets.token_hex(8))
        return httpx2.Response(201, json=self._store(orjson.loads(request.content), source, key))

    def _publish_batch(self, request: httpx2.Request, source: str) -> httpx2.Response:
        stored = [self._store(body, source, body["id"]) for body in orjson.loads(request.content)]
        return httpx2.Response(201, json={"items": [{"id": event["id"]} for event in stored]})

    def _store(self, body: dict[str, Any], source: str, key: str) -> dict[str, Any]:
        with self._lock:
            known = self._by_key.get(f"{source} {key}")
            if known is None:
                known = self._by_key[f"{source} {key}"] = self.emit(
                    body["type"],
                    body.get("subject"),
                    body.get("data"),
                    source=source,
                    recipient=body.get("recipient"),
                    expires_at=body.get("expires_at"),
                )
            return known

    def _stream(self, subject: str, request: httpx2.Request) -> httpx2.Response:
        last_event_id = request.headers.get("last-event-id")
        reader = _Reader(subject, request.url.params)
        with self._lock:
            latest = self._first + len(self.log) - 1
            first, seen = [b": subscribed\n\n"], latest
            if last_event_id:
                epoch, _, position = last_event_id.rpartition("-")
                seen = int(position)
                if epoch != self.epoch or seen + 1 < self._first:
                    gap = {"epoch": self.epoch, "earliest_position": self._first, "latest_position": latest}
                    first.append(b"event: gap\ndata: " + orjson.dumps(gap) + b"\n\n")
                    seen = self._first - 1
                missed = [event for event in self.log if event["position"] > seen]
                first += [self._chunk(event) for event in missed if reader.wants(event)]
            for chunk in first:
                reader.send(chunk)
            self._readers.append(reader)
        headers = {"Content-Type": "text/event-stream", "Last-Event-ID": f"{self.epoch}-{seen}"}
        return httpx2.Response(200, headers=headers, stream=reader)

    def _chunk(self, event: dict[str, Any]) -> bytes:
        return f"id: {self.epoch}-{event['position']}\ndata: ".encode() + orjson.dumps(event) + b"\n\n"

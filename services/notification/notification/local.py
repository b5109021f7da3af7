"""The notification service as its own client: it publishes and listens without leaving the process."""

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import orjson
from fountain_common.event import Event
from fountain_common.event_stream import Arrival, Interest
from fountain_common.roles import Role
from fountain_common.tokens import Caller

from notification.board import Board
from notification.filters import Filter
from notification.payloads import CloudEventIn, draft
from notification.sse import resume
from notification.streams import Reader

_BATCH = 200


def _own_caller(name: str) -> Caller:
    return Caller(name, (Role.SERVICE,), name, "", "in-process", (name,), float("inf"), float("inf"))


class LocalPublisher:
    """Publishes into the log of this process, under the same rules as everybody; see `events.Publisher`."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._caller = _own_caller(board.settings.service_name)

    async def publish(self, event: dict[str, Any], idempotency_key: str) -> dict[str, Any]:
        """Store an event and return it."""
        await self._board.open()
        body = CloudEventIn.model_validate(event)
        stored, _ = await self._board.log.append(draft(body, self._caller, time.time(), idempotency_key))
        answer: dict[str, Any] = orjson.loads(stored.body)
        return answer

    async def publish_all(self, events: bytes) -> None:
        """Store events in their order."""
        for event in orjson.loads(events):
            await self.publish(event, event["id"])


class LocalFeed:
    """Reads the log of this process; see `event_stream.Feed`."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._caller = _own_caller(board.settings.service_name)

    @asynccontextmanager
    async def open(
        self, last_event_id: str | None, interest: Interest
    ) -> AsyncIterator[AsyncIterator[Arrival]]:
        """Open a stream, and before it the log: the platform starts with its stream."""
        await self._board.open()
        log, wanted = self._board.log, Filter(self._caller.subject, interest.types, about=interest.about)
        removed = log.removed_through(wanted)
        start = resume(last_event_id, epoch=log.epoch, latest=log.latest, removed_through=removed)
        reader = self._board.streams.join(self._caller, wanted, start.after)
        reader.told_gone = removed
        try:
            async with aclosing(self._arrivals(reader, gap=start.gap)) as arrivals:
                yield arrivals
        finally:
            self._board.streams.leave(reader)

    async def _arrivals(self, reader: Reader, *, gap: bool) -> AsyncGenerator[Arrival, None]:
        log = self._board.log
        if gap:
            yield Arrival(f"{log.epoch}-{reader.position}", None, is_gap=True)
        while not reader.ended:
            reader.sent_at = time.monotonic()
            if reader.position >= log.latest:
                await reader.wait()
                continue
            found, through = await log.after(reader.position, reader.wanted, _BATCH)
            gone = log.removed_through(reader.wanted)
            if gone > max(reader.position, reader.told_gone):
                reader.told_gone = gone
                yield Arrival(f"{log.epoch}-{reader.position}", None, is_gap=True)
            for event in found:
                yield Arrival(f"{log.epoch}-{event.position}", Event.model_validate(orjson.loads(event.body)))
            reader.position = through

"""Streams: many readers of one log, each at its own place in it.

Nothing is queued for a reader. It has a position, and takes what is behind it when it is ready for more: from
memory, or from the database when it has fallen behind. Events are encoded once, and readers that are at the
same place and want the same share the bytes.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from fountain_common.errors import Unavailable
from fountain_common.tokens import Caller

from notification.event import Stored
from notification.filters import Filter
from notification.log import EventLog
from notification.metrics import StreamMetrics
from notification.sse import event_frame, gap_frame, heartbeat

MAX_CHUNK_BYTES = 128 * 1024
CATCH_UP_EVENTS = 500
MAX_SHARED_CHUNKS = 64
SECONDS_A_READER = 0.0001
LONGEST_GATHERING_SECONDS = 0.1
SWEEP_SECONDS = 1.0


@dataclass(eq=False, slots=True)
class Reader:
    """One open stream.

    Attributes:
        caller: whose token it was opened with.
        wanted: which events it is for.
        position: events up to here have been sent, or are not for it.
        sent_at: monotonic seconds of the last sign of life.
        ended: why it ends; "" while it goes on.
        told_gone: the reader knows that events up to this position have been removed.
    """

    caller: Caller
    wanted: Filter
    position: int
    sent_at: float
    ended: str = ""
    told_gone: int = 0
    heartbeat_due: bool = False
    _waiter: asyncio.Future[None] | None = field(default=None, repr=False)

    async def wait(self) -> None:
        """Sleep until something happens."""
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    @property
    def idle(self) -> bool:
        """Tell whether it sleeps."""
        return self._waiter is not None and not self._waiter.done()

    def wake(self) -> None:
        """End the sleep, if it sleeps."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def end(self, reason: str) -> None:
        """Have the stream end, for the first reason given."""
        self.ended = self.ended or reason
        self.wake()


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes for a reader.

    Attributes:
        frames: whole events; b"" if nothing up to `position` is for it.
        position: where the reader is after them.
        accepted: when the oldest of them came in, in monotonic seconds; 0.0 if not known.
        gone: the newest position of what had been removed when they were looked for.
        lasts: none of them ever expires.
    """

    frames: bytes
    position: int
    accepted: float = 0.0
    gone: int = 0
    lasts: bool = True


class Streams:
    """All open streams.

    Args:
        log: what they read.
        metrics: counts them.
        heartbeat_seconds: after so long without an event a stream says that it lives.
        max_streams: more are refused.
        revoked: tells whether a caller has been revoked since it opened its stream.
        clock: unix seconds, for the tokens.
    """

    def __init__(
        self,
        log: EventLog,
        metrics: StreamMetrics,
        *,
        heartbeat_seconds: float,
        max_streams: int,
        revoked: Callable[[Caller], bool],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._log, self._metrics = log, metrics
        self._heartbeat_seconds, self._max_streams = heartbeat_seconds, max_streams
        self._revoked, self._clock = revoked, clock
        self._readers: set[Reader] = set()
        self._shared: dict[tuple[Filter, int], Chunk] = {}
        self._frames: dict[int, bytes] = {}
        self._wake: asyncio.TimerHandle | None = None
        self._woke_at = 0.0
        self._sweeper: asyncio.Task[None] | None = None
        self._closed = False
        log.on_append(self._appended)

    def __len__(self) -> int:
        return len(self._readers)

    def start(self) -> None:
        """Begin to look after heartbeats and tokens."""
        self._sweeper = asyncio.create_task(self._sweep(), name="stream sweep")

    async def stop(self) -> None:
        """End all streams; new ones are refused."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        if self._wake is not None:
            self._wake.cancel()
        for reader in list(self._readers):
            reader.end("stopping")

    def join(self, caller: Caller, wanted: Filter, position: int) -> Reader:
        """Open a stream behind a position; from now on nothing passes it by.

        Raises:
            Unavailable: too many are open, or the service is stopping.
        """
        if self._closed or len(self._readers) >= self._max_streams:
            raise Unavailable("No more streams can be opened here now.", headers={"Retry-After": "5"})
        reader = Reader(caller, wanted, position, sent_at=time.monotonic())
        self._readers.add(reader)
        self._metrics.open.set(len(self._readers))
        return reader

    def leave(self, reader: Reader) -> None:
        """Close a stream."""
        self._readers.discard(reader)
        self._metrics.open.set(len(self._readers))
        self._metrics.ended.labels(reader.ended or "broken").inc()

    async def next(self, reader: Reader) -> bytes | None:
        """Return what to send next, waiting for it; None when the stream has ended."""
        while not reader.ended:
            if reader.position < self._log.latest:
                chunk = self._recent(reader) or await self._older(reader)
                chunk = self._with_notice(reader, chunk)
                reader.position = chunk.position
                if chunk.frames:
                    return self._sent(reader, chunk)
            elif reader.heartbeat_due:
                reader.heartbeat_due = False
                reader.sent_at = time.monotonic()
                return heartbeat(self._log.epoch, reader.position)
            else:
                await reader.wait()
        return None

    def _sent(self, reader: Reader, chunk: Chunk) -> bytes:
        reader.sent_at = time.monotonic()
        reader.heartbeat_due = False
        if chunk.accepted:
            self._metrics.receipt.observe(reader.sent_at - chunk.accepted)
        return chunk.frames

    def _recent(self, reader: Reader) -> Chunk | None:
        """Return a chunk from memory; None for a reader that has fallen behind it."""
        key = (reader.wanted, reader.position)
        chunk = self._shared.get(key)
        if chunk is None:
            recent = self._log.tail.after(reader.position)
            if recent is None:
                return None
            chunk = self._chunk(recent, reader.wanted, self._log.latest)
            # What expires is encoded for each reader anew, with its data only as long as it has any.
            if len(self._shared) < MAX_SHARED_CHUNKS and chunk.lasts:
                self._shared[key] = chunk
        return chunk

    async def _older(self, reader: Reader) -> Chunk:
        found, through = await self._log.after(reader.position, reader.wanted, CATCH_UP_EVENTS)
        return self._chunk(found, reader.wanted, through)

    def _with_notice(self, reader: Reader, chunk: Chunk) -> Chunk:
        """Return a chunk with the notice before it that events are gone which the reader has not had, if so.

        Retention removes from memory too, so that this can happen to a reader which is only a little behind.
        """
        if chunk.gone <= max(reader.position, reader.told_gone):
            return chunk
        reader.told_gone = chunk.gone
        notice = gap_frame(self._log.epoch, reader.position, chunk.gone + 1, self._log.latest)
        return replace(chunk, frames=notice + chunk.frames)

    def _chunk(self, events: Sequence[Stored], wanted: Filter, through: int) -> Chunk:
        frames: list[bytes] = []
        size, accepted, lasts, now = 0, 0.0, True, self._clock()
        for event in wanted.chosen(events):
            if size > MAX_CHUNK_BYTES:
                through = event.position - 1
                break
            frame = self._frame(event, now)
            frames.append(frame)
            size += len(frame)
            accepted = accepted or event.accepted
            lasts = lasts and event.expires_at is None
        # Judged after reading: what was removed meanwhile was noted before that.
        return Chunk(b"".join(frames), through, accepted, self._log.removed_through(wanted), lasts)

    def _frame(self, event: Stored, now: float) -> bytes:
        if event.expires_at is not None:
            return event_frame(self._log.epoch, event.position, event.at_time(now).body)
        frame = self._frames.get(event.position)
        if frame is None:
            frame = self._frames[event.position] = event_frame(self._log.epoch, event.position, event.body)
        return frame

    def _appended(self, _fresh: Sequence[Stored]) -> None:
        # What was shared is for the log as it was a moment ago.
        self._shared.clear()
        if self._wake is not None or not self._readers:
            return
        # With many readers events are gathered for a moment, so that one write to each carries several.
        loop = asyncio.get_running_loop()
        gathering = min(LONGEST_GATHERING_SECONDS, len(self._readers) * SECONDS_A_READER)
        wait = max(0.0, self._woke_at + gathering - loop.time())
        self._wake = loop.call_later(wait, self._wake_readers)

    def _wake_readers(self) -> None:
        self._wake = None
        self._woke_at = asyncio.get_running_loop().time()
        self._frames.clear()
        latest = self._log.latest
        for reader in self._readers:
            if not reader.idle or reader.position >= latest:
                continue
            chunk = self._recent(reader)
            missed = chunk is not None and chunk.gone > max(reader.position, reader.told_gone)
            if chunk is not None and not chunk.frames and not missed:
                reader.position = chunk.position
            else:
                reader.wake()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self.sweep(self._clock(), time.monotonic())

    def sweep(self, now: float, monotonic: float) -> None:
        """End the streams whose tokens have expired, and have the silent ones say that they live."""
        for reader in list(self._readers):
            if reader.caller.expires_at <= now:
                reader.end("token")
            elif monotonic - reader.sent_at >= self._heartbeat_seconds:
                reader.heartbeat_due = True
                reader.wake()

    def end_revoked(self) -> None:
        """End the streams of callers that have been revoked."""
        for reader in list(self._readers):
            if self._revoked(reader.caller):
                reader.end("revoked")

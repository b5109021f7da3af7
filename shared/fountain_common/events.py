"""Events: published, heard on one stream, received at `POST /notifications`; the same handlers for all.

@platform.events.on("order.*")
async def remember(event: Event) -> None: ...

await platform.events.publish("link.created", subject=token_id, data={"target": host})
"""

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from prometheus_client import CollectorRegistry, Counter, Gauge

from fountain_common.cancelling import end_if_cancelled
from fountain_common.errors import Unavailable
from fountain_common.event import Event, require_fit
from fountain_common.event_stream import EventStream, Feed, Interest
from fountain_common.gaps import GapHandler, Gaps
from fountain_common.logging import get_logger
from fountain_common.patterns import matches, overlap, valid_pattern
from fountain_common.publisher import Publisher

Handler = Callable[[Event], Awaitable[None]]

MAX_WAITING = 1000
MAX_REMEMBERED = 4096
BEGIN_AGAIN_SECONDS = 1.0
MOST_ABOUT = 32
"""The notification service takes no more; who holds more secrets hears of all."""


@dataclass(frozen=True, slots=True)
class _Internal:
    pattern: str
    handler: Callable[[Event], None]
    about: Callable[[], Collection[str]] | None


class Events:
    """A service's side of the event log.

    The platform's own handlers run as an event arrives. The service's run one after the other behind them,
    from when the service is ready; one that raises is logged and counted, and the next event comes. Where
    more than a thousand wait, what comes is dropped and counted, and the gap handlers run.

    Args:
        publisher: who stores events; None cannot publish.
        feed: where the stream comes from; None holds no stream.
        registry: takes `fountain_event*` metrics.
    """

    def __init__(
        self, publisher: Publisher | None, feed: Feed | None, *, registry: CollectorRegistry | None = None
    ) -> None:
        self._publisher = publisher
        self._stream = (
            EventStream(feed, self._arrived, self._missed, self.interest, on_open=self._has_opened)
            if feed is not None
            else None
        )
        self._when_open: list[Callable[[], None]] = []
        self._internal: list[_Internal] = []
        self._handlers: list[tuple[str, Handler]] = []
        self._waiting: asyncio.Queue[Event] = asyncio.Queue(MAX_WAITING)
        self._handled: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._one_at_a_time = asyncio.Lock()
        self._worker: asyncio.Task[None] | None = None
        self._listening: set[asyncio.Task[None]] = set()
        self._open = Gauge(
            "fountain_event_stream_open", "Whether the stream of events is open.", registry=registry
        )
        self._open.set_function(lambda: float(self.connected))
        self._received = Counter("fountain_events_received", "Events heard.", registry=registry)
        self._raised = Counter("fountain_event_handler_failures", "Handlers that raised.", registry=registry)
        self._dropped = Counter(
            "fountain_events_dropped", "Events that handlers had no time for.", registry=registry
        )
        self._is_dropping = False
        self._gaps = Gaps(self._raised, registry)

    @property
    def connected(self) -> bool:
        """Tell whether the stream is open, or none is wanted."""
        return self._stream is None or self._stream.connected

    def on(self, pattern: str) -> Callable[[Handler], Handler]:
        """Have `async handler(event)` run for each event whose type the pattern covers.

        Raises:
            ValueError: not a pattern.
        """
        if not valid_pattern(pattern):
            raise ValueError(f"not a pattern of event types: {pattern!r}")

        def register(handler: Handler) -> Handler:
            self._handlers.append((pattern, handler))
            self._listen_soon()
            return handler

        return register

    def on_gap(self, handler: GapHandler) -> GapHandler:
        """Have `async handler()` run when events were missed: it fetches anew whatever events keep
        current.
        """
        return self._gaps.add(handler)

    def internal(
        self,
        pattern: str,
        handler: Callable[[Event], None],
        about: Callable[[], Collection[str]] | None = None,
    ) -> None:
        """Have the platform's own `handler(event)` run at once as an event arrives; it must be quick.

        Args:
            pattern: of the types.
            handler: see above. It may be handed what is about others as well.
            about: answers the only subjects that it is for, whenever a stream is opened; None is all.
        """
        self._internal.append(_Internal(pattern, handler, about))

    def when_open(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have the callback called whenever the stream has been opened, so that the log is there; return the
        way to stop.
        """
        self._when_open.append(callback)
        return lambda: self._when_open.remove(callback)

    def _has_opened(self) -> None:
        for callback in self._when_open:
            callback()

    def interest(self) -> Interest:
        """Return what somebody here listens to."""
        asked = {pattern for pattern, _ in self._handlers}
        types = tuple(sorted(asked | {one.pattern for one in self._internal}))
        about = tuple(
            (one.pattern, subject)
            for one in self._internal
            # What a handler of the service may want to hear is brought whole.
            if one.about is not None and not any(overlap(one.pattern, pattern) for pattern in asked)
            for subject in sorted(one.about())
        )
        return Interest(types, about if len(about) <= MOST_ABOUT else ())

    def _listen_soon(self) -> None:
        # Who begins to listen while the service runs is not heard by the stream that was opened before.
        if self._stream is None or not self._stream.started:
            return
        listening = asyncio.create_task(self.listen_anew(), name="listen to more events")
        self._listening.add(listening)
        listening.add_done_callback(self._listening.discard)

    async def listen_anew(self) -> None:
        """Have the stream bring what is of interest now; whoever asks for it waits until it does, or for two
        seconds.
        """
        if self._stream is not None:
            await self._stream.reopen(wait_seconds=2.0)

    async def publish(
        self,
        type: str,  # noqa: A002 - the name that CloudEvents gave it
        subject: str | None = None,
        data: Any = None,
        *,
        idempotency_key: str | None = None,
        recipient: str | None = None,
        expires_at: str | None = None,
    ) -> Event:
        """Publish an event; it is durable once this returns.

        Args:
            type: words with dots between them, such as `order.placed`.
            subject: what it is about.
            data: anything JSON, without secrets.
            idempotency_key: publishing again with the same key stores nothing more; made if not given.
            recipient: the one identity that may see it.
            expires_at: when its data is erased, RFC 3339.

        Raises:
            Forbidden: it is not ours to say.
            PayloadTooLarge: over 64 KB.
            Unprocessable: the type, the subject or the data are none.
            Unavailable: the notification service does not answer. With an `idempotency_key` of one's own it
                may be tried again.
        """
        if self._publisher is None:
            raise Unavailable("This service has nowhere to publish to.")
        require_fit(type, subject, data, recipient)
        event: dict[str, Any] = {"type": type, "data": data}
        optional = {"subject": subject, "recipient": recipient, "expires_at": expires_at}
        event.update({name: value for name, value in optional.items() if value is not None})
        stored = await self._publisher.publish(event, idempotency_key or secrets.token_hex(16))
        return Event.model_validate(stored)

    async def publish_all(self, events: Sequence[Mapping[str, Any]] | bytes) -> None:
        """Publish several events, stored in this order; they are durable once this returns.

        Args:
            events: each with an `id` of the publisher's own, by which it is stored once however often it is
                sent, and `type`; `subject`, `data` and `recipient` if it has them. 500 at most. Or their
                JSON array, as an outbox has it.

        Raises:
            Problem: as of `publish`; if one of them is refused, none is stored.
        """
        if self._publisher is None:
            raise Unavailable("This service has nowhere to publish to.")
        encoded = events if isinstance(events, bytes) else orjson.dumps(list(events))
        await self._publisher.publish_all(encoded)

    async def start(self, wait_seconds: float = 2.0) -> bool:
        """Open the stream, waiting at most so long for it. Tells whether it is open."""
        # They belong to their event loop, and a test client brings another at each start.
        self._waiting, self._one_at_a_time = asyncio.Queue(MAX_WAITING), asyncio.Lock()
        return True if self._stream is None else await self._stream.start(wait_seconds)

    def ready(self) -> None:
        """Begin to run the service's own handlers, with what has arrived since the stream was opened."""
        if self._worker is None:
            self._begin()

    def _begin(self) -> None:
        self._worker = asyncio.create_task(self._work(), name="event handlers")
        self._worker.add_done_callback(self._ended)

    def _ended(self, worker: asyncio.Task[None]) -> None:
        if self._worker is not worker:
            return
        # Such as by a handler that cancels the task in which it runs. Those behind it have missed an event.
        self._raised.inc()
        self._dropped.inc()
        self._gaps.tell()
        error = None if worker.cancelled() else worker.exception()
        get_logger().error("event_worker_ended", waiting=self._waiting.qsize(), exc_info=error)
        asyncio.get_running_loop().call_later(BEGIN_AGAIN_SECONDS, self._begin_again, worker)

    def _begin_again(self, ended: asyncio.Task[None]) -> None:
        if self._worker is ended:
            self._begin()

    async def stop(self) -> None:
        """Close the stream; a handler that is running is ended."""
        for listening in self._listening:
            listening.cancel()
        if self._stream is not None:
            await self._stream.stop()
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)
        await self._gaps.stop()

    async def _arrived(self, event: Event) -> None:
        self._hear(event)
        if any(matches(pattern, event.type) for pattern, _ in self._handlers):
            self._have_handled(event)

    def _have_handled(self, event: Event) -> None:
        # Never waits: a handler that hangs must not keep secrets and revocations from being heard of.
        try:
            self._waiting.put_nowait(event)
        except asyncio.QueueFull:
            if not self._is_dropping:
                get_logger().error("events_dropped", waiting=MAX_WAITING, first_event_id=event.id)
            self._is_dropping = True
            self._dropped.inc()
            self._gaps.tell()
        else:
            self._is_dropping = False

    def _hear(self, event: Event) -> None:
        self._received.inc()
        for one in self._internal:
            if matches(one.pattern, event.type):
                try:
                    one.handler(event)
                except Exception as error:  # noqa: BLE001 - the stream must go on
                    self._failed(event, error)

    async def _missed(self) -> None:
        self._gaps.tell()

    async def _work(self) -> None:
        while True:
            await self._handle(await self._waiting.get())

    async def receive(self, event: Event) -> bool:
        """Run all handlers for an event that was delivered to us; the same one delivered again runs none.

        Returns:
            whether all of them succeeded.
        """
        self._hear(event)
        return await self._handle(event)

    async def _handle(self, event: Event) -> bool:
        # The same event may come by the stream and by delivery at once.
        async with self._one_at_a_time:
            return await self._handle_once(event)

    async def _handle_once(self, event: Event) -> bool:
        name = (event.source, event.id)
        if event.id and name in self._handled:
            return True
        succeeded = True
        for pattern, handler in self._handlers:
            if matches(pattern, event.type):
                try:
                    await handler(event)
                except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - the next handler and the next event have their turn
                    # One handler's trouble is not the next one's.
                    end_if_cancelled()
                    succeeded = False
                    self._failed(event, error)
                else:
                    end_if_cancelled()
        if event.id and succeeded:
            self._handled[name] = None
            while len(self._handled) > MAX_REMEMBERED:
                self._handled.popitem(last=False)
        return succeeded

    def _failed(self, event: Event, error: BaseException) -> None:
        self._raised.inc()
        get_logger().error("event_handler_failed", event_id=event.id, type=event.type, exc_info=error)

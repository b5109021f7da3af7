"""The log: events are appended in groups, each group one transaction, and then told to whoever listens. What
came in one batch goes into one group, whole.

One task appends. While a group is being committed the next one gathers, so publishing gets cheaper the more
of it there is, and positions grow in the order in which readers see them.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import partial

from fountain_common.db import Database
from fountain_common.errors import Conflict, Unavailable
from fountain_common.gathering import gathered
from fountain_common.logging import get_logger
from sqlalchemy.exc import IntegrityError

from notification.event import Draft, Stored
from notification.filters import Filter
from notification.mark import Mark, MarkFile, contradicts
from notification.repository import (
    Batch,
    Clash,
    Outcome,
    begin_epoch,
    event_types,
    load_state,
    newest_events,
    store,
    store_new,
)
from notification.repository_search import events_after
from notification.tail import MAX_EVENTS, Tail

MAX_WAITING = 8192
LOOKED_UP_GROUPS = 64
"""In so many groups nothing is taken for new, behind one in which something was not."""
MAX_GROUP = 512
_QUICK_BYTES = 256 * 1024
MAX_TYPES = 512


@dataclass(eq=False, slots=True)
class _Waiting:
    drafts: Sequence[Draft]
    future: asyncio.Future[list[Outcome] | Clash]
    since: float = field(default_factory=time.monotonic)


class EventLog:
    """The durable log of one database.

    Args:
        database: is migrated already.
        clock: unix seconds.
        mark: remembers how far the log had come; without it an older database is taken for the newest.

    Attributes:
        epoch: names this history of the log.
        latest: the newest position that readers may see.
        tail: the newest events.
    """

    def __init__(
        self, database: Database, *, clock: Callable[[], float] = time.time, mark: MarkFile | None = None
    ) -> None:
        self._database, self._clock, self._mark = database, clock, mark
        self._marked: Mark | None = None
        self._mark_fails = False
        self.epoch = ""
        self.latest = 0
        self.tail = Tail()
        self._removed: dict[str, int] = {}
        self._types: set[str] = set()
        self._knows_types = True
        self._waiting: deque[_Waiting] = deque()
        self._waiting_events = 0
        self._appending: asyncio.Task[None] | None = None
        self._closed = False
        self._looking_up = 0
        self._listeners: list[Callable[[Sequence[Stored]], None]] = []

    def now(self) -> float:
        """Return the time by which events are stored, in unix seconds."""
        return self._clock()

    @property
    def types(self) -> Collection[str] | None:
        """All types that there are or were; None if they are not known, or too many to be remembered."""
        return frozenset(self._types) if self._knows_types and len(self._types) <= MAX_TYPES else None

    async def open(self) -> None:
        """Read where the log ends, and its newest events."""
        state = await self._database.write(load_state)
        types = await self._database.read(partial(event_types, limit=MAX_TYPES + 1), long=True)
        self._types = set(types)
        newest = await self._database.read(lambda session: newest_events(session, MAX_EVENTS // 2))
        self.epoch, self.latest, self._removed = state.epoch, state.last_position, dict(state.removed_through)
        await self._compare()
        complete = len(newest) < MAX_EVENTS // 2
        self.tail = Tail(0 if complete else newest[0].position - 1)
        self.tail.extend(newest)

    async def _compare(self) -> None:
        if self._mark is None:
            return
        self._marked = await asyncio.to_thread(self._mark.read)
        if contradicts(self._marked, self.epoch, self.latest, alone=self._database.is_sqlite):
            self.epoch = await self._database.write(begin_epoch)
            # An earlier state, or a database that was brought here without its mark.
            get_logger().warning("log_begins_a_new_epoch", epoch=self.epoch, latest=self.latest)
        await self.remember()

    async def remember(self) -> None:
        """Write down how far the log has come, if it has come farther."""
        mark = Mark(self.epoch, self.latest)
        if self._mark is None or mark == self._marked:
            return
        try:
            await asyncio.to_thread(self._mark.write, mark)
        except OSError as error:
            # It is about older copies that are put back one day: no reason to take no events today.
            if not self._mark_fails:
                get_logger().error("log_position_not_written", reason=error.strerror)
            self._mark_fails = True
        else:
            self._marked, self._mark_fails = mark, False

    def on_append(self, listener: Callable[[Sequence[Stored]], None]) -> None:
        """Have this called with each group of events, in the event loop, once they are durable; it must be
        quick.
        """
        self._listeners.append(listener)

    async def append(self, draft: Draft) -> tuple[Stored, bool]:
        """Return the stored event, once it is durable, and whether it had been stored before.

        Raises:
            Conflict: another event is stored under its id or key.
            Unavailable: it was not stored.
        """
        (outcome,) = await self.append_batch((draft,))
        return outcome

    async def append_batch(self, drafts: Sequence[Draft]) -> list[Outcome]:
        """As `append`, for several events: all are stored, in their order, or none.

        Raises:
            Conflict: another event is stored under the id or key of one of them, or comes earlier in the
                batch.
            Unavailable: they were not stored.
        """
        if self._closed:
            raise Unavailable("This service is stopping; nothing was stored.")
        if self._waiting_events >= MAX_WAITING:
            raise Unavailable("Too many events wait to be stored; try again.")
        entry = _Waiting(drafts, asyncio.get_running_loop().create_future())
        self._waiting.append(entry)
        self._waiting_events += len(drafts)
        if self._appending is None:
            self._appending = asyncio.create_task(self._append_waiting(), name="append events")
        outcomes = await entry.future
        if isinstance(outcomes, Clash):
            which = f"Event {outcomes.number} of the batch: t" if len(drafts) > 1 else "T"
            raise Conflict(
                f"{which}his id or Idempotency-Key was used for another event. Take a fresh one for each."
            )
        return outcomes

    async def _append_waiting(self) -> None:
        try:
            while self._waiting:
                await gathered(lambda: self._waiting_events, MAX_GROUP)
                await self._append_group(self._next_group())
        finally:
            self._appending = None

    def _next_group(self) -> list[_Waiting]:
        """Take what comes next: the first batch, and as many more as have room beside it."""
        group = [self._waiting.popleft()]
        count = len(group[0].drafts)
        while self._waiting and count + len(self._waiting[0].drafts) <= MAX_GROUP:
            group.append(self._waiting.popleft())
            count += len(group[-1].drafts)
        self._waiting_events -= count
        return group

    async def _append_group(self, group: list[_Waiting]) -> None:
        batches = [Batch(entry.drafts, entry.since) for entry in group]
        try:
            found = await self._store(batches, quick=_is_quick(group))
        except BaseException as error:
            for entry in group:
                if not entry.future.done():
                    entry.future.set_exception(
                        error if isinstance(error, Exception) else Unavailable("This service is stopping.")
                    )
            if not isinstance(error, Exception):
                raise
            return
        # Readers first: whoever published may ask for the event at once. What is behind `latest` is new to
        # them though it was stored before: by a commit of which no word came back, or by another writer.
        latest = self.latest
        fresh = {
            event.position: event
            for outcomes in found
            if not isinstance(outcomes, Clash)
            for event, _ in outcomes
            if event.position > latest
        }
        self._tell([fresh[position] for position in sorted(fresh)])
        for entry, outcomes in zip(group, found, strict=True):
            if not entry.future.done():
                entry.future.set_result(outcomes)

    async def _store(self, batches: Sequence[Batch], *, quick: bool) -> list[list[Outcome] | Clash]:
        now, write = self._clock(), self._database.write_rows
        if self._looking_up:
            self._looking_up -= 1
        else:
            try:
                return await write(partial(store_new, batches=batches, now=now), quick=quick)
            except IntegrityError:
                # Something of it is stored already, or comes twice: then all of it is looked up. Where one is
                # sent again, others are, and to find that out each time would cost all writers twice.
                self._looking_up = LOOKED_UP_GROUPS
        return await write(partial(store, batches=batches, now=now), quick=quick)

    def _tell(self, fresh: list[Stored]) -> None:
        if not fresh:
            return
        if fresh[-1].position - self.latest != len(fresh):
            # Between them lies what was never told of: readers find it in the database.
            self.tail, self._knows_types = Tail(fresh[-1].position), False
        else:
            self.tail.extend(fresh)
        self.latest = fresh[-1].position
        if len(self._types) <= MAX_TYPES:
            self._types.update({event.type for event in fresh})
        for listener in self._listeners:
            listener(fresh)

    async def after(self, position: int, wanted: Filter, limit: int) -> tuple[list[Stored], int]:
        """Return the next events that a filter accepts, and the position up to which there are no others.

        From memory where they are there; otherwise from the database, in a thread.
        """
        latest = self.latest
        recent = self.tail.after(position)
        if recent is not None:
            found = list(wanted.chosen(recent))
        else:
            types = self.types
            found = await self._database.read(
                lambda session: events_after(session, position, wanted, limit, latest, types), long=True
            )
        if len(found) > limit or (recent is None and len(found) == limit):
            found = found[:limit]
            latest = found[-1].position
        now = self._clock()
        return [event.at_time(now) for event in found], latest

    def removed_through(self, wanted: Filter) -> int:
        """Return the newest position at which something was removed that the filter asks for; 0 if nothing
        was.
        """
        return max(
            (through for type_, through in self._removed.items() if wanted.wants_type(type_)), default=0
        )

    def note_removed(self, type_: str, through: int) -> None:
        """Note up to where events of a type have been removed."""
        self._removed[type_] = max(through, self._removed.get(type_, 0))

    def forget(self, positions: Sequence[int]) -> None:
        """Take note of events that were removed."""
        self.tail.remove(positions)

    def replace(self, erased: Sequence[Stored]) -> None:
        """Take note of events whose data was erased."""
        for event in erased:
            self.tail.replace(event)

    async def close(self) -> None:
        """Store what waits, and take nothing more."""
        self._closed = True
        if self._appending is not None:
            await asyncio.gather(self._appending, return_exceptions=True)
        if self.epoch:
            await self.remember()


def _is_quick(group: Sequence[_Waiting]) -> bool:
    """Tell whether these are several events, and are stored in a few milliseconds."""
    sizes = [len(draft.head) for entry in group for draft in entry.drafts]
    return len(sizes) > 1 and sum(sizes) <= _QUICK_BYTES

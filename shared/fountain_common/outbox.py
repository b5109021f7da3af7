"""Transactional outbox: an event is a row that is written with the change it tells of (design, section 5).

Either both are kept or neither. A dispatcher hands the rows on, in order, until each is accepted; with the
notification service away they wait. The event's id is its idempotency key: handed on twice, stored once.
"""

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge
from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Integer,
    MetaData,
    String,
    Table,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.orm import DeclarativeBase, Session

from fountain_common.db import Database, UtcDateTime, notify
from fountain_common.errors import Problem
from fountain_common.logging import get_logger

TOPIC = "outbox"
FIRST_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 15.0
_BATCH = 64
# The receiver will never take these, whenever they are sent. All else may pass.
_HOPELESS = frozenset({400, 403, 413, 422})

OUTBOX = Table(
    "outbox",
    MetaData(),
    Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("type", String(255), nullable=False),
    Column("subject", String(255)),
    Column("data", JSON, nullable=False),
    Column("recipient", String(63)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("refused", String(255)),
    sqlite_autoincrement=True,
)
_ADD = insert(OUTBOX)


def outbox_table(base: type[DeclarativeBase] | MetaData) -> Table:
    """Add the outbox to a service's own tables, so that its migrations make it."""
    return OUTBOX.to_metadata(base if isinstance(base, MetaData) else base.metadata)


class Publish(Protocol):
    """How an event is handed on: `platform.events.publish` is one."""

    def __call__(
        self,
        type: str,  # noqa: A002 - the CloudEvents name of the field
        subject: str | None,
        data: Any,
        *,
        idempotency_key: str,
        recipient: str | None,
    ) -> Awaitable[object]:
        """Return once it is accepted; raise to be called again, or a 400, 403, 413 or 422 to set it aside."""
        ...


@dataclass(frozen=True, slots=True)
class _Entry:
    position: int
    id: str
    type: str
    subject: str | None
    data: Any
    recipient: str | None


def enqueue(
    session: Session,
    type: str,  # noqa: A002 - the CloudEvents name of the field
    subject: str | None = None,
    data: Mapping[str, Any] | None = None,
    *,
    recipient: str | None = None,
    event_id: str | None = None,
) -> str:
    """Write an event into the caller's transaction and answer its id.

    Args:
        session: the one that `Database.write` gave.
        type, subject, data: of the event; names and versions, never a secret value.
        recipient: the one identity that may see it; None for everybody.
        event_id: a UUID, if the caller wants to choose it.
    """
    chosen = event_id or str(uuid.uuid4())
    session.connection().execute(_ADD, [_row(chosen, type, subject, data, recipient)])
    notify(session, TOPIC)
    return chosen


def enqueue_all(session: Session, events: Iterable[tuple[str, str | None, Mapping[str, Any] | None]]) -> None:
    """Write events for everybody, each of type, subject and data, into the caller's transaction, in this
    order.
    """
    rows = [_row(str(uuid.uuid4()), *event, None) for event in events]
    if rows:
        session.connection().execute(_ADD, rows)
        notify(session, TOPIC)


def _row(
    event_id: str,
    type_: str,
    subject: str | None,
    data: Mapping[str, Any] | None,
    recipient: str | None,
) -> dict[str, Any]:
    return {
        "id": event_id,
        "type": type_,
        "subject": subject,
        "data": dict(data or {}),
        "recipient": recipient,
        "created_at": datetime.now(UTC),
    }


def wait_seconds(failures: int, jitter: float) -> float:
    """Answer how long to wait after so many failures in a row: doubled each time, to 15 s, and spread.

    Args:
        failures: from 1.
        jitter: 0 to 1, drawn at random; the wait is between half and all of the step.
    """
    step = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** min(failures - 1, 16))
    return step * (0.5 + jitter / 2)


class OutboxDispatcher:
    """Hands events on, in order, one after the other, until each is accepted; then removes it.

    It wakes when a transaction with an event is committed. An event that the receiver will never take (a 400,
    403, 413 or 422) is set aside with the reason, logged and counted, so that it does not hold up the others.

    Args:
        db: where the outbox is.
        publish: hands one on.
        registry: takes `fountain_outbox_*` metrics.
    """

    def __init__(self, db: Database, publish: Publish, *, registry: CollectorRegistry | None = None) -> None:
        self._db, self._publish = db, publish
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stop_listening: Callable[[], None] | None = None
        self._waiting = Gauge(
            "fountain_outbox_waiting", "Events that wait to be accepted.", registry=registry
        )
        self._sent = Counter("fountain_outbox_accepted", "Events accepted.", registry=registry)
        self._failed = Counter("fountain_outbox_failures", "Attempts that failed.", registry=registry)
        self._refused = Counter(
            "fountain_outbox_refused", "Events set aside, never to be accepted.", registry=registry
        )

    async def start(self) -> None:
        """Begin, with what an earlier process left."""
        self._stop_listening = self._db.listen(TOPIC, self._wake.set)
        self._wake.set()
        self._task = asyncio.create_task(self._run(), name="outbox")

    async def stop(self) -> None:
        """End; what has not been accepted waits in the table."""
        if self._stop_listening is not None:
            self._stop_listening()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def wake(self) -> None:
        """Try at once, such as when the receiver is known to be back."""
        self._wake.set()

    async def waiting(self) -> int:
        """Answer how many events wait."""
        return await self._db.read(
            lambda session: (
                session.scalar(select(func.count()).select_from(OUTBOX).where(OUTBOX.c.refused.is_(None)))
                or 0
            )
        )

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                await self._hand_on_all()
                failures = 0
                await self._wake.wait()
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it was, the event is still in the table
                failures += 1
                self._failed.inc()
                pause = wait_seconds(failures, random.random())  # noqa: S311 - spreads load, guards nothing
                get_logger().warning(
                    "outbox_waits", failures=failures, seconds=round(pause, 2), exc_info=error
                )
                with suppress(TimeoutError):
                    # Not wait_for: on Python 3.11 it loses a cancellation that meets a wake-up.
                    async with asyncio.timeout(pause):
                        await self._woken_by_hand()

    async def _woken_by_hand(self) -> None:
        self._wake.clear()
        await self._wake.wait()

    async def _hand_on_all(self) -> None:
        self._wake.clear()
        while entries := await self._db.read(_first):
            self._waiting.set(await self.waiting())
            await self._hand_on_some(entries)
        self._waiting.set(0)

    async def _hand_on_some(self, entries: list[_Entry]) -> None:
        # What was accepted is removed with one commit. Killed before that, it is handed on again, and known
        # by its id.
        accepted: list[int] = []
        try:
            for entry in entries:
                reason = await self._hand_on(entry)
                if reason is None:
                    accepted.append(entry.position)
                else:
                    await self._db.write(partial(_set_aside, position=entry.position, reason=reason))
        finally:
            if accepted:
                await self._remove(accepted)

    async def _remove(self, accepted: list[int]) -> None:
        removal = asyncio.ensure_future(self._db.write(partial(_remove, positions=accepted)))
        try:
            await asyncio.shield(removal)
        except asyncio.CancelledError:
            # Stopping waits for it, or the receivers would be handed everything again at the next start.
            await removal
            raise

    async def _hand_on(self, entry: _Entry) -> str | None:
        try:
            await self._publish(
                entry.type, entry.subject, entry.data, idempotency_key=entry.id, recipient=entry.recipient
            )
        except Problem as problem:
            if problem.status not in _HOPELESS:
                raise
            self._refused.inc()
            get_logger().error(
                "outbox_event_refused", event_id=entry.id, type=entry.type, status=problem.status
            )
            return f"{problem.status} {problem.title}"
        self._sent.inc()
        return None


def _first(session: Session) -> list[_Entry]:
    columns = (
        OUTBOX.c.position,
        OUTBOX.c.id,
        OUTBOX.c.type,
        OUTBOX.c.subject,
        OUTBOX.c.data,
        OUTBOX.c.recipient,
    )
    query = select(*columns).where(OUTBOX.c.refused.is_(None)).order_by(OUTBOX.c.position).limit(_BATCH)
    return [_Entry(*row) for row in session.execute(query)]


def _set_aside(session: Session, position: int, reason: str) -> None:
    session.execute(update(OUTBOX).where(OUTBOX.c.position == position).values(refused=reason))


def _remove(session: Session, positions: list[int]) -> None:
    session.execute(delete(OUTBOX).where(OUTBOX.c.position.in_(positions)))

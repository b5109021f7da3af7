"""Rotations that are asked for at the same time: decided one by one, written together.

What a rotation costs is mostly statements, and for many secrets these are as many as for one. While one
transaction is committed, the next wishes gather; what is wrong with one of them is no other's concern.
"""

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from fountain_common.errors import Conflict, NotFound, PreconditionFailed
from fountain_common.gathering import gathered
from fountain_common.ids import new_ids
from sqlalchemy.orm import Session

from secrets_manager import idempotency, repository_facts, repository_rotating, transitions, views
from secrets_manager.audit import Audit
from secrets_manager.changes import Changes
from secrets_manager.holders import Presence
from secrets_manager.idempotency import Done
from secrets_manager.intents import Intent, Wish
from secrets_manager.policies import MOST_DRAINING
from secrets_manager.preconditions import strongly_matches
from secrets_manager.repository_rotating import Begun, Standing, begun
from secrets_manager.rotation import Rotation, RotationState, VersionState
from secrets_manager.values import Values
from secrets_manager.vault import Vault

_MOST: Final = 64
#: So much is read, opened, sealed and written in a few milliseconds.
_QUICK_BYTES: Final = 512 * 1024
#: So often a rotation is held against a holder in as long, or one of the two alone is read and written.
_QUICK_ROWS: Final = 512


class StillDrainingError(Conflict):
    """So many versions drain that another rotation has to wait."""


@dataclass(frozen=True)
class Granted:
    """What came of a wish. Without a state it was granted before, and what is there now must be read."""

    done: Done
    state: VersionState | None = None
    values: Values | None = field(default=None, repr=False)
    due: float | None = None


@dataclass
class Rotating:
    """Begins rotations, those that wait together in one transaction."""

    changes: Changes
    vault: Vault
    audit: Audit
    clock: Callable[[], float]
    presence: Presence
    _waiting: list[tuple[Wish, asyncio.Future[Granted]]] = field(default_factory=list)
    # The held versions of what was rotated last, sealed, and the rotations that were open then: the next one
    # meets no more bytes and rotations than that.
    _sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    _task: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether wishes are being written."""
        return self._task is not None and not self._task.done()

    async def begin(self, wish: Wish) -> Granted:
        """Begin a rotation; return once that is durable. A caller that goes away changes nothing about it."""
        granted: asyncio.Future[Granted] = asyncio.get_running_loop().create_future()
        self._waiting.append((wish, granted))
        if not self.busy:
            self._task = asyncio.create_task(self._flush(), name="rotating")
        return await granted

    def begin_in(self, session: Session, wishes: Sequence[Wish]) -> list[Granted | Exception]:
        """Begin rotations of different secrets in the caller's transaction, or say why not."""
        now = self.clock()
        before = [_recalled(session, wish.intent, now) for wish in wishes]
        fresh = [wish for wish, known in zip(wishes, before, strict=True) if known is None]
        standing = repository_rotating.standing_of(session, [wish.service_name for wish in fresh])
        wants_epoch = any(wish.intent.if_match is not None for wish in fresh)
        epoch = repository_facts.epoch(session) if wants_epoch else ""
        names = iter(new_ids(len(fresh)))
        beginning: list[Begun] = []
        records: list[dict[str, object]] = []
        outcomes: list[Granted | Exception] = []
        for wish, known in zip(wishes, before, strict=True):
            if known is not None:
                outcomes.append(known)
                continue
            try:
                found = standing.get(wish.service_name)
                one, made = self._decide(wish, next(names), found, epoch, now)
            except Exception as error:  # noqa: BLE001 - it belongs to the one who asked
                outcomes.append(error)
                continue
            beginning.append(one)
            records.append(wish.record.of(**self._described(wish.intent, one.rotation, made)))
            outcomes.append(_granted(one, made, found))
            if wish.intent.key is not None:
                idempotency.remember(session, wish.intent.key, wish.service_name, _done(one), now)
        repository_rotating.write(session, beginning, now)
        self.audit.record_all(session, records)
        return outcomes

    def _decide(
        self, wish: Wish, rotation_id: str, found: Standing | None, epoch: str, now: float
    ) -> tuple[Begun, Values]:
        if found is None:
            raise NotFound(f"There is no secret of {wish.service_name}.")
        intent = wish.intent
        _check_if_match(intent, found, epoch)
        _check_draining(intent, found)
        by_state = {row.state: row for row in found.versions}
        active = by_state.get(VersionState.ACTIVE)
        if active is None:
            raise Conflict("No version of this secret is active.")
        # What is staged goes on in its successor: a value that somebody chose a moment ago is not lost.
        made = wish.change(views.open_values(self.vault, by_state.get(VersionState.STAGED, active)))
        rotation = Rotation(
            rotation_id=rotation_id,
            service_name=wish.service_name,
            version=found.newest_version + 1,
            previous_version=active.version,
            state=RotationState.STAGED,
            overdue=False,
            created_at=now,
            deadline_at=now + found.policy.deadline_seconds,
            deadline_seconds=found.policy.deadline_seconds,
            overlap_seconds=found.policy.overlap_seconds,
            reason=intent.operation,
        )
        changes = transitions.begin(rotation, found.open_ones, found.holders, immediate=intent.immediate)
        sealed = self.vault.seal(wish.service_name, rotation.version, made)
        # Whether this is committed or not: then there is less.
        held = len(sealed) + sum(len(row.sealed or b"") for row in found.versions)
        self._sizes[wish.service_name] = held, len(found.open_ones) + 1
        return begun(rotation, sealed, changes, found, intent.by), made

    def _described(self, intent: Intent, rotation: Rotation, made: Values) -> dict[str, object]:
        return {
            "operation": intent.operation,
            "immediate": intent.immediate,
            "rotation_id": rotation.rotation_id,
            "version": rotation.version,
            **self.vault.described(made),
        }

    async def _flush(self) -> None:
        while self._waiting:
            # A second group of the few who came first would cost nearly what the group of all does.
            await gathered(lambda: len(self._waiting), _MOST)
            batch = self._take()
            wishes = [wish for wish, _ in batch]
            try:
                outcomes = await self.changes.write(
                    partial(self.begin_in, wishes=wishes), quick=self._is_quick(wishes)
                )
            except Exception as error:  # noqa: BLE001 - nothing was kept, and each of them must hear of it
                outcomes = [error] * len(batch)
            for (wish, granted), outcome in zip(batch, outcomes, strict=True):
                if isinstance(outcome, Granted) and outcome.state is not None:
                    self.changes.changed(wish.service_name, outcome.due)
                if granted.done():
                    continue
                if isinstance(outcome, Granted):
                    granted.set_result(outcome)
                else:
                    granted.set_exception(outcome)

    def _is_quick(self, wishes: Sequence[Wish]) -> bool:
        """Tell whether these are several, and take a few milliseconds; of what was not rotated yet, nobody
        knows.
        """
        size = rows = 0.0
        for wish in wishes:
            held, rotations = self._sizes.get(wish.service_name, (math.inf, math.inf))
            size += held + wish.given_bytes
            # Holders come without a rotation, so that their number is asked for now.
            rows += (1 + rotations) * (1 + self.presence.count(wish.service_name))
        return len(wishes) > 1 and size <= _QUICK_BYTES and rows <= _QUICK_ROWS

    def _take(self) -> list[tuple[Wish, asyncio.Future[Granted]]]:
        """Take what can be done at once; a second wish for the same secret sees what became of the first."""
        taken: list[tuple[Wish, asyncio.Future[Granted]]] = []
        left: list[tuple[Wish, asyncio.Future[Granted]]] = []
        seen: set[object] = set()
        for waiting in self._waiting:
            alone = waiting[0].alone
            (left if len(taken) == _MOST or not seen.isdisjoint(alone) else taken).append(waiting)
            seen |= alone
        self._waiting = left
        return taken


def _recalled(session: Session, intent: Intent, now: float) -> Granted | Exception | None:
    try:
        done = idempotency.recall(session, intent.key, now)
    except Exception as error:  # noqa: BLE001 - it belongs to the one who asked
        return error
    return None if done is None else Granted(done)


def _granted(one: Begun, made: Values, found: Standing | None) -> Granted:
    open_ones = found.open_ones if found is not None else []
    changed = {other.rotation_id: other for other in one.others}
    after = [changed.get(other.rotation_id, other) for other in open_ones]
    due = transitions.earliest([*after, one.rotation], one.holders)
    return Granted(_done(one), one.state, made, due)


def _done(one: Begun) -> Done:
    return Done(one.rotation.version, one.rotation.rotation_id)


def _check_draining(intent: Intent, found: Standing) -> None:
    draining = sum(row.state == VersionState.DRAINING for row in found.versions)
    if draining >= MOST_DRAINING and not intent.immediate:  # which ends their draining
        raise StillDrainingError(
            f"{draining} versions of this secret still drain, and no more than {MOST_DRAINING} may. "
            "Wait until one of them has retired, end its overlap with `fountain rotations force`, or rotate "
            "with `immediate`, which ends them all."
        )


def _check_if_match(intent: Intent, found: Standing, epoch: str) -> None:
    if intent.if_match is None:
        return
    now = views.etag(epoch, [(row.version, row.state) for row in found.versions])
    if not strongly_matches(intent.if_match, now):
        raise PreconditionFailed(
            "The secret has changed since you read it. Read it again before you change it."
        )

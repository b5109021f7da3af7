"""What the service does; each change and its event are one transaction."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from fountain_common import Database, NotFound, PreconditionFailed, enqueue
from sqlalchemy.orm import Session

from action import repository
from action.models import Action
from action.schemas import ActionChange, NewAction


@dataclass(frozen=True)
class Actions:
    """The actions of all characters. `clock` answers the time, aware."""

    db: Database
    clock: Callable[[], datetime]

    async def create(self, new: NewAction) -> Action:
        """Add an action after the character's last."""

        def change(session: Session) -> Action:
            now = self.clock()
            number = repository.next_number(session, new.character_id)
            row = Action(
                **new.model_dump(), sequence_number=number, revision=1, created_at=now, updated_at=now
            )
            session.add(row)
            session.flush()
            _announce(session, "action.created", row)
            return row

        return await self.db.write(change)

    async def get(self, action_id: int) -> Action:
        """Raises `NotFound`."""
        row = await self.db.read(lambda session: repository.get(session, action_id))
        return row if row is not None else _missing(action_id)

    async def page(
        self, after: int, limit: int, character_id: int | None, keyword: str | None
    ) -> list[Action]:
        """Up to `limit` actions with ids above `after`."""
        # A keyword reads every row, which the event loop does not wait for.
        return await self.db.read(
            lambda session: repository.page(session, after, limit, character_id, keyword), long=bool(keyword)
        )

    async def update(self, action_id: int, change: ActionChange, if_match: str | None) -> Action:
        """Change what the request names. Raises `NotFound`, and `PreconditionFailed` for a lost update."""

        def write(session: Session) -> Action:
            row = _expected(session, action_id, if_match)
            for name in change.model_fields_set:
                setattr(row, name, getattr(change, name))
            row.revision += 1
            row.updated_at = self.clock()
            session.flush()
            _announce(session, "action.updated", row)
            return row

        return await self.db.write(write)

    async def delete(self, action_id: int, if_match: str | None) -> None:
        """Remove it; its number is not given again. Raises `NotFound` and `PreconditionFailed`."""

        def write(session: Session) -> None:
            row = _expected(session, action_id, if_match)
            session.delete(row)
            _announce(session, "action.deleted", row)

        await self.db.write(write)


def etag(row: Action) -> str:
    """The ETag of an action: it changes with each change."""
    return f'"{row.action_id}-{row.revision}"'


def matches(header: str, tag: str) -> bool:
    """Whether an If-None-Match header names `tag`: weak comparison (RFC 9110, 13.1.2)."""
    return header.strip() == "*" or tag in (part.strip().removeprefix("W/") for part in header.split(","))


def strongly_matches(header: str, tag: str) -> bool:
    """Whether an If-Match header names `tag`: strong comparison, so no weak one (RFC 9110, 13.1.1)."""
    return header.strip() == "*" or tag in (part.strip() for part in header.split(","))


def _expected(session: Session, action_id: int, if_match: str | None) -> Action:
    row = repository.get(session, action_id, to_change=True) or _missing(action_id)
    if if_match is not None and not strongly_matches(if_match, etag(row)):
        raise PreconditionFailed(
            "The action has changed since you read it. Read it again before you change it."
        )
    return row


def _missing(action_id: int) -> Action:
    raise NotFound(f"There is no action {action_id}.")


def _announce(session: Session, kind: str, row: Action) -> None:
    data = {
        "actionId": row.action_id,
        "characterId": row.character_id,
        "sequenceNumber": row.sequence_number,
        "revision": row.revision,
    }
    enqueue(session, kind, str(row.action_id), data)

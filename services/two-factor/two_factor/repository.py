"""Queries. Each takes the session of a transaction that is under way."""

from datetime import datetime

from fountain_common import Sealer
from sqlalchemy import LargeBinary, delete, func, select, union, update
from sqlalchemy.orm import Session

from two_factor.lockout import Lockout
from two_factor.models import Factor, OneTimeCode, RecoveryCode, WrongCodes


def take_turns(session: Session, username: str) -> None:
    """Wait until nobody else changes what belongs to this name, until the end of the transaction.

    SQLite has one writer at a time anyway; on PostgreSQL replicas would else judge one code at the same time.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(username, 0))))


def factor(session: Session, username: str) -> Factor | None:
    """The person's factor, confirmed or not."""
    return session.get(Factor, username)


def lockout(session: Session, username: str) -> Lockout:
    """What wrong codes have led to so far."""
    row = session.get(WrongCodes, username)
    return Lockout(row.failures, row.locked_until) if row else Lockout()


def keep_lockout(session: Session, username: str, state: Lockout) -> None:
    """Remember it; a clean slate is no row."""
    if state == Lockout():
        session.execute(delete(WrongCodes).where(WrongCodes.username == username))
    else:
        session.merge(WrongCodes(username=username, failures=state.failures, locked_until=state.locked_until))


def use_recovery_code(session: Session, username: str, code_hash: bytes, now: datetime) -> bool:
    """Mark the code as used; False if there is no such unused one."""
    used = session.execute(
        update(RecoveryCode)
        .where(
            RecoveryCode.username == username, RecoveryCode.hash == code_hash, RecoveryCode.used_at.is_(None)
        )
        .values(used_at=now)
        .returning(RecoveryCode.username)
    )
    return used.first() is not None


def replace_recovery_codes(session: Session, username: str, hashes: list[bytes]) -> None:
    """Put a new set in the place of the old."""
    session.execute(delete(RecoveryCode).where(RecoveryCode.username == username))
    session.add_all(RecoveryCode(username=username, hash=one) for one in hashes)


def recovery_codes_left(session: Session, username: str) -> int:
    """How many are unused."""
    unused = select(func.count()).where(RecoveryCode.username == username, RecoveryCode.used_at.is_(None))
    return session.scalar(unused) or 0


def factors_after(session: Session, username: str, limit: int) -> list[Factor]:
    """The next factors in the order of their names."""
    return list(
        session.scalars(
            select(Factor).where(Factor.username > username).order_by(Factor.username).limit(limit)
        )
    )


def sealed_heads(session: Session) -> list[bytes]:
    """With which keys anything is sealed, as the first bytes of what is."""
    columns = (Factor.seed, Factor.pending_seed, OneTimeCode.code)
    heads = [select(func.substr(column, 1, Sealer.HEAD_BYTES, type_=LargeBinary)) for column in columns]
    return [head for (head,) in session.execute(union(*heads)) if head is not None]


def one_time_codes(session: Session) -> list[OneTimeCode]:
    """All codes that are on their way; they live for minutes."""
    return list(session.scalars(select(OneTimeCode)))


def forget_one_time_code(session: Session, username: str) -> None:
    """Make the code that is on its way to somebody void."""
    session.execute(delete(OneTimeCode).where(OneTimeCode.username == username))


def seed_context(username: str) -> str:
    """The place of a person's seed, confirmed or waiting."""
    return f"factors/{username}/seed"


def code_context(username: str) -> str:
    """The place of a person's one-time code."""
    return f"one_time_codes/{username}/code"

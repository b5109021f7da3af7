"""Queries over rotation policies."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from secrets_manager.models_secrets import PolicyRow, SecretRow
from secrets_manager.policies import Policy


def find(session: Session, service_name: str) -> PolicyRow | None:
    """Return the policy row of a secret."""
    return session.get(PolicyRow, service_name)


def to_policy(row: PolicyRow) -> Policy:
    """Return a row as the rules know it."""
    return Policy(row.cron, row.interval_seconds, row.overlap_seconds, row.deadline_seconds)


def due(session: Session, now: float) -> Sequence[str]:
    """Return the secrets, not revoked ones, whose scheduled moment has come."""
    query = (
        select(PolicyRow.service_name)
        .join(SecretRow, SecretRow.service_name == PolicyRow.service_name)
        .where(PolicyRow.next_at <= now, SecretRow.revoked_at.is_(None))
    )
    return session.scalars(query.order_by(PolicyRow.next_at)).all()


def everyone(session: Session) -> Sequence[PolicyRow]:
    """Return all policies."""
    return session.scalars(select(PolicyRow)).all()


def earliest(session: Session) -> float | None:
    """Return the first scheduled moment of all."""
    return session.scalar(select(func.min(PolicyRow.next_at)))

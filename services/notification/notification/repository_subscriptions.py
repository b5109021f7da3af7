"""The subscriptions' queries."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.orm import Session

from notification.models import log_state, subscriptions
from notification.rows import changed
from notification.subscription import Options, Subscription


def _subscription(row: Row[Any]) -> Subscription:
    return Subscription(
        name=row.name,
        owner=row.owner,
        types=tuple(row.types),
        service=row.service,
        callback_url=row.callback_url,
        options=Options.from_json(row.options),
        enabled=row.enabled,
        disabled_reason=row.disabled_reason,
        had=row.had,
        missed_through=row.missed_through,
        failing_since=row.failing_since,
        secret=row.secret,
        previous_secret=row.previous_secret,
        previous_until=row.previous_until,
        created_at=row.created_at,
        updated_at=row.updated_at,
        disabled_at=row.disabled_at,
    )


def subscription_named(session: Session, name: str) -> Subscription | None:
    """Return a subscription."""
    row = session.execute(select(subscriptions).where(subscriptions.c.name == name)).first()
    return None if row is None else _subscription(row)


def list_subscriptions(session: Session, behind: str = "", limit: int | None = None) -> list[Subscription]:
    """Return subscriptions by name, those behind a name."""
    query = (
        select(subscriptions).where(subscriptions.c.name > behind).order_by(subscriptions.c.name).limit(limit)
    )
    return [_subscription(row) for row in session.execute(query)]


def latest_position(session: Session) -> int:
    """Return the newest position of the log."""
    return int(session.execute(select(log_state.c.last_position)).scalar_one())


def add_subscription(session: Session, subscription: Subscription) -> None:
    """Store a new subscription."""
    session.execute(insert(subscriptions).values(**_values(subscription), announced=True))


def change_subscription(session: Session, subscription: Subscription) -> None:
    """Store what a subscription is to be now; what it has had is left as it is.

    That it was disabled is told even so, unless it is enabled again.
    """
    values = _values(subscription)
    del values["had"], values["name"]
    if subscription.enabled:
        values["announced"] = True
    session.execute(update(subscriptions).where(subscriptions.c.name == subscription.name).values(**values))


def replace_secret(session: Session, name: str, sealed: bytes, until: float, now: float) -> None:
    """Store a new signing secret beside the one before, which signs until then too."""
    session.execute(
        update(subscriptions)
        .where(subscriptions.c.name == name)
        .values(secret=sealed, previous_secret=subscriptions.c.secret, previous_until=until, updated_at=now)
    )


def _values(subscription: Subscription) -> dict[str, Any]:
    values = {name: getattr(subscription, name) for name in subscription.__slots__}
    return {**values, "types": list(subscription.types), "options": subscription.options.to_json()}


def remove_subscription(session: Session, name: str) -> bool:
    """Remove a subscription with its deliveries; tells whether there was one."""
    return bool(changed(session.execute(delete(subscriptions).where(subscriptions.c.name == name))))


def disable_subscription(session: Session, name: str, reason: str, now: float) -> bool:
    """Disable a subscription that is enabled, to be announced; tells whether it was."""
    result = session.execute(
        update(subscriptions)
        .where(subscriptions.c.name == name, subscriptions.c.enabled)
        .values(enabled=False, disabled_reason=reason, disabled_at=now, announced=False, updated_at=now)
    )
    return bool(changed(result))


def unannounced(session: Session) -> list[Subscription]:
    """Return the disabled subscriptions of which nobody has been told."""
    return [
        _subscription(row) for row in session.execute(select(subscriptions).where(~subscriptions.c.announced))
    ]


def note_announced(session: Session, name: str, disabled_at: float | None) -> None:
    """Note that everybody has been told, unless the subscription was disabled again since."""
    session.execute(
        update(subscriptions)
        .where(subscriptions.c.name == name, subscriptions.c.disabled_at == disabled_at)
        .values(announced=True)
    )


def note_failing(session: Session, name: str, since: float | None) -> None:
    """Note since when a subscription has been failing; None when it works."""
    session.execute(update(subscriptions).where(subscriptions.c.name == name).values(failing_since=since))


def note_missed(session: Session, name: str, position: int) -> None:
    """Note that the event at a position had been removed before it could be delivered."""
    session.execute(
        update(subscriptions)
        .where(subscriptions.c.name == name, subscriptions.c.missed_through < position)
        .values(missed_through=position)
    )


def note_had(session: Session, name: str, position: int) -> None:
    """Note up to where events have become deliveries."""
    session.execute(
        update(subscriptions)
        .where(subscriptions.c.name == name, subscriptions.c.had < position)
        .values(had=position)
    )


def least_had(session: Session) -> int | None:
    """Return the position up to which every enabled subscription has had everything; None if there is no
    subscription.
    """
    return session.execute(select(func.min(subscriptions.c.had)).where(subscriptions.c.enabled)).scalar()


def has_outlived_secrets(session: Session, now: float) -> bool:
    """Tell whether a signing secret is stored that was replaced and signs no more."""
    query = select(subscriptions.c.name).where(subscriptions.c.previous_until <= now).limit(1)
    return session.execute(query).first() is not None


def erase_outlived_secrets(session: Session, now: float) -> int:
    """Erase the signing secrets that were replaced and sign no more; answers how many."""
    result = session.execute(
        update(subscriptions)
        .where(subscriptions.c.previous_until <= now)
        .values(previous_secret=None, previous_until=None)
    )
    return changed(result)


def sealed_secrets(session: Session) -> list[bytes]:
    """Return all signing secrets, sealed."""
    rows = session.execute(select(subscriptions.c.secret, subscriptions.c.previous_secret)).all()
    return [sealed for row in rows for sealed in row if sealed is not None]


def reseal(
    session: Session, current: Callable[[bytes], bool], again: Callable[[str, bytes], bytes | None]
) -> int:
    """Seal anew each secret that is not sealed with the active key; answers how many.

    Args:
        session: of the writer.
        current: tells whether a sealed secret is sealed with the active key.
        again: opens and seals, given the subscription's name; None when it does not open.
    """
    count = 0
    for row in session.execute(
        select(subscriptions.c.name, subscriptions.c.secret, subscriptions.c.previous_secret)
    ).all():
        values: dict[str, bytes] = {}
        for column in ("secret", "previous_secret"):
            sealed = getattr(row, column)
            anew = again(row.name, sealed) if sealed is not None and not current(sealed) else None
            if anew is not None:
                values[column] = anew
        if values:
            session.execute(update(subscriptions).where(subscriptions.c.name == row.name).values(**values))
            count += len(values)
    return count

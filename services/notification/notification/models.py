"""The tables. Moments are unix seconds: they are compared far more often than shown."""

from fountain_common.db import new_metadata
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = new_metadata()

_Id = BigInteger().with_variant(Integer, "sqlite")
_WITH_KEY = text("key IS NOT NULL")
_EXPIRING = text("expires_at IS NOT NULL")

log_state = Table(
    "log_state",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("epoch", String(32), nullable=False),
    Column("last_position", _Id, nullable=False),
)
"""One row. `epoch` names this history of the log; a log put back from a backup gets a new one."""

events = Table(
    "events",
    metadata,
    Column("position", _Id, primary_key=True, autoincrement=False),
    Column("id", String(255), nullable=False),
    Column("source", String(255), nullable=False),
    Column("type", String(255), nullable=False),
    # "" stands for none in `subject` and `recipient`: NULL would be in the way of indexes and comparisons.
    Column("subject", String(255), nullable=False),
    Column("recipient", String(63), nullable=False),
    Column("stored_at", Float, nullable=False),
    Column("expires_at", Float),
    Column("key", String(255)),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    UniqueConstraint("id", "source"),
    Index(
        "uq_events_source_key",
        "source",
        "key",
        unique=True,
        sqlite_where=_WITH_KEY,
        postgresql_where=_WITH_KEY,
    ),
    Index("ix_events_newest", "type", "subject", "recipient", "position"),
    Index("ix_events_type", "type", "position"),
    Index("ix_events_source", "source", "position"),
    Index("ix_events_expires_at", "expires_at", sqlite_where=_EXPIRING, postgresql_where=_EXPIRING),
)
"""The log. `body` is the CloudEvent as it is sent, encoded once."""

removals = Table(
    "removals",
    metadata,
    Column("type", String(255), primary_key=True),
    Column("through", _Id, nullable=False),
)
"""Up to which position events of a type have been removed: what tells a reader that it missed some."""

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("owner", String(255), nullable=False),
    Column("types", JSON, nullable=False),
    Column("service", String(63)),
    Column("callback_url", Text),
    Column("options", JSON, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("disabled_reason", String(255)),
    Column("disabled_at", Float),
    Column("had", _Id, nullable=False),
    Column("missed_through", _Id, nullable=False),
    Column("announced", Boolean, nullable=False),
    Column("failing_since", Float),
    Column("secret", LargeBinary, nullable=False),
    Column("previous_secret", LargeBinary),
    Column("previous_until", Float),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
)
"""Who wants what. Events up to the position `had` have become deliveries; the secrets are sealed.
`disabled_at` is when it was disabled for its failures; from then on `announced` is False until everybody has
been told."""

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("subscription", String(63), ForeignKey("subscriptions.name", ondelete="CASCADE"), nullable=False),
    Column("position", _Id, nullable=False),
    Column("subject", String(255), nullable=False),
    Column("status", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Float, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("finished_at", Float),
    UniqueConstraint("subscription", "position"),
    Index("ix_deliveries_lane", "subscription", "status", "subject", "position"),
    Index("ix_deliveries_position", "position", "status"),
    Index("ix_deliveries_finished_at", "finished_at"),
    sqlite_autoincrement=True,
)
"""One event for one subscription; `status` is pending, delivered, dead or dropped."""

attempts = Table(
    "attempts",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("delivery", _Id, ForeignKey("deliveries.id", ondelete="CASCADE"), nullable=False),
    Column("at", Float, nullable=False),
    Column("latency_ms", Float, nullable=False),
    Column("status_code", Integer),
    Column("error", String(255)),
    Column("answer", LargeBinary, nullable=False),
    Column("owner", String(255), nullable=False, server_default=""),
    Index("ix_attempts_delivery", "delivery"),
    Index("ix_attempts_at", "at"),
)
"""What was tried, and what came back. `owner` had the subscription then: the answer is for him."""

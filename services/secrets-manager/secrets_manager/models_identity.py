"""Tables of identities, their API keys, and revocations.

`mac` covers the other columns but for `last_used_at`.
"""

from sqlalchemy import ForeignKey, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from secrets_manager.models_base import Base


class IdentityRow(Base):
    """A service, a person or a robot.

    It is never deleted, so that its name keeps its meaning in the audit.
    """

    __tablename__ = "identities"

    name: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    roles: Mapped[str]  # sorted, comma-separated
    remote: Mapped[bool]
    description: Mapped[str]
    created_at: Mapped[float]
    created_by: Mapped[str]
    revoked_at: Mapped[float | None]
    mac: Mapped[bytes] = mapped_column(LargeBinary)


class ApiKeyRow(Base):
    """An API key of an identity: its hash, never itself."""

    __tablename__ = "api_keys"

    key_id: Mapped[str] = mapped_column(primary_key=True)
    identity: Mapped[str] = mapped_column(ForeignKey("identities.name"), index=True)
    hash: Mapped[bytes] = mapped_column(LargeBinary)
    label: Mapped[str]
    audiences: Mapped[str]  # sorted, comma-separated; empty means not restricted
    created_at: Mapped[float]
    created_by: Mapped[str]
    expires_at: Mapped[float | None]
    enabled: Mapped[bool]  # false after a restore, until an admin says otherwise
    revoked_at: Mapped[float | None]
    last_used_at: Mapped[float | None]
    mac: Mapped[bytes] = mapped_column(LargeBinary)


class RevocationRow(Base):
    """Tokens of this subject or key issued before `not_before` are refused.

    The row may go once all of them have expired.
    """

    __tablename__ = "revocations"

    kind: Mapped[str] = mapped_column(primary_key=True)  # "subject" or "key_id"
    value: Mapped[str] = mapped_column(primary_key=True)
    not_before: Mapped[float]
    expires_at: Mapped[float] = mapped_column(index=True)

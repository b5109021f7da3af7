"""Tables of what the secrets manager signs with: the CA, the audit's key, and the keys of access tokens."""

from sqlalchemy import LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from secrets_manager.models_base import Base


class PlatformKeyRow(Base):
    """A long-lived private key, `ca` or `audit`, sealed.

    `certificate` is PEM and empty where there is none.
    """

    __tablename__ = "platform_keys"

    name: Mapped[str] = mapped_column(primary_key=True)
    certificate: Mapped[str]
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[float]


class SigningKeyRow(Base):
    """A key of access tokens.

    Its public half is derived from the sealed one, so that a row cannot lend its name to another.
    """

    __tablename__ = "signing_keys"

    kid: Mapped[str] = mapped_column(primary_key=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[float]
    signs_from: Mapped[float]
    published_until: Mapped[float | None]  # None while no successor is known
    mac: Mapped[bytes] = mapped_column(LargeBinary)

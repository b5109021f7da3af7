"""Rows of identities, keys and revocations; what is read here carries a valid code, or is refused."""

from itertools import islice
from typing import Final

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from secrets_manager.models_identity import ApiKeyRow, IdentityRow, RevocationRow
from secrets_manager.row_mac import Field, RowMacs

SUBJECT: Final = "subject"
KEY: Final = "key_id"
_CHUNK: Final = 500


class RowRefusedError(Exception):
    """A row's code is wrong: it was changed by somebody else than the secrets manager."""


def identity_fields(row: IdentityRow) -> tuple[Field, ...]:
    """What an identity's code covers."""
    return (
        row.name,
        row.kind,
        row.roles,
        row.remote,
        row.description,
        row.created_at,
        row.created_by,
        row.revoked_at,
    )


def key_fields(row: ApiKeyRow) -> tuple[Field, ...]:
    """What a key's code covers: all but when it was last used, which is written often and decides nothing."""
    return (
        row.key_id,
        row.identity,
        row.hash,
        row.label,
        row.audiences,
        row.created_at,
        row.created_by,
        row.expires_at,
        row.enabled,
        row.revoked_at,
    )


class IdentityRows:
    """Reads and writes the rows and their codes.

    Every method is for use inside `Database.read` or `write`.
    """

    def __init__(self, macs: RowMacs) -> None:
        self.macs = macs

    def sign(self, row: IdentityRow) -> IdentityRow:
        """Put the code on an identity; whatever changes a row calls this afterwards."""
        row.mac = self.macs.sign("identities", *identity_fields(row))
        return row

    def sign_key(self, row: ApiKeyRow) -> ApiKeyRow:
        """Put the code on a key; whatever changes a row calls this afterwards."""
        row.mac = self.macs.sign("api_keys", *key_fields(row))
        return row

    def genuine(self, row: IdentityRow) -> bool:
        """Tell whether an identity is as it was written here."""
        return self.macs.check("identities", row.mac, *identity_fields(row))

    def genuine_key(self, row: ApiKeyRow) -> bool:
        """Tell whether a key is as it was written here."""
        return self.macs.check("api_keys", row.mac, *key_fields(row))

    def find(self, session: Session, name: str) -> IdentityRow | None:
        """Return an identity; RowRefusedError if its code is wrong."""
        row = session.get(IdentityRow, name)
        if row is not None and not self.genuine(row):
            raise RowRefusedError(f"identity {name}")
        return row

    def find_key(self, session: Session, key_id: str) -> ApiKeyRow | None:
        """Return a key; RowRefusedError if its code is wrong."""
        row = session.get(ApiKeyRow, key_id)
        if row is not None and not self.genuine_key(row):
            raise RowRefusedError(f"key {key_id}")
        return row

    def page(self, session: Session, after: str, limit: int) -> list[IdentityRow]:
        """Return identities behind this name, in order; those that are refused are left out."""
        query = select(IdentityRow).where(IdentityRow.name > after).order_by(IdentityRow.name)
        rows = session.scalars(query.execution_options(yield_per=_CHUNK))
        return list(islice(filter(self.genuine, rows), limit))

    def keys_of(self, session: Session, name: str) -> list[ApiKeyRow]:
        """Return the keys of an identity, oldest first; those that are refused are left out."""
        query = (
            select(ApiKeyRow)
            .where(ApiKeyRow.identity == name)
            .order_by(ApiKeyRow.created_at, ApiKeyRow.key_id)
        )
        return [row for row in session.scalars(query) if self.genuine_key(row)]

    def active_admins(self, session: Session) -> list[str]:
        """Return the names of all who are admins now."""
        query = select(IdentityRow).where(
            IdentityRow.revoked_at.is_(None), IdentityRow.roles.contains("admin")
        )
        return [
            row.name
            for row in session.scalars(query)
            if "admin" in row.roles.split(",") and self.genuine(row)
        ]

    def refused(self, session: Session) -> list[str]:
        """Go over all rows and name those whose code is wrong."""
        identities = session.scalars(select(IdentityRow).execution_options(yield_per=_CHUNK))
        found = [f"identity {row.name}" for row in identities if not self.genuine(row)]
        keys = session.scalars(select(ApiKeyRow).execution_options(yield_per=_CHUNK))
        return found + [f"key {row.key_id}" for row in keys if not self.genuine_key(row)]


def revoke(session: Session, kind: str, value: str, not_before: float, expires_at: float) -> None:
    """Refuse the tokens of a subject or key issued before this moment.

    A later moment that stands already stays.
    """
    row = session.get(RevocationRow, (kind, value))
    if row is None:
        session.add(RevocationRow(kind=kind, value=value, not_before=not_before, expires_at=expires_at))
    else:
        row.not_before, row.expires_at = max(row.not_before, not_before), max(row.expires_at, expires_at)


def revocations(session: Session, now: float) -> list[RevocationRow]:
    """Return the revocations that a living token may still fall under."""
    return list(session.scalars(select(RevocationRow).where(RevocationRow.expires_at > now)))


def not_before(session: Session, subject: str, key_id: str) -> float:
    """Return the moment before which a token of this subject and key would be refused; 0 if there is none."""
    query = select(RevocationRow.not_before).where(
        or_(
            (RevocationRow.kind == SUBJECT) & (RevocationRow.value == subject),
            (RevocationRow.kind == KEY) & (RevocationRow.value == key_id),
        )
    )
    return max(session.scalars(query), default=0.0)


def standing(session: Session, subject: str) -> float:
    """Return the latest moment that tokens of this subject may be dated to by a revocation; 0 if none."""
    keys = select(ApiKeyRow.key_id).where(ApiKeyRow.identity == subject)
    query = select(RevocationRow.not_before).where(
        or_(
            (RevocationRow.kind == SUBJECT) & (RevocationRow.value == subject),
            (RevocationRow.kind == KEY) & RevocationRow.value.in_(keys),
        )
    )
    return max(session.scalars(query), default=0.0)


def prune_revocations(session: Session, now: float) -> None:
    """Forget revocations whose tokens have all expired."""
    session.execute(delete(RevocationRow).where(RevocationRow.expires_at <= now))

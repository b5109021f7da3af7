"""Judging an API key: the same work for a known id and an unknown one."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from fountain_common.db import Database
from fountain_common.logging import get_logger
from sqlalchemy import bindparam, func, select, update
from sqlalchemy.orm import Session

from secrets_manager.api_keys import ApiKey
from secrets_manager.models_identity import ApiKeyRow, IdentityRow
from secrets_manager.repository_identities import IdentityRows, not_before


@dataclass(frozen=True, slots=True)
class Principal:
    """Whose key it was, and what it may be used for.

    `audiences` is empty for a key that is not restricted. `not_before`: when its tokens were last revoked; 0
    if never.
    """

    name: str
    kind: str
    roles: tuple[str, ...]
    remote: bool
    key_id: str
    audiences: tuple[str, ...]
    not_before: float


#: The row of this id, or else of its neighbour: an unknown id is read, opened and compared like a known one.
_NEAREST: Final = (
    select(ApiKeyRow, IdentityRow)
    .join(IdentityRow, IdentityRow.name == ApiKeyRow.identity)
    .where(
        ApiKeyRow.key_id
        == func.coalesce(
            select(func.min(ApiKeyRow.key_id))
            .where(ApiKeyRow.key_id >= bindparam("wanted"))
            .scalar_subquery(),
            select(func.min(ApiKeyRow.key_id)).scalar_subquery(),
        )
    )
)


class Authenticator:
    """Turns API keys into principals, and remembers when each was last used."""

    def __init__(self, db: Database, rows: IdentityRows, *, clock: Callable[[], float] = time.time) -> None:
        self._db, self._rows, self._clock = db, rows, clock
        self._used: dict[str, float] = {}
        self._nobody = _stand_in(rows)

    async def authenticate(self, raw: str, client_id: str | None = None) -> Principal | None:
        """Return whose key this is; None if it is not honoured, and nothing says why.

        Args:
            raw: the key as it was shown.
            client_id: the identity that it is claimed to belong to, if one is.
        """
        return await self._db.read(lambda session: self.judge(session, raw, client_id))

    def judge(self, session: Session, raw: str, client_id: str | None = None) -> Principal | None:
        """Do what `authenticate` does, inside a transaction."""
        key = ApiKey.parse(raw) or ApiKey("", raw)
        row, identity = session.execute(_NEAREST, {"wanted": key.key_id}).one_or_none() or self._nobody
        # Everything is computed before anything is decided: an unknown id costs what a known one does.
        now, found = self._clock(), row.key_id == key.key_id
        genuine = self._rows.genuine_key(row) & self._rows.genuine(identity)
        honoured = (
            key.matches(row.hash)
            & genuine
            & row.enabled
            & (row.revoked_at is None)
            & (identity.revoked_at is None)
            & (row.expires_at is None or now < row.expires_at)
            & (client_id is None or client_id == identity.name)
            & found
        )
        if found and not genuine:
            get_logger().error("row_refused", key_id=row.key_id, identity=identity.name)
        if not honoured:
            return None
        self._used[row.key_id] = now
        return Principal(
            identity.name,
            identity.kind,
            tuple(identity.roles.split(",")) if identity.roles else (),
            identity.remote,
            row.key_id,
            tuple(row.audiences.split(",")) if row.audiences else (),
            not_before(session, identity.name, row.key_id),
        )

    async def write_last_used(self) -> None:
        """Write down when keys were last used: now and then, so that no request waits for it."""
        used, self._used = self._used, {}
        if not used:
            return

        def write(session: Session) -> None:
            for key_id, moment in used.items():
                session.execute(
                    update(ApiKeyRow).where(ApiKeyRow.key_id == key_id).values(last_used_at=moment)
                )

        try:
            await self._db.write(write)
        except Exception:
            self._used = {**used, **self._used}
            raise


def _stand_in(rows: IdentityRows) -> tuple[ApiKeyRow, IdentityRow]:
    """Make rows of nobody, which a key is compared with while there are none."""
    identity = IdentityRow(
        name="nobody",
        kind="robot",
        roles="viewer",
        remote=False,
        description="",
        created_at=0.0,
        created_by="",
        revoked_at=None,
    )
    key = ApiKeyRow(
        key_id="nobody00000000",
        identity="nobody",
        hash=ApiKey.generate().hash,
        label="",
        audiences="",
        created_at=0.0,
        created_by="",
        expires_at=None,
        enabled=True,
        revoked_at=None,
        last_used_at=None,
    )
    return rows.sign_key(key), rows.sign(identity)

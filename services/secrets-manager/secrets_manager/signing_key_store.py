"""The signing keys in the database, sealed, and in memory, ready.

Rotated by hand, by age, and in an emergency.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fountain_common.db import Database
from fountain_common.outbox import enqueue
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from secrets_manager.audit import Audit
from secrets_manager.identities import Actor
from secrets_manager.keyring import Keyring
from secrets_manager.models_trust import SigningKeyRow
from secrets_manager.repository_identities import RowRefusedError
from secrets_manager.row_mac import Field, RowMacs
from secrets_manager.signing_keys import SigningKey, Turnover, published, signer, turn_over

PURPOSE: Final = "signing-key"


class SigningKeys:
    """The keys that are in use.

    Args:
        max_age: seconds after which the signing key is rotated by itself.
    """

    def __init__(
        self,
        db: Database,
        keyring: Keyring,
        macs: RowMacs,
        audit: Audit,
        *,
        max_age: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._db, self._keyring, self._macs, self._audit = db, keyring, macs, audit
        self._max_age, self._clock = max_age, clock
        self._keys: tuple[SigningKey, ...] = ()
        self._changing = asyncio.Lock()

    async def load(self) -> None:
        """Read the keys, and make the first one."""
        self._keys = await self._db.read(self._read)
        if not self._keys:
            await self.rotate(Actor())

    def current(self) -> SigningKey:
        """Return the key that signs now."""
        return signer(self._keys, self._clock())

    def jwks(self) -> dict[str, Any]:
        """Return the public key set (RFC 7517)."""
        return {"keys": [key.jwk for key in published(self._keys, self._clock())]}

    async def rotate(self, actor: Actor, *, emergency: bool = False) -> tuple[SigningKey, SigningKey | None]:
        """Bring in a new key; see `turn_over`. Returns it and the one that signs until then, if one does."""
        async with self._changing:
            fresh = await self._turn(actor, emergency=emergency)
            until_then = self.current()
        return fresh, None if until_then.kid == fresh.kid else until_then

    async def tick(self) -> bool:
        """Rotate by age and forget keys whose tokens have all expired; tells whether anything changed."""
        # What is kept is decided in the turn that writes it: a key that an emergency has dropped meanwhile
        # would come back here otherwise, and be honoured again.
        async with self._changing:
            now = self._clock()
            kept = tuple(published(self._keys, now))
            changed = kept != self._keys
            if changed:
                gone = {key.kid for key in self._keys} - {key.kid for key in kept}
                await self._db.write(lambda session: _delete(session, gone))
                self._keys = kept
            if now >= self.current().signs_from + self._max_age and all(
                key.signs_from <= now for key in self._keys
            ):
                await self._turn(Actor(), emergency=False)
                changed = True
        return changed

    async def _turn(self, actor: Actor, *, emergency: bool) -> SigningKey:
        """Bring in a new key, where nobody else changes them."""
        before = self._keys
        turned = turn_over(before, self._clock(), emergency=emergency)
        if turned.keys != before:
            await self._db.write(
                lambda session: self._write(session, turned, before, actor, emergency=emergency)
            )
            self._keys = turned.keys
        else:
            detail = {"kid": turned.fresh.kid, "again": True}
            await self._audit.append(
                caller=actor.who,
                action="signing-keys:rotate",
                target="signing-keys",
                detail=detail,
                request=actor.request,
            )
        return turned.fresh

    def _read(self, session: Session) -> tuple[SigningKey, ...]:
        rows = session.scalars(select(SigningKeyRow).order_by(SigningKeyRow.signs_from))
        return tuple(self._open(row) for row in rows)

    def _open(self, row: SigningKeyRow) -> SigningKey:
        if not self._macs.check("signing_keys", row.mac, *_fields(row)):
            raise RowRefusedError(f"signing key {row.kid}")
        private = Ed25519PrivateKey.from_private_bytes(self._keyring.open(PURPOSE, row.kid, row.sealed))
        return SigningKey(row.kid, private, row.created_at, row.signs_from, row.published_until)

    def _write(
        self,
        session: Session,
        turned: Turnover,
        before: Iterable[SigningKey],
        actor: Actor,
        *,
        emergency: bool,
    ) -> None:
        _delete(session, {key.kid for key in before} - {key.kid for key in turned.keys})
        for key in turned.keys:
            row = session.get(SigningKeyRow, key.kid)
            if row is None:
                row = SigningKeyRow(
                    kid=key.kid, sealed=self._keyring.seal(PURPOSE, key.kid, key.private.private_bytes_raw())
                )
                session.add(row)
            row.created_at, row.signs_from, row.published_until = (
                key.created_at,
                key.signs_from,
                key.published_until,
            )
            row.mac = self._macs.sign("signing_keys", *_fields(row))
        data = {"kid": turned.fresh.kid, "signs_from": turned.fresh.signs_from, "emergency": emergency}
        self._audit.record(
            session,
            caller=actor.who,
            action="signing-keys:rotate",
            target="signing-keys",
            detail=data,
            request=actor.request,
        )
        enqueue(session, "signing-key.rotated", None, data)


def _fields(row: SigningKeyRow) -> tuple[Field, ...]:
    """What a row's code covers.

    The sealed key authenticates itself and its name, and is wrapped anew at times.
    """
    return row.kid, row.created_at, row.signs_from, row.published_until


def _delete(session: Session, kids: Iterable[str]) -> None:
    session.execute(delete(SigningKeyRow).where(SigningKeyRow.kid.in_(list(kids))))

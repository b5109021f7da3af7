"""Opens the key ring at the start, makes it on the first one, and replaces its keys while the service
runs.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fountain_common.db import Database
from sqlalchemy import inspect, select, tuple_
from sqlalchemy.orm import Session

from secrets_manager.kek import KeyEncryptionKey, KeyRefusedError
from secrets_manager.keyring import Keyring, Ring
from secrets_manager.models_base import Base, KeyRingRow
from secrets_manager.models_secrets import SecretVersionRow

_ROW = 1
_BATCH = 200


@dataclass(frozen=True)
class SealedColumn:
    """A column of sealed values, for re-wrapping: its model, its name, and what a row's value is bound to."""

    model: type[Base]
    column: str
    purpose: str
    context: Callable[[Any], str]


async def open_keyring(database: Database, kek: KeyEncryptionKey, migrations: Path) -> Keyring:
    """Bring the schema to the newest and open the key ring; a fresh database gets its ring, and the
    key-encryption key is made if there is none.

    Whatever the key-encryption key refuses (KeyRefusedError), it refuses before anything is written. Killed
    in between, the next start finds a key and an empty database, and goes on from here.
    """
    keyring = await load_keyring(database, kek)
    if keyring is not None:
        await asyncio.to_thread(database.migrate, migrations)
        return keyring
    ring = Ring.generate()
    wrapped = await asyncio.to_thread(_wrapped_first, kek, ring)
    await asyncio.to_thread(database.migrate, migrations)

    def insert(session: Session) -> None:
        session.add(KeyRingRow(id=_ROW, wrapped=wrapped, updated_at=time.time()))

    await database.write(insert)
    return Keyring(ring)


async def load_keyring(database: Database, kek: KeyEncryptionKey) -> Keyring | None:
    """Open the key ring of an existing database, writing nothing; None if the database is fresh.

    KeyRefusedError when the key-encryption key is missing, unreadable or another's.
    """
    wrapped = await database.read(_wrapped_ring)
    return None if wrapped is None else Keyring(Ring.load(kek.unwrap(wrapped)))


async def rotate_key_encryption_key(
    database: Database, kek: KeyEncryptionKey, keyring: Keyring, columns: Sequence[SealedColumn]
) -> int:
    """Replace the key-encryption key, add a ring key and re-wrap every data key with it; return how many
    there were.

    Runs beside readers and writers, in small transactions. Killed anywhere, what is stored opens with what
    is stored, and running it again finishes the work: old keys are dropped only when nothing needs them.
    """
    await asyncio.to_thread(kek.add_key)
    return await _wrap_anew(database, kek, keyring, columns)


async def move_key_ring(
    database: Database, kek: KeyEncryptionKey, keyring: Keyring, columns: Sequence[SealedColumn]
) -> int:
    """Have another provider's key wrap the key ring from now on, and re-wrap every data key; return how many
    there were.

    Killed anywhere, either provider's key opens what is stored. If it is the new one's already, replacing
    that key finishes the work.
    """
    if not await asyncio.to_thread(kek.exists):
        await asyncio.to_thread(kek.create)
    return await _wrap_anew(database, kek, keyring, columns)


def _wrapped_first(kek: KeyEncryptionKey, ring: Ring) -> bytes:
    if not kek.exists():
        kek.create()
    return kek.wrap(ring.dump())


async def _wrap_anew(
    database: Database, kek: KeyEncryptionKey, keyring: Keyring, columns: Sequence[SealedColumn]
) -> int:
    await _store(database, kek, keyring, keyring.ring.with_new_key())
    rewrapped = 0
    # Again, until there is nothing: somebody may have sealed with the key before just before the ring
    # changed.
    while done := sum([await _rewrap_column(database, keyring, column) for column in columns]):
        rewrapped += done
    await _store(database, kek, keyring, keyring.ring.with_newest_alone())
    await asyncio.to_thread(kek.drop_old_keys)
    return rewrapped


async def _store(database: Database, kek: KeyEncryptionKey, keyring: Keyring, ring: Ring) -> None:
    wrapped = await asyncio.to_thread(kek.wrap, ring.dump())

    def update(session: Session) -> None:
        row = session.get_one(KeyRingRow, _ROW)
        row.wrapped, row.updated_at = wrapped, time.time()

    await database.write(update)
    keyring.ring = ring


async def _rewrap_column(database: Database, keyring: Keyring, sealed: SealedColumn) -> int:
    keys = inspect(sealed.model).primary_key
    count = 0
    after: Any = None

    def batch(session: Session) -> tuple[int, Any]:
        changed = 0
        query = select(sealed.model).order_by(*keys).limit(_BATCH)
        if after is not None:
            query = query.where(tuple_(*keys) > tuple_(*after))
        rows = session.scalars(query).all()
        for row in rows:
            value = getattr(row, sealed.column)
            if value is not None and keyring.needs_rewrap(value):
                setattr(row, sealed.column, keyring.rewrap(sealed.purpose, sealed.context(row), value))
                changed += 1
        return changed, inspect(rows[-1]).identity if len(rows) == _BATCH else None

    while True:
        changed, after = await database.write(batch)
        count += changed
        if after is None:
            return count


def _wrapped_ring(session: Session) -> bytes | None:
    tables = inspect(session.connection()).get_table_names()
    if KeyRingRow.__tablename__ not in tables:
        return None
    wrapped = session.scalar(select(KeyRingRow.wrapped).where(KeyRingRow.id == _ROW))
    if wrapped is None and session.scalar(select(SecretVersionRow.version).limit(1)) is not None:
        raise KeyRefusedError(
            "The key ring is missing from the database, so that nothing in it can be opened. "
            "Restore a backup onto an empty data directory. Nothing was written."
        )
    return wrapped

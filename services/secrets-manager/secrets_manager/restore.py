"""Putting a backup onto an empty machine.

What was out in the world when the backup was taken is not trusted to be the same: a new epoch, new signing
keys, no holders, and API keys disabled until an admin enables each again.
"""

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

from fountain_common.db import Database
from sqlalchemy import LargeBinary, func, select
from sqlalchemy.orm import Session

from secrets_manager import backup, envelope
from secrets_manager.beginning import Beginning
from secrets_manager.epochs import RESTORED
from secrets_manager.kek import KeyEncryptionKey
from secrets_manager.keyring import CannotOpenError, Keyring, Ring
from secrets_manager.models_base import KeyRingRow
from secrets_manager.sealed_columns import SEALED
from secrets_manager.sealed_stream import NotOpenedError
from secrets_manager.vault import SEALED as SEALED_SECRETS

#: What begins a new history in the stores of others, so that whoever resumes from before is told of the gap.
NEW_EPOCHS: Final = {"notification": "UPDATE log_state SET epoch = lower(hex(randomblob(8)))"}
#: What SQLite keeps beside a database until it is closed in order. A rest of another's would be played into
#: the one that is put there.
_BESIDE: Final = ("-wal", "-shm", "-journal")


class NotEmptyError(Exception):
    """There is a store where the backup should go; the message says which and what to do."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put back."""

    stores: tuple[str, ...]
    left_out: tuple[str, ...]
    disabled_keys: int


async def restore(
    source: BinaryIO, passphrase: str, stores: Mapping[str, Path], kek: KeyEncryptionKey, migrations: Path
) -> Restored:
    """Put a backup back.

    Args:
        source: the backup.
        passphrase: what it was encrypted to.
        stores: where each store goes; those that are not named are left out. Neither they nor what SQLite
            keeps beside them may exist.
        kek: wraps the key ring from now on; made if there is none.
        migrations: of the secrets manager's own store, as the backup may be older than this version.

    Raises:
        NotEmptyError: something is in the way; nothing was written.
        NotOpenedError: the passphrase is wrong, the file is not as it was written, or its key ring lacks a
            key that its rows need; nothing was written.
    """
    for name, path in stores.items():
        if there := _files_of(path):
            raise NotEmptyError(
                f"There is a store of {name} already, or what is left of one: {', '.join(map(str, there))}. "
                "A restore goes onto an empty machine. Move it away, all of these files, or, if all keys and "
                "data may go, run: fountain down --remove"
            )
    own = stores[backup.OWN_STORE]
    own.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".restore-", dir=own.parent) as folder:
        unpacked = backup.read(source, passphrase, Path(folder))
        for name, statement in NEW_EPOCHS.items():
            if name in unpacked.stores:
                with closing(sqlite3.connect(unpacked.stores[name])) as connection, connection:
                    connection.execute(statement)
        disabled = await _begin_anew(unpacked, kek, migrations)
        put = [name for name in unpacked.stores if name in stores]
        # Our own goes last: killed before it is there, the restore begins again from an empty machine.
        for name in sorted(put, key=lambda name: (name == backup.OWN_STORE, name)):
            _move(unpacked.stores[name], stores[name])
    return Restored(tuple(put), tuple(sorted(unpacked.stores.keys() - set(put))), disabled)


async def _begin_anew(unpacked: backup.Unpacked, kek: KeyEncryptionKey, migrations: Path) -> int:
    database = Database(f"sqlite:///{unpacked.stores[backup.OWN_STORE]}")
    try:
        database.migrate(migrations)
        if lacking := await database.read(partial(_lacking, ring=unpacked.ring)):
            keys = ", ".join(map(str, sorted(lacking)))
            raise NotOpenedError(
                f"The key ring of this backup lacks key {keys}, so that rows in it would never open: it was "
                "taken while the key-encryption key was being replaced. Restore another backup. Nothing was "
                "written."
            )
        if not kek.exists():
            kek.create()
        wrapped, keyring = kek.wrap(unpacked.ring.dump()), Keyring(unpacked.ring)
        beginning = Beginning(database, keyring)

        def write(session: Session) -> int:
            ring = session.get_one(KeyRingRow, 1)
            ring.wrapped, ring.updated_at = wrapped, time.time()
            detail = {"created_at": unpacked.manifest["created_at"]}
            return beginning.in_session(session, None, RESTORED, "backup", detail)

        return await database.write(write)
    finally:
        await database.close()


def _lacking(session: Session, ring: Ring) -> set[int]:
    """Return the keys that sealed rows name and the ring does not have."""
    named: set[int] = set()
    for sealed in (SEALED_SECRETS, *SEALED):
        value = getattr(sealed.model, sealed.column)
        header = func.substr(value, 1, envelope.HEADER_BYTES, type_=LargeBinary)
        for begins in session.scalars(select(header).where(value.is_not(None)).distinct()):
            with suppress(CannotOpenError):  # altered before it was backed up; that row says so when read
                named.add(envelope.ring_key_of(begins))
    return named - ring.keys.keys()


def _files_of(store: Path) -> list[Path]:
    """Return the files of a store that are there, the database itself or not."""
    files = (store, *(store.with_name(store.name + suffix) for suffix in _BESIDE))
    return [file for file in files if file.exists()]


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.rename(target)
    except OSError:  # another volume: copied beside its place first, so that it appears whole
        partial = target.with_name(f".{target.name}.partial")
        shutil.copyfile(source, partial)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

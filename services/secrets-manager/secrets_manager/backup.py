"""One file with all stores of the platform and the key ring, encrypted to a passphrase.

It is taken while everything runs.
"""

import io
import os
import sqlite3
import tarfile
import tempfile
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import orjson

from secrets_manager.kek import KeyEncryptionKey, KeyRefusedError
from secrets_manager.keyring import Ring
from secrets_manager.sealed_stream import NotOpenedError, OpeningReader, SealingWriter

OWN_STORE: Final = "secrets-manager"
_RING: Final = "key-ring"
_MANIFEST: Final = "manifest.json"
_SUFFIX: Final = ".db"
_SMALL: Final = 1024 * 1024
_ATTEMPTS: Final = 5


@dataclass(frozen=True, repr=False)
class Unpacked:
    """What a backup held: its stores lie in a folder, the key ring is in memory alone."""

    manifest: Mapping[str, Any]
    ring: Ring
    stores: Mapping[str, Path]


def write_file(
    target: Path, passphrase: str, kek: KeyEncryptionKey, stores: Mapping[str, Path], now: float
) -> list[str]:
    """Write a backup into a file, whole or not at all; returns the names of the stores in it."""
    with tempfile.TemporaryDirectory(prefix=".backup-", dir=target.parent) as folder:
        partial = Path(folder) / "partial"
        with _private(partial) as file:
            names = write(file, Path(folder), passphrase, kek, stores, now)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    return names


def write(
    target: BinaryIO,
    scratch: Path,
    passphrase: str,
    kek: KeyEncryptionKey,
    stores: Mapping[str, Path],
    now: float,
) -> list[str]:
    """Write a backup; returns the names of the stores in it.

    The secrets manager's own store goes last, so that what others remember of it, the audit's anchors, is not
    newer than it. The key ring is the one in its copy, whatever keys wrap its rows anew meanwhile.

    Args:
        target: where it goes; it is written once, from the beginning to the end.
        scratch: a folder with room for a copy of the largest store.
        passphrase: what it is encrypted to.
        kek: unwraps the key ring.
        stores: where each store is; of the others, those that are not there are left out.
        now: unix seconds.

    Raises:
        KeyRefusedError: the key-encryption key is missing, unreadable or another's.
    """
    order = [*sorted(name for name in stores if name != OWN_STORE and stores[name].exists()), OWN_STORE]
    manifest = orjson.dumps({"created_at": now, "stores": order})
    writer = SealingWriter(target, passphrase)
    with tarfile.open(fileobj=cast("BinaryIO", writer), mode="w|", format=tarfile.PAX_FORMAT) as archive:
        _add_bytes(archive, _MANIFEST, manifest)
        for name in order:
            snapshot = scratch / f"{name}{_SUFFIX}"
            try:
                if name == OWN_STORE:
                    _add_bytes(archive, _RING, _own_snapshot(stores[name], snapshot, kek).dump())
                else:
                    _snapshot(stores[name], snapshot)
                archive.add(snapshot, arcname=f"stores/{name}{_SUFFIX}")
            finally:
                snapshot.unlink(missing_ok=True)
    writer.finish()
    return order


def read(source: BinaryIO, passphrase: str, folder: Path) -> Unpacked:
    """Unpack a backup into a folder.

    NotOpenedError, and nothing is to be used, unless all of it is as it was written.
    """
    manifest: dict[str, Any] | None = None
    ring: Ring | None = None
    stores: dict[str, Path] = {}
    reader = io.BufferedReader(OpeningReader(source, passphrase))
    try:
        with tarfile.open(fileobj=reader, mode="r|") as archive:
            for member in archive:
                content = archive.extractfile(member)
                if content is None:
                    continue
                if member.name == _MANIFEST:
                    manifest = orjson.loads(content.read(_SMALL))
                elif member.name == _RING:
                    ring = Ring.load(content.read(_SMALL))
                else:
                    name = Path(member.name).name.removesuffix(_SUFFIX)
                    stores[name] = folder / f"{name}{_SUFFIX}"
                    with _private(stores[name]) as out:
                        while piece := content.read(_SMALL):
                            out.write(piece)
                        out.flush()
                        os.fsync(out.fileno())
        while reader.read(_SMALL):
            pass  # the padding behind the archive is authenticated too
    except tarfile.TarError as error:
        raise NotOpenedError("The backup opens, and is not whole.") from error
    if manifest is None or ring is None or set(stores) != set(manifest["stores"]):
        raise NotOpenedError("The backup opens, and is not whole.")
    return Unpacked(manifest, ring, stores)


def _private(path: Path) -> BinaryIO:
    """Open a file that is not there yet, for its owner alone."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _snapshot(source: Path, target: Path) -> None:
    """Copy a SQLite database as of one moment, beside its writers."""
    with (
        closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True, timeout=30)) as connection,
        closing(sqlite3.connect(target)) as copy,
    ):
        connection.backup(copy)
        with suppress(sqlite3.OperationalError):
            copy.execute("PRAGMA journal_mode=DELETE")


def _own_snapshot(source: Path, target: Path, kek: KeyEncryptionKey) -> Ring:
    """Copy the secrets manager's own store, and return the key ring that opens the copy."""
    attempts = 0
    while True:
        _snapshot(source, target)
        try:
            return _ring_in(target, kek)
        except KeyRefusedError:
            # A replacement of the key-encryption key may have ended since, and dropped what wrapped it.
            attempts += 1
            if attempts == _ATTEMPTS:
                raise
            target.unlink()


def _ring_in(copy: Path, kek: KeyEncryptionKey) -> Ring:
    with closing(sqlite3.connect(copy)) as connection:
        (wrapped,) = connection.execute("SELECT wrapped FROM key_ring").fetchone()
    return Ring.load(kek.unwrap(wrapped))


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o600
    archive.addfile(member, io.BytesIO(content))

"""The key-encryption key: what wraps the key ring, kept apart from the database."""

import base64
import binascii
import hashlib
import os
import tempfile
from pathlib import Path
from typing import Final, Protocol

from secrets_manager import envelope
from secrets_manager.envelope import KEY_BYTES, CannotOpenError

_PREFIX: Final = "fountain-kek-1:"
_BOUND_TO: Final = envelope.associated_data("key-ring", "")
_ID_BYTES: Final = 8


class KeyRefusedError(Exception):
    """The key-encryption key is missing, unreadable or not the one; the message says what to do, in plain
    words.
    """


class KeyEncryptionKey(Protocol):
    """Where the key ring is wrapped: a file, or the transit engine of an OpenBao server."""

    def exists(self) -> bool:
        """Whether there is a key yet."""

    def create(self) -> None:
        """Make the first key, durably."""

    def wrap(self, plaintext: bytes) -> bytes:
        """Encrypt with the newest key; KeyRefusedError if it cannot be had."""

    def unwrap(self, wrapped: bytes) -> bytes:
        """Decrypt with the key that wrapped it; KeyRefusedError if it cannot be had or is not the one."""

    def add_key(self) -> None:
        """Make a new newest key; what the older ones wrapped still opens."""

    def drop_old_keys(self) -> None:
        """Forget all but the newest key; to be called once nothing is wrapped by the others."""


class FileKey:
    """Keys in a file, one a line, the newest first: one line, but while a key is being replaced, when
    there are two.

    So at every moment of a replacement the file holds the key that opens the database, whichever of the
    two is written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def exists(self) -> bool:
        """Whether the file is there, readable or not."""
        return self.path.exists()

    def create(self) -> None:
        """Write a fresh key, readable by its owner alone."""
        self._write([os.urandom(KEY_BYTES)])

    def wrap(self, plaintext: bytes) -> bytes:
        """Encrypt with the first key; the answer names it by the start of its hash."""
        key = self._keys()[0]
        return _key_id(key) + envelope.encrypt(key, plaintext, _BOUND_TO)

    def unwrap(self, wrapped: bytes) -> bytes:
        """Decrypt with the key that the wrapped bytes name."""
        for key in self._keys():
            if _key_id(key) == wrapped[:_ID_BYTES]:
                try:
                    return envelope.decrypt(key, wrapped[_ID_BYTES:], _BOUND_TO)
                except CannotOpenError as failure:
                    raise KeyRefusedError(
                        "The key ring in the database has been altered: the right key does not open it. "
                        "Restore the database from a backup. Nothing was written."
                    ) from failure
        raise KeyRefusedError(
            f"The key in {self.path} is not the one that this database was made with. Put the right key "
            "file back, or restore a backup onto an empty data directory. Nothing was written."
        )

    def add_key(self) -> None:
        """Put a fresh key before the others."""
        self._write([os.urandom(KEY_BYTES), *self._keys()])

    def drop_old_keys(self) -> None:
        """Keep the first key alone."""
        self._write(self._keys()[:1])

    def _keys(self) -> list[bytes]:
        try:
            lines = self.path.read_text().split()
        except FileNotFoundError as failure:
            raise KeyRefusedError(
                f"The key-encryption key {self.path} is missing, and the database cannot be opened "
                "without it. Put the file back, or restore a backup onto an empty data directory. "
                "Nothing was written."
            ) from failure
        except (OSError, UnicodeDecodeError) as failure:
            raise KeyRefusedError(
                f"The key-encryption key {self.path} cannot be read ({type(failure).__name__}). "
                "Check its owner, its mode and its volume. Nothing was written."
            ) from failure
        keys = [_parse(line) for line in lines]
        if not keys or None in keys:
            raise KeyRefusedError(
                f"{self.path} is not a key-encryption key: it should hold a line that begins "
                f"with {_PREFIX!r}. Put the right file back. Nothing was written."
            )
        return [key for key in keys if key is not None]

    def _write(self, keys: list[bytes]) -> None:
        """Replace the file atomically and durably: a kill leaves the old one or the new one."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=".", dir=self.path.parent)
        with os.fdopen(descriptor, "w") as file:
            os.fchmod(file.fileno(), 0o400)
            file.writelines(f"{_PREFIX}{base64.b64encode(key).decode()}\n" for key in keys)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(self.path)
        directory = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"fountain-kek-id" + key).digest()[:_ID_BYTES]


def _parse(line: str) -> bytes | None:
    try:
        key = base64.b64decode(line.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        return None
    return key if line.startswith(_PREFIX) and len(key) == KEY_BYTES else None

"""A stream of bytes, encrypted to a passphrase in chunks.

    one line of JSON: format, scrypt parameters (RFC 7914), salt
    chunks: length (4) | nonce (12) | AES-256-GCM of at most 1 MiB, bound to the header, its number, and
        whether it is the last

So that chunks cannot be left out, exchanged or cut off without being noticed.
"""

import hashlib
import io
import os
import struct
from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import BinaryIO, Final

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

FORMAT: Final = "fountain-backup-1"
MIN_PASSPHRASE: Final = 12
_CHUNK: Final = 1024 * 1024
_NONCE: Final = 12
_TAG: Final = 16
_COST: Final = {"n": 2**16, "r": 8, "p": 1}
_MAX_HEADER: Final = 4096


class NotOpenedError(Exception):
    """The stream is no backup, was altered or cut off, or the passphrase is another."""


class SealingWriter(io.RawIOBase):
    """Encrypts what is written to it; `finish` makes the end recognisable."""

    def __init__(self, target: BinaryIO, passphrase: str) -> None:
        super().__init__()
        salt = os.urandom(16)
        header = orjson.dumps({"format": FORMAT, **_COST, "salt": b64encode(salt).decode()}) + b"\n"
        target.write(header)
        self._target, self._header = target, header
        self._cipher = AESGCM(_key(passphrase, salt, _COST))
        self._held, self._number = bytearray(), 0

    def writable(self) -> bool:
        """Say that it can be written to."""
        return True

    def write(self, data: object) -> int:
        """Take some bytes."""
        piece = bytes(data)  # type: ignore[call-overload]
        self._held += piece
        while len(self._held) > _CHUNK:
            self._chunk(bytes(self._held[:_CHUNK]), last=False)
            del self._held[:_CHUNK]
        return len(piece)

    def finish(self) -> None:
        """Write the last chunk."""
        self._chunk(bytes(self._held), last=True)

    def _chunk(self, plain: bytes, *, last: bool) -> None:
        nonce = os.urandom(_NONCE)
        sealed = nonce + self._cipher.encrypt(nonce, plain, _bound_to(self._header, self._number, last=last))
        self._target.write(struct.pack(">I", len(sealed)) + sealed)
        self._number += 1


class DigestingWriter(io.RawIOBase):
    """Passes on what is written to it, and tells afterwards how much it was and its SHA-256."""

    def __init__(self, target: BinaryIO) -> None:
        super().__init__()
        self._target, self._digest = target, hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        """Say that it can be written to."""
        return True

    def write(self, data: object) -> int:
        """Take some bytes."""
        piece = bytes(data)  # type: ignore[call-overload]
        self._target.write(piece)
        self._digest.update(piece)
        self.size += len(piece)
        return len(piece)

    def hexdigest(self) -> str:
        """Return the SHA-256 of what has been written."""
        return self._digest.hexdigest()


class OpeningReader(io.RawIOBase):
    """Decrypts a stream; NotOpenedError as soon as anything in it is not as it was written."""

    def __init__(self, source: BinaryIO, passphrase: str) -> None:
        super().__init__()
        self._header = source.readline(_MAX_HEADER)
        salt, cost = _read_header(self._header)
        self._cipher = AESGCM(_key(passphrase, salt, cost))
        self._plain = self._chunks(source)
        self._held = b""

    def readable(self) -> bool:
        """Say that it can be read from."""
        return True

    def readinto(self, buffer: object) -> int:
        """Give some bytes; none at the end."""
        while not self._held:
            piece = next(self._plain, None)
            if piece is None:
                return 0
            self._held = piece
        view = memoryview(buffer)  # type: ignore[arg-type]
        count = min(len(view), len(self._held))
        view[:count] = self._held[:count]
        self._held = self._held[count:]
        return count

    def _chunks(self, source: BinaryIO) -> Iterator[bytes]:
        number, sealed = 0, _next(source)
        while True:
            if sealed is None:
                raise NotOpenedError("The backup is cut off.")
            following = _next(source)
            last = following is None
            try:
                bound_to = _bound_to(self._header, number, last=last)
                yield self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], bound_to)
            except InvalidTag:
                raise NotOpenedError(
                    "The backup does not open: the passphrase is another, or the file was altered or cut off."
                ) from None
            if last:
                return
            number, sealed = number + 1, following


def _next(source: BinaryIO) -> bytes | None:
    prefix = source.read(4)
    if not prefix:
        return None
    length = struct.unpack(">I", prefix)[0] if len(prefix) == 4 else 0
    if not _NONCE + _TAG <= length <= _NONCE + _CHUNK + _TAG:
        raise NotOpenedError("The backup was altered or cut off.")
    sealed = source.read(length)
    if len(sealed) != length:
        raise NotOpenedError("The backup is cut off.")
    return sealed


def _read_header(line: bytes) -> tuple[bytes, dict[str, int]]:
    try:
        header = orjson.loads(line)
        salt, cost = b64decode(header["salt"], validate=True), {name: int(header[name]) for name in _COST}
        known = header["format"] == FORMAT
    except (KeyError, TypeError, ValueError):
        raise NotOpenedError("This is not a backup of the platform.") from None
    if not known or cost != _COST:
        raise NotOpenedError("The backup is of a form that this version does not know.")
    return salt, cost


def _key(passphrase: str, salt: bytes, cost: dict[str, int]) -> bytes:
    return Scrypt(salt=salt, length=32, n=cost["n"], r=cost["r"], p=cost["p"]).derive(passphrase.encode())


def _bound_to(header: bytes, number: int, *, last: bool) -> bytes:
    return header + struct.pack(">Q?", number, last)

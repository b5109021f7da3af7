"""The audit's chain: each record's hash covers the record and the hash before it. Pure.

`hash` is plain SHA-256 over JSON, so that an export can be followed by anybody. `mac` is keyed, so that
whoever writes to the database alone cannot make a record, not even by computing the whole chain anew.
"""

import hashlib
import hmac
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson

from secrets_manager.keyed_hash import KeyedHash

GENESIS: Final = bytes(32)
_MAC_BYTES: Final = 16


class Entry(NamedTuple):
    """What a record says. `detail` is JSON of names, versions and keyed hashes; never a value."""

    at: float
    caller: str
    key_id: str
    action: str
    target: str
    outcome: str
    detail: str
    client: str
    through_edge: bool
    request_id: str


_FLAG: Final = Entry._fields.index("through_edge")


@dataclass(frozen=True, slots=True)
class Record:
    """An entry in its place."""

    seq: int
    entry: Entry
    previous: bytes
    hash: bytes
    mac: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """The newest record, or before the first one `Head(0, GENESIS)`."""

    seq: int
    hash: bytes


class ChainKey:
    """What makes records and tells whether they were made here.

    Args:
        key: 64 bytes at most, the block of SHA-256.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._of_record = KeyedHash(key, b"record")

    def append(self, head: Head, entries: Iterable[Entry]) -> tuple[list[tuple[Any, ...]], Head]:
        """Make the rows of the records that follow this head, and answer them with the head behind them.

        A row has the columns of a `Record`, in the form that SQLite's driver takes with the least ado: a
        flag is a number, and what is bytes a bytearray.
        """
        seq, digest, stored = head.seq, head.hash, bytearray(head.hash)
        rows: list[tuple[Any, ...]] = []
        for entry in entries:
            seq += 1
            digest, previous = record_hash(seq, entry, digest), stored
            stored = bytearray(digest)
            said = (*entry[:_FLAG], int(entry[_FLAG]), *entry[_FLAG + 1 :])
            rows.append((seq, *said, previous, stored, bytearray(self.mac(digest))))
        return rows, Head(seq, digest)

    def mac(self, digest: bytes) -> bytes:
        """Return the code of a record's hash: HMAC-SHA-256 of `record` and the hash, its first 16 bytes."""
        return self._of_record(digest)[:_MAC_BYTES]

    def made(self, record: Record) -> bool:
        """Tell whether the record's hash was made here, whatever its content is now."""
        return hmac.compare_digest(record.mac, self.mac(record.hash))

    def head_mac(self, head: Head) -> bytes:
        """Return the code of a head."""
        return hmac.digest(self._key, b"head" + struct.pack(">Q", head.seq) + head.hash, hashlib.sha256)

    def __repr__(self) -> str:
        return "<ChainKey>"


def record_hash(seq: int, entry: Entry, previous: bytes) -> bytes:
    """Return SHA-256 of the previous hash and the JSON array of position and entry."""
    return hashlib.sha256(previous + orjson.dumps((seq, *entry))).digest()


def anchor_message(head: Head, at: float, epoch: str = "") -> bytes:
    """Return what is signed when a head is anchored: JSON, so that it can be checked with any tool.

    In the database, which is of one epoch as a whole, none is named.
    """
    said: dict[str, Any] = {"at": at, "hash": head.hash.hex(), "seq": head.seq}
    said |= (
        {"epoch": epoch, "type": "fountain-audit-anchor-2"} if epoch else {"type": "fountain-audit-anchor-1"}
    )
    return orjson.dumps(said, option=orjson.OPT_SORT_KEYS)

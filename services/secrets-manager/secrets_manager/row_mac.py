"""Authentication codes over rows: whoever can write to the database alone cannot make himself an admin."""

import hashlib
import hmac
import struct

Field = str | int | float | bool | bytes | None


class RowMacs:
    """Signs and checks rows under one key (HMAC-SHA256, RFC 2104).

    A code is bound to its table and to the order and the types of its fields. It does not notice an older row
    put back in the place of its successor: row_state.py does.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def sign(self, table: str, *fields: Field) -> bytes:
        """Return the code of a row, 32 bytes."""
        message = b"".join(_encode(field) for field in (table, *fields))
        return hmac.digest(self._key, message, hashlib.sha256)

    def check(self, table: str, mac: bytes, *fields: Field) -> bool:
        """Tell whether this code was made here for exactly these fields."""
        return hmac.compare_digest(mac, self.sign(table, *fields))

    def __repr__(self) -> str:
        return "<RowMacs>"


def _encode(field: Field) -> bytes:
    """Encode so that no two rows share an encoding: kind, length, bytes."""
    match field:
        case None:
            kind, raw = b"n", b""
        case bool():
            kind, raw = b"b", b"\x01" if field else b"\x00"
        case int():
            kind, raw = b"i", str(field).encode()
        case float():
            kind, raw = b"f", struct.pack(">d", field)
        case bytes():
            kind, raw = b"y", field
        case _:
            kind, raw = b"s", field.encode()
    return kind + struct.pack(">I", len(raw)) + raw

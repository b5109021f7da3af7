"""Names for new rows: UUIDs of version 7 (RFC 9562), which follow one another in time.

Random ones would go to another page of an index each, of a large table mostly one that is not in memory.
"""

import os
import time

_VERSION = 0x7 << 76
_VARIANT = 0b10 << 62
_RANDOM = (0xFFF << 64) | ((1 << 62) - 1)


def new_id() -> str:
    """Answer a UUID: 48 bits of the time in milliseconds, and 74 of chance."""
    milliseconds = time.time_ns() // 1_000_000 & 0xFFFF_FFFF_FFFF
    chance = int.from_bytes(os.urandom(10)) & _RANDOM
    text = f"{milliseconds << 80 | _VERSION | _VARIANT | chance:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

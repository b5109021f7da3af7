"""Names for new rows: UUIDs of version 7 (RFC 9562), which follow one another in time.

Random ones would go to another page of an index each, of a large table mostly one that is not in memory.
"""

import os
import time

_CHANCE_BYTES = 10
_VARIANT = {digit: "89ab"[int(digit, 16) & 0b11] for digit in "0123456789abcdef"}


def new_id() -> str:
    """Return a UUID: 48 bits of the time in milliseconds, and 74 of chance."""
    return new_ids(1)[0]


def new_ids(count: int) -> list[str]:
    """Return so many, all of one moment."""
    moment = f"{time.time_ns() // 1_000_000 & 0xFFFF_FFFF_FFFF:012x}"
    start = f"{moment[:8]}-{moment[8:]}-7"
    chance = os.urandom(_CHANCE_BYTES * count).hex()
    found = []
    for at in range(0, len(chance), 2 * _CHANCE_BYTES):
        drawn = chance[at : at + 2 * _CHANCE_BYTES]
        found.append(f"{start}{drawn[:3]}-{_VARIANT[drawn[3]]}{drawn[4:7]}-{drawn[7:19]}")
    return found

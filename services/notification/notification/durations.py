"""Lengths of time as people write them: `30s`, `5m`, `2h`, `7d`."""

import re

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)")


def parse_duration(raw: str) -> float:
    """Return the seconds that a length of time has; without a unit it is seconds.

    Raises:
        ValueError: it is none.
    """
    found = _DURATION.fullmatch(raw.strip())
    if found is None:
        raise ValueError(f"{raw!r} is no length of time; write a number with s, m, h or d")
    return float(found[1]) * _UNITS[found[2]]

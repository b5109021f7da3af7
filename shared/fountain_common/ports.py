"""Ports that are free, and stay so until somebody listens on them.

A port that the system deals is dealt again as soon as it is given back: to a connection that goes out as well
as to the next who asks. These come from below the range from which the system deals.
"""

import random
import socket
from contextlib import ExitStack
from pathlib import Path

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST, _USUAL_END = 10_240, 32_768
_TRIES = 1000


def free_ports(count: int) -> list[int]:
    """Return ports that are free on loopback, all different.

    Raises:
        OSError: hardly a port is free.
    """
    found: list[int] = []
    end = _dealt_from()
    with ExitStack() as held:
        for _ in range(_TRIES):
            if len(found) == count:
                return found
            # By chance: others look for some at the same time.
            port = random.randrange(_LOWEST, end) if end > _LOWEST else 0  # noqa: S311
            one = held.enter_context(socket.socket())
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
            found.append(int(one.getsockname()[1]))
    raise OSError(f"no {count} ports are free")


def free_port() -> int:
    """Return one; see `free_ports`."""
    return free_ports(1)[0]


def _dealt_from() -> int:
    try:
        return int(_RANGE.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return _USUAL_END

"""How many connections may be held at once without running out of files."""

import resource
from contextlib import suppress

_ENOUGH = 8192
_SHARE = 4
MOST = 1000


def raise_limit() -> None:
    """Take as many files as this process may have anyway, to a bound; many systems begin with 1024."""
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if most == resource.RLIM_INFINITY else min(_ENOUGH, most)
    if files != resource.RLIM_INFINITY and files < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def many() -> int:
    """Return how many connections one purpose may hold: a quarter of the files, and a thousand at most."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return MOST if files == resource.RLIM_INFINITY else min(MOST, files // _SHARE)

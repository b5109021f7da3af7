"""structlog, without what it loads to colour a terminal and to tell green threads apart.

Where `rich` and `colorama` are installed, as they are beside the command line, structlog loads both: 6 MiB of
memory and a tenth of a second in every service, which writes JSON and no colours;
and `greenlet` for 1.5 more.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(*names: str) -> Iterator[None]:
    """Have an import do without these, if nobody has loaded them yet; who wants them later gets them."""
    absent = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]  # None is how an import is refused
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


with without("rich", "colorama", "greenlet"):
    import structlog

__all__ = ["structlog", "without"]

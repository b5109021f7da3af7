"""structlog, without what it loads to colour a terminal.

Where `rich` and `colorama` are installed, as they are beside the command line, structlog loads both: 6 MiB of
memory and a tenth of a second in every service, which writes JSON and no colours.
"""

import sys

_COLOURS = ("rich", "colorama")
_absent = [name for name in _COLOURS if name not in sys.modules]
sys.modules.update(dict.fromkeys(_absent))  # type: ignore[arg-type]  # None is how an import is refused
try:
    import structlog
finally:
    for _name in _absent:
        del sys.modules[_name]

__all__ = ["structlog"]

"""How far the log had come, remembered outside the database.

An older copy of the database, put back by hand, would give positions out again that readers have had already,
and pass over what is new for them without a word. The mark tells: where it is ahead of the log, the log
begins a new epoch, and every reader is told of a gap.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import orjson

FILE_NAME = "log-position.json"


@dataclass(frozen=True, slots=True)
class Mark:
    """What is remembered: that the log of this epoch had events up to this position at least."""

    epoch: str
    position: int


def contradicts(mark: Mark | None, epoch: str, position: int, *, alone: bool) -> bool:
    """Tell whether a log cannot be the one that readers know (pure).

    Args:
        mark: what is remembered; None is nothing.
        epoch, position: of the log, and of its newest event.
        alone: the mark lies beside the only copy of the log, so that it belongs to it or the copy is another.
            Without that, another host may have written to the same database meanwhile.
    """
    if mark is None or mark.epoch != epoch:
        return alone and position > 0
    return mark.position > position


class MarkFile:
    """A mark on the disk.

    Args:
        folder: where the file is.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME

    def read(self) -> Mark | None:
        """Return the mark; None if there is none that can be read."""
        try:
            found = orjson.loads(self._path.read_bytes())
            return Mark(str(found["epoch"]), int(found["position"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, mark: Mark) -> None:
        """Replace the mark; killed at any point, the file holds the one or the other."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_suffix(".new")
        with beside.open("wb") as file:
            file.write(orjson.dumps({"epoch": mark.epoch, "position": mark.position}))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)

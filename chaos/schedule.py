"""What is broken when (pure): drawn from a seed, so that a run can be repeated."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

T = TypeVar("T")

LONGEST_AWAY_SECONDS = 8.0
"""Shorter than holders live (`FOUNTAIN_HOLDER_SECONDS`, 15 s, renewed every 5 s): a rotation waits for who is
away no longer than this, and does not go on without it."""
SHORTEST_AWAY_SECONDS = 1.0
REST_SECONDS = 6.0
"""How long a part is left alone after it was broken."""
PAUSE_SECONDS = (1.5, 5.0)
"""The time between two disturbances; the shortest and the longest."""
TOGETHER = 0.25
"""The share of disturbances that follow the one before at once."""


class Kind(StrEnum):
    """A way to break a part."""

    KILL = "kill"
    """SIGKILL; the runtime starts it again."""
    STOP = "stop"
    """SIGTERM, away for a while, started again."""
    PAUSE = "pause"
    """SIGSTOP: it keeps its connections and answers nothing for a while."""
    RESTART = "restart"
    """SIGTERM, started again at once."""


@dataclass(frozen=True, order=True)
class Part:
    """One process or container; `replica` counts from 0."""

    service: str
    replica: int = 0

    def __str__(self) -> str:
        return f"{self.service}/{self.replica}" if self.replica else self.service


@dataclass(frozen=True)
class Disturbance:
    """A part is broken.

    Attributes:
        at: seconds after the beginning.
        part: which one.
        kind: how.
        seconds: how long it is away; 0 where the runtime brings it back at once.
    """

    at: float
    part: Part
    kind: Kind
    seconds: float = 0.0

    @property
    def until(self) -> float:
        """When the part is let go again, in seconds after the beginning."""
        return self.at + self.seconds

    def __str__(self) -> str:
        return f"{self.kind} {self.part}" + (f" for {self.seconds:.1f} s" if self.seconds else "")


def draw(seed: int, parts: Sequence[Part], seconds: float) -> list[Disturbance]:
    """Draw the disturbances of a run, in their order.

    Every part has its turn before one has a second, and meets every kind before one comes again. A part is
    not broken while it is away, nor in the rest after that; several parts may be away together.

    Args:
        seed: the same one draws the same.
        parts: what can be broken.
        seconds: how long the run is; the last disturbance is over by then.
    """
    rng = random.Random(seed)
    kinds = {part: _rounds(rng, list(Kind)) for part in parts}
    turns = _rounds(rng, list(parts))
    free = dict.fromkeys(parts, 0.0)
    drawn: list[Disturbance] = []
    now = 0.0
    while True:
        now += rng.uniform(0.0, 0.3) if rng.random() < TOGETHER else rng.uniform(*PAUSE_SECONDS)
        part = next(turns)
        now = max(now, free[part])
        kind = next(kinds[part])
        away = rng.uniform(SHORTEST_AWAY_SECONDS, LONGEST_AWAY_SECONDS)
        one = Disturbance(
            round(now, 2), part, kind, round(away, 2) if kind in (Kind.STOP, Kind.PAUSE) else 0.0
        )
        if one.until > seconds:
            return drawn
        free[part] = one.until + REST_SECONDS
        drawn.append(one)


def _rounds(rng: random.Random, things: list[T]) -> Iterator[T]:
    """Deal the things in a random order, and again in another one when all were dealt."""
    while True:
        rng.shuffle(things)
        yield from list(things)

"""How a row is measured: two subjects in interleaved rounds, the median of each, and their ratio.

Rounds alternate between the subjects so that whatever else the machine does falls on both. Pure, but for the
subjects that it calls.
"""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

Subject = Callable[[], float]


@dataclass(frozen=True)
class Budget:
    """What a row must reach. `higher` says which way is better; `aim` is where we want to be."""

    name: str
    unit: str
    floor: float
    aim: float
    higher: bool = True

    def met(self, value: float) -> bool:
        """Whether `value` reaches the floor."""
        return value >= self.floor if self.higher else value <= self.floor


@dataclass(frozen=True)
class Result:
    """One measured row; `value` is None where it was not run or was broken, and `note` says why or how."""

    budget: Budget
    value: float | None
    peer: str
    spread: tuple[float, float] | None = None
    note: str = ""
    broken: bool = False
    measured_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @property
    def ok(self) -> bool | None:
        """Whether the floor was reached; None where the row was not run."""
        if self.broken:
            return False
        return None if self.value is None else self.budget.met(self.value)

    def as_json(self) -> dict[str, object]:
        """The row of `benchmarks/latest.json`."""
        return {
            "name": self.budget.name,
            "value": None if self.value is None else significant(self.value),
            "unit": self.budget.unit,
            "floor": self.budget.floor,
            "aim": self.budget.aim,
            "peer": self.peer,
            "ok": self.ok,
            "spread": None if self.spread is None else [significant(end) for end in self.spread],
            "note": self.note,
            "measured_at": self.measured_at,
        }


def ratio(budget: Budget, ours: Subject, theirs: Subject, *, peer: str, rounds: int) -> Result:
    """Measure both in turn `rounds` times, after one round each to warm up; ratio of ours to theirs.

    Who goes first in one round goes second in the next. Each round gives its own ratio; the result is their
    median, the spread their extremes.
    """
    ours()
    theirs()
    pairs = []
    for number in range(rounds):
        if number % 2:
            other = theirs()
            pairs.append((ours(), other))
        else:
            pairs.append((ours(), theirs()))
    ratios = [mine / other for mine, other in pairs]
    mine, other = (statistics.median(side) for side in zip(*pairs, strict=True))
    note = f"{significant(mine):g} against {significant(other):g}"
    return Result(budget, statistics.median(ratios), peer, (min(ratios), max(ratios)), note)


def absolute(budget: Budget, subject: Subject, *, rounds: int, note: str = "") -> Result:
    """Measure a subject that has no peer; the median of `rounds`."""
    values = [subject() for _ in range(rounds)]
    return Result(budget, statistics.median(values), "", (min(values), max(values)), note)


def growth(budget: Budget, small: Subject, large: Subject, *, rounds: int) -> Result:
    """How many times slower `large` is than `small`, both given as rates."""
    return ratio(budget, small, large, peer="itself, small", rounds=rounds)


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of `values` lie, by the nearest rank; NaN for none."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def significant(value: float, digits: int = 3) -> float:
    """Round to so many significant digits."""
    if value == 0 or not math.isfinite(value):
        return value
    return round(value, digits - 1 - math.floor(math.log10(abs(value))))

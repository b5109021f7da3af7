"""A rule, and what was found against it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from fountain_cli.conformance.target import Target


@dataclass(frozen=True, order=True)
class Finding:
    """Something that a service does not keep: which rule, where, what was seen, and what to do."""

    rule: str
    place: str
    problem: str
    remedy: str


@dataclass(frozen=True)
class Rule:
    """A rule by its number in the design, what it asks for in a line, and how it is checked."""

    number: str
    title: str
    examine: Callable[[Target], Iterable[tuple[str, str, str]]]

    def findings(self, target: Target) -> list[Finding]:
        """Check the rule; `examine` gives place, problem and remedy for each finding."""
        return [Finding(self.number, *found) for found in self.examine(target)]

"""A rule, what was found against it, and where it could not be checked: a rule is never kept unseen."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx2

from fountain_cli.conformance.missing import NotChecked
from fountain_cli.conformance.target import Target

Found = Iterator[tuple[str, str, str]]
"""Place, problem and remedy of each finding."""


@dataclass(frozen=True, order=True)
class Finding:
    """Something that a service does not keep: which rule, where, what was seen, and what to do."""

    rule: str
    place: str
    problem: str
    remedy: str


@dataclass(frozen=True)
class Outcome:
    """What became of a rule: it is kept where nothing was found and it was checked."""

    rule: str
    title: str
    findings: tuple[Finding, ...] = ()
    not_checked: str = ""

    @property
    def kept(self) -> bool:
        """Whether it was checked and nothing was found."""
        return not self.findings and not self.not_checked


@dataclass(frozen=True)
class Rule:
    """A rule by its number in `docs/rules.md`, what it asks for in a line, and how it is checked.

    `examine` gives what it finds, and raises `NotChecked` where something is missing that it needs. Where it
    stumbles over what the service answers, that is a finding as well.
    """

    number: str
    title: str
    examine: Callable[[Target], Found]

    def outcome(self, target: Target) -> Outcome:
        """Check the rule."""
        found: list[Finding] = []
        reason = ""
        try:
            for place, problem, remedy in self.examine(target):
                found.append(Finding(self.number, place, problem, remedy))
        except NotChecked as missing:
            reason = str(missing)
        except (ValueError, TypeError, LookupError, AttributeError, httpx2.DecodingError) as stumbled:
            problem = f"answers in a form that cannot be looked into ({type(stumbled).__name__})"
            found.append(
                Finding(self.number, self.title, problem, "answer in the form that the rule asks for")
            )
        return Outcome(self.number, self.title, tuple(found), reason)

"""Which events are kept (pure): by age and by count, for each type."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fountain_common.patterns import matches

from notification.durations import parse_duration


@dataclass(frozen=True, slots=True)
class Rule:
    """What is kept of the types that a pattern matches.

    Attributes:
        pattern: `*` is one word, `>` the rest.
        age_seconds: older events are removed.
        count: of each type, more than so many are removed; None keeps them all.
    """

    pattern: str
    age_seconds: float
    count: int | None = None


def parse_rules(raw: str) -> tuple[Rule, ...]:
    """Read rules such as `secret.>=90d,link.*=1d:10000,>=7d:1000000`.

    Raises:
        ValueError: it is not of that form, or leaves a type without a rule.
    """
    rules = tuple(_rule(part.strip()) for part in raw.split(",") if part.strip())
    if not rules or rules[-1].pattern != ">":
        raise ValueError("the last rule of the retention is for all other types: >=<age>[:<count>]")
    return rules


def _rule(raw: str) -> Rule:
    pattern, equals, kept = raw.rpartition("=")
    age, colon, count = kept.partition(":")
    if not equals or not pattern or (colon and not count.isdigit()):
        raise ValueError(f"{raw!r} is no rule of retention; write <pattern>=<age>[:<count>]")
    return Rule(pattern, parse_duration(age), int(count) if colon else None)


def rule_for(type_: str, rules: Iterable[Rule]) -> Rule | None:
    """Return the first rule that matches a type."""
    return next((rule for rule in rules if matches(rule.pattern, type_)), None)


@dataclass(frozen=True, slots=True)
class Cut:
    """What may go of one type: everything stored before a moment, and everything up to a position.

    Attributes:
        type: the type.
        stored_before: unix seconds.
        count: how many of the newest stay; None means any number.
    """

    type: str
    stored_before: float
    count: int | None


def cuts(types: Iterable[str], rules: Sequence[Rule], now: float) -> list[Cut]:
    """Return what may go of each type, by age and by count."""
    found = ((type_, rule_for(type_, rules)) for type_ in types)
    return [Cut(type_, now - rule.age_seconds, rule.count) for type_, rule in found if rule is not None]

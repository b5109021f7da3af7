"""Which events somebody wants, and which of them he may see (pure)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from fountain_common.errors import Unprocessable
from fountain_common.event import valid_subject
from fountain_common.patterns import matches, valid_pattern

from notification.event import Stored

MAX_PATTERNS = 32


@dataclass(frozen=True, slots=True)
class Filter:
    """What a reader asks for.

    Attributes:
        reader: the identity that reads; events for another recipient are not there for it, an admin included.
        patterns: of types, any of which will do; none is every type.
        source, subject: exactly this; None is any.
        about: `(pattern, subject)`: of the types that the pattern covers only what is about this subject, or
            about another that is named with such a pattern.
    """

    reader: str
    patterns: tuple[str, ...] = ()
    source: str | None = None
    subject: str | None = None
    about: tuple[tuple[str, str], ...] = ()

    def wants_type(self, type_: str) -> bool:
        """Tell whether a type is asked for."""
        return not self.patterns or _any(self.patterns, type_)

    def subjects(self, type_: str) -> frozenset[str] | None:
        """Return the only subjects that are asked for with a type; None is any."""
        named = _subjects(self.about, type_) if self.about else None
        if self.subject is None:
            return named
        return frozenset({self.subject}) & named if named is not None else frozenset({self.subject})

    def may_see(self, event: Stored) -> bool:
        """Tell whether an event is for everybody, or for the reader."""
        return not event.recipient or event.recipient == self.reader

    def chosen(self, events: Iterable[Stored]) -> Iterator[Stored]:
        """Return those events that are asked for and may be seen. Of many, each type is judged once."""
        asked: dict[str, frozenset[str] | None] = {}
        for event in events:
            type_ = event.type
            if type_ not in asked:
                asked[type_] = self.subjects(type_) if self.wants_type(type_) else frozenset()
            subjects = asked[type_]
            if (
                (subjects is None or event.subject in subjects)
                and (self.source is None or event.source == self.source)
                and self.may_see(event)
            ):
                yield event


@lru_cache(maxsize=8192)
def _any(patterns: tuple[str, ...], type_: str) -> bool:
    return any(matches(pattern, type_) for pattern in patterns)


@lru_cache(maxsize=1024)
def _subjects(about: tuple[tuple[str, str], ...], type_: str) -> frozenset[str] | None:
    named = [subject for pattern, subject in about if matches(pattern, type_)]
    return frozenset(named) if named else None


def read_about(raw: list[str] | None) -> tuple[tuple[str, str], ...]:
    """Return the patterns of a request with the subject of each, in one order, or refuse what is none.

    Raises:
        Unprocessable: says what it looks like.
    """
    found: set[tuple[str, str]] = set()
    for item in raw or []:
        pattern, _, subject = item.partition(":")
        if not valid_pattern(pattern) or not valid_subject(subject):
            raise Unprocessable(
                "`about` is a pattern of types, a colon and a subject of 1 to 255 characters without control "
                "characters, such as secret.*:example-consumer."
            )
        found.add((pattern, subject))
    if len(found) > MAX_PATTERNS:
        raise Unprocessable(f"At most {MAX_PATTERNS} subjects can be asked for.")
    return tuple(sorted(found))


def read_patterns(raw: list[str] | None) -> tuple[str, ...]:
    """Return the patterns of a request in one order, or refuse what is none.

    Raises:
        Unprocessable: says what a pattern looks like.
    """
    found = tuple(sorted({part.strip() for item in raw or [] for part in item.split(",") if part.strip()}))
    if len(found) > MAX_PATTERNS:
        raise Unprocessable(f"At most {MAX_PATTERNS} patterns of types can be asked for.")
    if not all(map(valid_pattern, found)):
        raise Unprocessable(
            "A pattern is words with dots between them, such as secret.rotated; * stands for one word, "
            "and > as the last for the rest."
        )
    return () if ">" in found else found


def literal_prefix(pattern: str) -> str:
    """Return the words that every type begins with which the pattern matches, with a dot behind them if more
    follow.
    """
    words = pattern.split(".")
    fixed = next((number for number, word in enumerate(words) if word in ("*", ">")), len(words))
    return ".".join(words[:fixed]) + ("." if 0 < fixed < len(words) else "")

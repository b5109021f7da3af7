"""Patterns over event types: `*` is one word, `>` is one or more words and stands last (pure)."""

import re
from functools import lru_cache

MAX_CHARACTERS = 255
_WORD = r"[A-Za-z0-9_-]+"
_TYPE = re.compile(rf"{_WORD}(\.{_WORD})*", re.ASCII)
_PATTERN = re.compile(rf"(({_WORD}|\*)\.)*({_WORD}|\*|>)", re.ASCII)


def valid_type(event_type: str) -> bool:
    """Tell whether this is an event type: words of letters, digits, `_` and `-` with dots between them."""
    return len(event_type) <= MAX_CHARACTERS and _is_type(event_type)


@lru_cache(maxsize=1024)
def _is_type(event_type: str) -> bool:
    return _TYPE.fullmatch(event_type) is not None


def valid_pattern(pattern: str) -> bool:
    """Tell whether this is a pattern: an event type in which words may be `*`, and the last one `>`."""
    return len(pattern) <= MAX_CHARACTERS and _PATTERN.fullmatch(pattern) is not None


def matches(pattern: str, event_type: str) -> bool:
    """Tell whether a type is covered by a pattern: `secret.*` covers `secret.rotated` and not `secret.a.b`;
    `secret.>` both.
    """
    return _compiled(pattern).fullmatch(event_type) is not None


def overlap(one: str, other: str) -> bool:
    """Tell whether some type may be covered by both patterns."""
    first, second = one.split("."), other.split(".")
    for mine, theirs in zip(first, second, strict=False):
        if ">" in (mine, theirs):
            return True
        if "*" not in (mine, theirs) and mine != theirs:
            return False
    return len(first) == len(second)


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    if not valid_pattern(pattern):
        raise ValueError(f"not a pattern of event types: {pattern!r}")
    words = {"*": _WORD, ">": rf"{_WORD}(?:\.{_WORD})*"}
    return re.compile(r"\.".join(words.get(word, re.escape(word)) for word in pattern.split(".")), re.ASCII)

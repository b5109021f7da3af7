"""What a secret's keys and values may be, and what the next version holds. Pure."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

#: Generated for every service; a service may be set up with more.
ALWAYS_GENERATED: Final = ("JWT_SECRET", "DB_PASSWORD")

#: What is encrypted with a data key is lost with it, so that it changes only when somebody names it.
ONLY_WHEN_NAMED: Final = frozenset({"DATA_KEY"})

MAX_KEYS: Final = 256
MAX_VALUE_BYTES: Final = 64 * 1024

_KEY: Final = re.compile(r"[A-Z][A-Z0-9_]{0,63}")


class InvalidSecretError(ValueError):
    """A key or a value that cannot be stored; the message names the key and never the value."""


class UnchangedError(Exception):
    """The change would leave every value as it is."""


@dataclass(frozen=True, repr=False)
class Values:
    """The content of one version: its values by key, and which of the keys were generated."""

    by_key: Mapping[str, str]
    generated: frozenset[str]

    def __repr__(self) -> str:
        return f"<Values of {len(self.by_key)} keys>"


def check(given: Mapping[str, str]) -> None:
    """Refuse keys and values that cannot be stored (InvalidSecretError)."""
    if len(given) > MAX_KEYS:
        raise InvalidSecretError(f"A secret holds at most {MAX_KEYS} keys.")
    for key, value in given.items():
        if not _KEY.fullmatch(key):
            raise InvalidSecretError(
                "A key is an upper-case letter and at most 63 more of them, digits and underscores."
            )
        if "\0" in value:
            raise InvalidSecretError(f"The value of {key} contains a NUL character.")
        try:
            size = len(value.encode())
        except UnicodeEncodeError as failure:
            raise InvalidSecretError(f"The value of {key} is not valid Unicode.") from failure
        if not 0 < size <= MAX_VALUE_BYTES:
            raise InvalidSecretError(f"The value of {key} is empty or longer than {MAX_VALUE_BYTES} bytes.")


def first(given: Mapping[str, str], also_generated: Iterable[str], make: Callable[[str], str]) -> Values:
    """Return the first version: generated keys, overridden and joined by what was given."""
    generated = frozenset({*ALWAYS_GENERATED, *also_generated} - given.keys())
    return Values({**{key: make(key) for key in sorted(generated)}, **given}, generated)


def completed(current: Values, generated: Iterable[str], make: Callable[[str], str]) -> Values:
    """Return a version with those of the generated keys that are missing; what is there stays."""
    missing = frozenset(generated) - current.by_key.keys()
    if not missing:
        raise UnchangedError
    made = {key: make(key) for key in sorted(missing)}
    return Values({**current.by_key, **made}, current.generated | missing)


def replaced(current: Values, given: Mapping[str, str]) -> Values:
    """Return a version of exactly what was given; a generated key that keeps its value stays generated."""
    if dict(given) == dict(current.by_key):
        raise UnchangedError
    kept = {key for key in current.generated if given.get(key) == current.by_key[key]}
    return Values(dict(given), frozenset(kept))


def rotated(
    current: Values, given: Mapping[str, str], keys: Iterable[str] | None, make: Callable[[str], str]
) -> Values:
    """Return the next version: generated keys get new values, given ones and the data key stay unless
    named in `keys`.

    With `keys`, these alone get new values (and are generated from now on), whether or not they were given
    before.
    """
    if keys is None:
        renewed = current.generated - ONLY_WHEN_NAMED - given.keys()
    else:
        renewed = frozenset(keys)
        if unknown := sorted(renewed - current.by_key.keys()):
            raise InvalidSecretError(f"There is no key {', '.join(unknown)} to rotate.")
        if both := sorted(renewed & given.keys()):
            raise InvalidSecretError(f"{', '.join(both)} stands in `keys` and in `newSecrets`: say which.")
    by_key = {**current.by_key, **{key: make(key) for key in sorted(renewed)}, **given}
    if by_key == dict(current.by_key):
        raise UnchangedError
    return Values(by_key, (current.generated | renewed) - given.keys())

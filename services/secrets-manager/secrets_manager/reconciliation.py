"""What must exist after every start, and what is therefore missing. Pure."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from fountain_common.errors import InvalidName
from fountain_common.names import service_name

_KEY: Final = re.compile(r"[A-Z][A-Z0-9_]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A service, and the generated keys that its secret has besides the two of everyone."""

    name: str
    generated: tuple[str, ...] = ()


def parse_wanted(raw: str) -> tuple[Wanted, ...]:
    """Read `notification:DATA_KEY two-factor:DATA_KEY action`.

    ValueError with a sentence if it is not like that.
    """
    wanted: dict[str, Wanted] = {}
    for word in raw.replace(",", " ").split():
        name, *keys = word.split(":")
        try:
            name = service_name(name)
        except InvalidName as error:
            raise ValueError(f"{word!r}: {error}") from None
        for key in keys:
            if not _KEY.fullmatch(key):
                raise ValueError(
                    f"{word!r}: a generated key is named in capitals, digits and underscores, as DATA_KEY"
                )
        if name == "secrets-manager":
            raise ValueError("the secrets manager needs no identity of its own: take it out")
        if name in wanted:
            raise ValueError(f"{name} is named twice")
        wanted[name] = Wanted(name, tuple(keys))
    return tuple(wanted.values())


@dataclass(frozen=True, slots=True)
class Found:
    """What there is of one service.

    Is its identity alive, was it revoked, and which keys are honoured now.
    """

    exists: bool
    revoked: bool
    honoured: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done for one service."""

    make_identity: bool
    make_key: bool


def plan(found: Found, key_in_file: str | None) -> Step | None:
    """Decide about one service.

    A revoked identity stays revoked: None. A file whose key is not honoured (another database's, revoked,
    disabled by a restore, expired) gets a new one. What the old key may still do is not changed here.

    Args:
        found: what the database says.
        key_in_file: the id of the key in the file, if the whole key in it is right; None if there is none or
            it is not.
    """
    if found.revoked:
        return None
    return Step(
        make_identity=not found.exists, make_key=key_in_file is None or key_in_file not in found.honoured
    )

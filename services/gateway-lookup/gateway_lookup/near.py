"""Names that look like one that there is not. Pure, and quick enough to be asked by strangers."""

import difflib
from collections.abc import Collection
from functools import lru_cache

_CANDIDATES = 30
_ANSWERS = 3


def near(name: str, known: Collection[str]) -> list[str]:
    """Return at most three of the known names that look like this one, the most alike first.

    Comparing letter by letter is dear: it is done for those alone that share the most pairs of letters.
    """
    wanted = _pairs(name)
    shared = [(len(wanted & _pairs_of_known(one)), one) for one in known]
    likely = sorted((pair for pair in shared if pair[0]), reverse=True)[:_CANDIDATES]
    return difflib.get_close_matches(name, [one for _, one in likely], n=_ANSWERS, cutoff=0.5)


def _pairs(name: str) -> frozenset[str]:
    return frozenset(name[at : at + 2] for at in range(len(name) - 1))


_pairs_of_known = lru_cache(maxsize=20_000)(_pairs)

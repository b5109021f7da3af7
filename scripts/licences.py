"""Which licences may be in an image, and what a distribution says about its own.

What is handed out has to be handed out under its terms. Licences that ask for no more than their text are
allowed; any other is an exception, by name, with the reason for which it was taken.
"""

from collections.abc import Sequence
from typing import Protocol

from license_expression import (  # type: ignore[import-untyped]
    AND,
    OR,
    ExpressionError,
    LicenseSymbol,
    get_spdx_licensing,
)
from pins import canonical

ALLOWED = frozenset(
    {"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "LicenseRef-BSD", "MIT", "MIT-0", "PSF-2.0"}
)
"""SPDX identifiers; `LicenseRef-BSD` is the classifier that does not say which of the two it means."""

EXCEPTIONS = {
    "certifi": ("MPL-2.0", "A list of certificates, handed out as it was published."),
    "orjson": (
        "MPL-2.0 AND (Apache-2.0 OR MIT)",
        "Copyleft by file: the files are handed out as they were published, and their source is on PyPI.",
    ),
    "psycopg": (
        "LGPL-3.0-only",
        "Used as a library, unmodified, as a package of its own that anybody may replace.",
    ),
    "psycopg-binary": (
        "LGPL-3.0-only",
        "Used as a library, unmodified, as a package of its own that anybody may replace.",
    ),
}
"""By name: the licence that was looked at, and why it is well. Another licence is another decision."""

UNKNOWN = "unknown"
_CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "LicenseRef-BSD",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
_SPOKEN = {
    "3-clause bsd license": "BSD-3-Clause",
    "apache 2.0": "Apache-2.0",
    "isc license": "ISC",
    "mit license": "MIT",
}
_licensing = get_spdx_licensing()


class Metadata(Protocol):
    """A distribution's metadata (core metadata specifications): a `Message`, or what `importlib` answers."""

    def get_all(self, name: str, failobj: None = None) -> Sequence[str] | None:
        """Return all values of a field."""
        ...


def licence_of(metadata: Metadata) -> str:
    """Return the SPDX expression of a distribution, or `unknown`.

    The expression that it gives itself counts first; then its classifiers, all of which must be kept if
    there are several; then what it has in words.
    """
    expression = _first(metadata, "License-Expression")
    if expression:
        return expression
    named = [
        value.rpartition(" :: ")[2]
        for value in metadata.get_all("Classifier") or []
        if value.startswith("License ::") and value != "License :: OSI Approved"
    ]
    if named:
        return " AND ".join(sorted({_CLASSIFIERS.get(name, UNKNOWN) for name in named}))
    words = _first(metadata, "License").strip()
    known = _SPOKEN.get(words.lower(), words)
    return known if _is_spdx(known) else UNKNOWN


def is_allowed(expression: str) -> bool:
    """Tell whether an SPDX expression can be kept with allowed licences alone."""
    try:
        parsed = _licensing.parse(expression)
    except ExpressionError:
        return False
    return parsed is not None and _keeps(parsed)


def problem(name: str, licence: str) -> str | None:
    """Say what is wrong with a distribution under this licence; None if nothing is."""
    exception = EXCEPTIONS.get(canonical(name))
    if exception is not None:
        if exception[0] != licence:
            return f"{name} is under {licence!r} now; the exception was made for {exception[0]!r}"
        return None
    if not is_allowed(licence):
        return f"{name} is under {licence!r}, which is not on the list in scripts/licences.py"
    return None


def _first(metadata: Metadata, field: str) -> str:
    return next(iter(metadata.get_all(field) or ()), "")


def _is_spdx(words: str) -> bool:
    try:
        return bool(words) and not _licensing.unknown_license_keys(words)
    except ExpressionError:
        return False


def _keeps(node: object) -> bool:
    if isinstance(node, LicenseSymbol):
        return str(node.key) in ALLOWED
    if isinstance(node, OR):
        return any(_keeps(part) for part in node.args)
    return isinstance(node, AND) and all(_keeps(part) for part in node.args)

"""What must not be printed, and how it is kept out of whatever is."""

import re
from collections.abc import Mapping
from typing import Any

REDACTED = "[redacted]"

_SECRET_NAMES = re.compile(
    r"(^|_)(secrets?|passwords?|passwd|passphrase|tokens?|api_?keys?|authorization|cookie|credentials?|jwt"
    r"|newsecrets)($|_value$)",
    re.IGNORECASE,
)
# An API key of ours, a webhook secret, a JSON Web Token, an Authorization header, a password in a URL.
_SECRET_VALUES = re.compile(
    r"fnt_[a-z0-9]+_[A-Za-z0-9_-]+"
    r"|whsec_[A-Za-z0-9+/=_-]+"
    r"|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"
    r"|(?<=bearer )[A-Za-z0-9._~+/=-]{8,}"
    r"|(?<=basic )[A-Za-z0-9+/=]{8,}"
    r"|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)",
    re.IGNORECASE,
)


def is_secret_name(name: str) -> bool:
    """Tell whether a field of this name holds a secret, by its name."""
    return _SECRET_NAMES.search(name) is not None


def redact_text(text: str) -> str:
    """Replace what looks like a credential inside a text."""
    return _SECRET_VALUES.sub(REDACTED, text)


def redact(value: Any, depth: int = 6) -> Any:
    """Return a copy with secrets replaced: by the name of their field, or by what they look like."""
    if isinstance(value, str):
        return redact_text(value)
    if depth == 0:
        return REDACTED
    if isinstance(value, Mapping):
        return {
            key: REDACTED
            if item is not None and isinstance(key, str) and is_secret_name(key)
            else redact(item, depth - 1)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(item, depth - 1) for item in value]
    return value

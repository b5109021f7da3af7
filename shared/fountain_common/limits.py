"""What is refused before anything else looks at a request: bodies that are too large, credentials in URLs."""

import re
from urllib.parse import unquote_plus

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

_CREDENTIAL_NAMES = frozenset(
    {
        "access_token",
        "api-key",
        "api_key",
        "apikey",
        "authorization",
        "bearer",
        "client_assertion",
        "client_secret",
        "id_token",
        "jwt",
        "passwd",
        "password",
        "refresh_token",
        "secret",
        "subject_token",
        "token",
        "x-api-key",
    }
)
_CREDENTIAL_VALUES = re.compile(r"fnt_[a-z0-9]+_|eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.", re.ASCII)


def credential_in_url(query: bytes, host: bytes = b"", path: str = "/") -> bool:
    """Tell whether a URL carries a credential: by a parameter's name or value, or as `user:password@`."""
    if b"@" in host or ("://" in path[:12] and "@" in path):
        return True
    if not query:
        return False
    for pair in query.decode("latin-1").replace(";", "&").split("&"):
        name, _, value = pair.partition("=")
        if unquote_plus(name).strip().lower() in _CREDENTIAL_NAMES:
            return True
        if _CREDENTIAL_VALUES.search(unquote_plus(value)):
            return True
    return False


def body_is_too_large(content_length: bytes, limit: int) -> bool:
    """Tell whether the announced length is over the limit; what is no number is the server's to refuse."""
    return content_length.isdigit() and (len(content_length) > 18 or int(content_length) > limit)


class BodyLimit:
    """Counts a body that did not announce its length, and ends it at the limit with a 413."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive, self._limit, self._read = receive, limit, 0

    async def __call__(self) -> Message:
        """Return the next part of the body, or raise when it is one too many."""
        message = await self._receive()
        self._read += len(message.get("body", b""))
        if self._read > self._limit:
            # FastAPI lets this exception alone through while it reads a body; any other becomes a 400.
            raise HTTPException(413, f"The body is larger than {self._limit} bytes.")
        return message

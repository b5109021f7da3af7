"""The server's side of a connection, which an application may break off.

Closing waits until everything has been written, which a reader that takes nothing never lets happen.
"""

from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

ABORT = "fountain.abort"
"""The extension in an ASGI scope that breaks the connection off at once: a function without arguments."""


class BreakableProtocol(HttpToolsProtocol):
    """Uvicorn's HTTP with that extension."""

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        scope: dict[str, Any] = cast("dict[str, Any]", self.scope)
        scope.setdefault("extensions", {})[ABORT] = self.transport.abort

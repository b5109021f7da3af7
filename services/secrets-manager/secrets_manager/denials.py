"""Puts refused requests into the audit: whoever was turned away at the door, before any route ran."""

import time
from typing import Final

from fastapi import Request
from fountain_common.auth import authenticate
from fountain_common.error_handlers import respond
from fountain_common.errors import Problem, Unavailable
from fountain_common.middleware import route_template
from fountain_common.requests import current
from fountain_common.tries import network_of
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from secrets_manager.core import Core

_DENIED: Final = frozenset({401, 403})
#: It writes down its own refusals, with what is known of the client.
_TOKEN_ENDPOINT: Final = "/auth/token"  # noqa: S105 - a path


class AuditDenials:
    """An ASGI layer that records 401 and 403 before they are answered.

    A 401 comes from nobody in particular, so that those of one address are counted together when they are
    many; every 403 is recorded. One that cannot be recorded is answered with 503 in its place.
    """

    def __init__(self, app: ASGIApp, core: Core) -> None:
        self._app, self._core = app, core

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"] == _TOKEN_ENDPOINT:
            await self._app(scope, receive, send)
            return

        replaced = False

        async def recording(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start" and message["status"] in _DENIED:
                try:
                    await self._record(scope, message["status"])
                except Unavailable as error:
                    # Raised from here it would go past what makes problems of errors: the answer is given in
                    # whole, and what is left of the other one is dropped.
                    replaced = True
                    answer = respond(Request(scope), error.status, error.detail, error.headers)
                    await answer(scope, receive, send)
            if not replaced:
                await send(message)

        await self._app(scope, receive, recording)

    async def _record(self, scope: Scope, status: int) -> None:
        context = current()
        failures = 1
        if status == 401:
            address = network_of(context.client) if context else ""
            failures = self._core.unauthenticated.failed(address, time.monotonic()).report
            if not failures:
                return
        caller = None
        if status == 403:
            try:
                caller = await authenticate(Request(scope))
            except Problem:
                caller = None
        await self._core.audit.append(
            caller=caller or "unknown",
            action=f"{scope['method']} {route_template(scope)}",
            target=scope["path"].lstrip("/"),
            outcome="denied",
            detail={"status": status, "failures": failures} if failures > 1 else {"status": status},
            request=context,
        )

"""Short ways: the hottest operations, answered before the framework is entered.

Routing, exit stacks and the resolving of parameters cost a request more than a lookup or the read of a secret
does. Such an operation is written as any other: its signature documents it, guards it, and answers every
case. Beside it stands a shortcut, which answers the plain case alone and declines all others, with None and
before it has done anything: those go the ordinary way, the only one that refuses anybody.

    async def look_up(request: QuickRequest) -> Answer | None: ...

    create_service(..., shortcuts=[Shortcut("GET", "/lookup/{serviceName}", look_up)])

What is around a request stays around it: id, metrics, log, limits. Middleware that a service adds is not
entered.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.types import Message, Receive

from fountain_common.requests import sole_bearer_token
from fountain_common.tokens import Caller

Headers = tuple[tuple[bytes, bytes], ...]


class Answer(NamedTuple):
    """A whole answer; `Content-Length` is added."""

    status: int
    body: bytes
    headers: Headers = ()


class QuickRequest:
    """What a shortcut sees of a request.

    Attributes:
        app: whose `state` the service's own parts are in.
        headers: by lower-case name.
        argument: what stands in the path for the template's parameter, as sent; "" where it has none.
    """

    __slots__ = ("_read", "_receive", "app", "argument", "headers")

    def __init__(self, app: Any, headers: dict[bytes, bytes], argument: str, receive: Receive) -> None:
        self.app, self.headers, self.argument = app, headers, argument
        self._receive = receive
        self._read: list[Message] = []

    def header(self, name: bytes) -> str | None:
        """Return a header; None if it was not sent."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    def caller(self) -> Caller | None:
        """Return who calls, if his bearer token is known already; verifying one is for the ordinary way."""
        token = sole_bearer_token(self.headers)
        caller: Caller | None = self.app.state.platform.verifier.known(token) if token else None
        return caller

    async def body(self) -> bytes | None:
        """Return the whole body; None if the client went away. The ordinary way will find it unread."""
        while not self._read or self._read[-1].get("more_body"):
            self._read.append(await self._receive())
        if self._read[-1]["type"] != "http.request":
            return None
        if len(self._read) == 1:
            return bytes(self._read[0].get("body", b""))
        return b"".join(message.get("body", b"") for message in self._read)

    def receive(self) -> Receive:
        """Return how the ordinary way gets the body, from its beginning."""
        if not self._read:
            return self._receive
        again, further = iter(self._read), self._receive

        async def receive() -> Message:
            message = next(again, None)
            return message if message is not None else await further()

        return receive


@dataclass(frozen=True, slots=True)
class Shortcut:
    """A short way beside an operation.

    Attributes:
        method: of the operation.
        path: its template, with one parameter at most, as the last part or the last but one.
        answer: answers the plain case, or None for every other.
    """

    method: str
    path: str
    answer: Callable[[QuickRequest], Awaitable[Answer | None]]


class Shortcuts:
    """Finds the shortcut for a request, if there is one."""

    def __init__(self, shortcuts: Iterable[Shortcut] = ()) -> None:
        self._whole: dict[tuple[str, str], Shortcut] = {}
        self._parents: dict[tuple[str, str], Shortcut] = {}
        self._around: dict[tuple[str, str, str], Shortcut] = {}
        for shortcut in shortcuts:
            fixed, brace, parameter = shortcut.path.partition("{")
            _, _, behind = parameter.partition("}")
            if brace and not (fixed.endswith("/") and _is_one_part(behind)):
                raise ValueError(
                    f"The parameter is the last part of a shortcut's path, or the one before: {shortcut.path}"
                )
            if behind:
                self._around[shortcut.method, fixed, behind] = shortcut
            else:
                (self._parents if brace else self._whole)[shortcut.method, fixed] = shortcut

    def __bool__(self) -> bool:
        return bool(self._whole or self._parents or self._around)

    def find(self, method: str, path: str) -> tuple[Shortcut, str] | None:
        """Return the shortcut and what stands for its parameter."""
        end = path.rfind("/") + 1
        found = self._parents.get((method, path[:end]))
        if found is not None:
            return (found, path[end:]) if end < len(path) else None
        if self._around:
            start = path.rfind("/", 0, max(end - 1, 0)) + 1
            found = self._around.get((method, path[:start], path[end - 1 :]))
            if found is not None:
                return (found, path[start : end - 1]) if start < end - 1 else None
        found = self._whole.get((method, path))
        return None if found is None else (found, "")


def _is_one_part(behind: str) -> bool:
    return not behind or (behind.rfind("/") == 0 and len(behind) > 1 and "{" not in behind)


def require_operations(app: FastAPI, shortcuts: Iterable[Shortcut]) -> None:
    """Raise unless each shortcut stands beside an operation.

    Raises:
        ValueError: names the one that does not.
    """
    known = {
        (method, route.path) for route in iter_route_contexts(app.routes) for method in route.methods or ()
    }
    for shortcut in shortcuts:
        if (shortcut.method, shortcut.path) not in known:
            raise ValueError(f"There is no operation {shortcut.method} {shortcut.path} beside its shortcut.")

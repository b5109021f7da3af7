"""The platform that is broken: its parts, where they are, and the administrator who asks them things."""

import asyncio
import ssl
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx2
import jwt
from fountain_cli.stack import Stack
from fountain_cli.stack.layout import EDGE, repository, services

from chaos.history import History, Request, Token
from chaos.schedule import Part

MANAGER, NOTIFICATION, GATEWAY = "secrets-manager", "notification", "gateway-lookup"
CONSUMER = "example-consumer"
PLATFORM = (MANAGER, NOTIFICATION, GATEWAY)
"""Their sites stand in the edge's own configuration; the way to all others is asked of the gateway."""
ANSWER_SECONDS = 20.0
"""Who waits longer for an answer gives up."""
_NEW_TOKEN_SECONDS = 30.0
"""So often that every signing key signs some."""
_RETRY_SECONDS = 0.5

Expected = tuple[int, ...] | Callable[[httpx2.Response], bool]

EDGE_PART = Part(EDGE)
GATEWAY_PART = Part(GATEWAY)


class Scene:
    """A running platform, and somebody who uses it and writes down what comes of it.

    Args:
        stack: the platform.
        history: where requests are written down.
    """

    def __init__(self, stack: Stack, history: History) -> None:
        self.stack, self.history = stack, history
        names = [service.name for service in services(repository())]
        self.instances = {
            name: [Part(name, number) for number in range(stack.replicas(name))] for name in names
        } | {EDGE: [EDGE_PART]}
        self.parts = [part for parts in self.instances.values() for part in parts]
        self._addresses: dict[Part, str] = {}
        self._edge: dict[str, httpx2.AsyncClient] = {}
        self._tokens: dict[str, str] = {}
        self._open = AsyncExitStack()

    async def __aenter__(self) -> "Scene":
        """Open a client of each service and fetch the first tokens."""
        for name in self.instances:
            site = NOTIFICATION if name == EDGE else name
            client = await asyncio.to_thread(
                self.stack.async_client, site, timeout=ANSWER_SECONDS, connections=32
            )
            self._edge[name] = await self._open.enter_async_context(client)
        self._key = await asyncio.to_thread(self.stack.admin_key)
        ca = await asyncio.to_thread(self.stack.issuer_ca)
        self._direct = await self._open.enter_async_context(
            httpx2.AsyncClient(timeout=ANSWER_SECONDS, verify=ssl.create_default_context(cadata=ca))
        )
        for part in self.parts:
            await self.locate(part)
        await self._fetch_tokens()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    # Where parts are

    async def locate(self, part: Part) -> str:
        """Find out where a part listens now; "" if it does not run."""
        if part == EDGE_PART:
            return self.stack.url(NOTIFICATION)
        try:
            found = await asyncio.to_thread(self.stack.address, part.service, part.replica)
        except Exception:  # noqa: BLE001 - whatever the runtime says about one that is away
            found = ""
        self._addresses[part] = "" if "://:" in found else found
        return self._addresses[part]

    @property
    def moves(self) -> bool:
        """Tell whether parts may come back elsewhere: containers do, processes keep their ports."""
        return self.stack.runtime == "docker"

    def forget(self, part: Part) -> None:
        """What was a container's address may be another's now."""
        if self.moves:
            self._addresses.pop(part, None)

    # Tokens

    async def keep_tokens(self) -> None:
        """Replace the tokens long before they end."""
        while True:
            await asyncio.sleep(_NEW_TOKEN_SECONDS)
            await self._fetch_tokens()

    async def _fetch_tokens(self) -> None:
        for audience in [name for name in self.instances if name != EDGE]:
            while not await self._fetch_token(audience):
                await asyncio.sleep(_RETRY_SECONDS)

    async def _fetch_token(self, audience: str) -> bool:
        form = {"grant_type": "client_credentials", "client_secret": self._key, "resource": audience}
        began = time.time()
        answer = await self.ask("issue a token", "POST", MANAGER, "/auth/token", data=form, anonymous=True)
        if answer is not None:
            token = answer.json()["access_token"]
            self._tokens[audience] = token
            self.history.tokens.append(Token(jwt.get_unverified_header(token)["kid"], began, time.time()))
        return answer is not None

    def headers(self, service: str) -> dict[str, str]:
        """Return the header that lets the administrator in at one service."""
        return {"Authorization": f"Bearer {self._tokens[service]}"}

    def client(self, service: str) -> httpx2.AsyncClient:
        """Return the client of a service through the edge."""
        return self._edge[service]

    # Asking

    async def ask(
        self,
        kind: str,
        method: str,
        service: str,
        path: str,
        *,
        also: tuple[str, ...] = (),
        expect: Expected = (200, 201, 204),
        idempotent: bool = True,
        anonymous: bool = False,
        headers: dict[str, str] | None = None,
        **options: Any,
    ) -> httpx2.Response | None:
        """Send a request through the edge and write down what came of it.

        Args:
            kind: under which name it is counted.
            method, service, path: what is asked of whom.
            also: services that this one asks in turn.
            expect: the statuses that are an answer, or what tells one; all else is a failure.
            idempotent: it must not fail while there is a healthy instance.
            anonymous: without a token.
            headers: more headers.
            options: as httpx2 takes them.

        Returns:
            The answer; None if it failed.
        """
        via = (EDGE_PART,) if service in PLATFORM else (EDGE_PART, GATEWAY_PART)
        sent = {**(headers or {}), **({} if anonymous else self.headers(service))}
        call = self._edge[service].request(method, path, headers=sent, **options)
        return await self._watched(kind, (*via, service, *also), call, expect, idempotent)

    async def ask_part(
        self,
        kind: str,
        part: Part,
        path: str,
        *,
        expect: Expected = (200,),
        anonymous: bool = False,
        timeout: float = ANSWER_SECONDS,
    ) -> httpx2.Response | None:
        """GET something of one part itself, past the edge; None if that failed, or it is nowhere."""
        address = self._addresses.get(part)
        if not address:
            return None
        headers = {} if anonymous else self.headers(part.service)
        tls = {"sni_hostname": MANAGER} if part.service == MANAGER else {}
        call = self._direct.get(f"{address}{path}", headers=headers, extensions=tls, timeout=timeout)
        return await self._watched(kind, (part,), call, expect, True)

    async def ask_edge(self, kind: str, timeout: float) -> httpx2.Response | None:
        """Ask the edge for what it refuses by itself, with nobody behind it."""
        call = self._edge[EDGE].get("/metrics", timeout=timeout)
        return await self._watched(kind, (EDGE_PART,), call, (404,), True)

    async def _watched(
        self, kind: str, needs: tuple[Part | str, ...], call: Any, expect: Expected, idempotent: bool
    ) -> httpx2.Response | None:
        began, failure, answer = time.time(), "", None
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await call
            if not (expect(answer) if callable(expect) else answer.status_code in expect):
                failure = _said(answer)
        except (httpx2.HTTPError, OSError) as error:
            failure = f"{type(error).__name__} {error}".strip()
        self.history.requests.append(Request(kind, needs, began, time.time(), failure, idempotent))
        return None if failure else answer


def _said(answer: httpx2.Response) -> str:
    """Return what a refusal says, with the id by which the logs know it."""
    try:
        problem = answer.json()
        detail, request_id = problem["detail"], problem["request_id"]
    except (ValueError, KeyError, TypeError):
        detail, request_id = answer.text[:200], answer.headers.get("X-Request-ID", "")
    return f"{answer.status_code} {detail} (request {request_id})"

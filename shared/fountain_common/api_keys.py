"""An API key shown to a service is exchanged for a token at the Secrets Manager; it is never judged here."""

import asyncio
import hashlib
import hmac
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from fountain_common.errors import TooManyRequests, Unauthenticated
from fountain_common.requests import current
from fountain_common.tries import Tries, network_of
from fountain_common.turns import LaneFull, Sleep, Turns

API_KEY = re.compile(r"fnt_([a-z0-9]{12,16})_([A-Za-z0-9_-]{43})", re.ASCII)
"""`fnt_<key id>_<256 random bits in base64url>`."""
REFUSED_SECONDS = 10.0
RENEW_BEFORE_SECONDS = 30.0
MAX_REMEMBERED = 10_000
EXCHANGES_AT_ONCE = 4
WAITING_FOR_ONE_ADDRESS = 50
WAITING_IN_ALL = 2000
_Value = TypeVar("_Value")
_REFUSAL = "The API key is not valid here. Use one that was made with this service among its audiences."
_CROWDED = "Too many new API keys are waiting to be verified. Try again in a moment."


class KeyExchange(Protocol):
    """Turns an API key into a token for this service."""

    async def exchange(self, api_key: str, client: str = "") -> str:
        """Return an access token for the key's identity and this service.

        Args:
            api_key: as it was shown.
            client: the address of who showed it.

        Raises:
            Unauthenticated: the key is not honoured here.
            Unavailable: it cannot be judged now.
        """
        ...


class ExchangeAtIssuer(Protocol):
    """One exchange at the Secrets Manager."""

    async def exchange(
        self, api_key: str, *, through_edge: bool = False, client: str = ""
    ) -> tuple[str, float]:
        """Return the token and the seconds that it lives.

        Args:
            api_key: as it was shown.
            through_edge: whether it was shown from outside, where not every key is honoured.
            client: the address of who showed it, for the audit; "" if it is not known.
        """
        ...


@dataclass(slots=True)
class _Exchange:
    task: asyncio.Task[str]
    waiting: int = 0


class CachedKeyExchange:
    """Exchanges keys at the Secrets Manager and remembers the answers.

    What is remembered is kept under a keyed hash: neither a key nor anything it could be guessed from stays
    in memory, and finding it again compares no secret byte by byte. What a key is worth from inside says
    nothing about what it is worth through the edge: these are remembered apart.

    Somebody who tries keys does so slowly and shuts out nobody: a refusal is remembered for ten seconds, each
    address has one exchange under way, and keys that were honoured before have a way of their own.

    Args:
        issuer: makes one exchange.
        monotonic: seconds.
        sleep: waits some of them.
    """

    def __init__(
        self,
        issuer: ExchangeAtIssuer,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._issuer, self._monotonic = issuer, monotonic
        self._hash_key = secrets.token_bytes(32)
        self._tokens: OrderedDict[bytes, tuple[str, float]] = OrderedDict()
        self._refused: OrderedDict[bytes, float] = OrderedDict()
        self._honoured: OrderedDict[bytes, None] = OrderedDict()
        self._running: dict[bytes, _Exchange] = {}
        self._tries = Tries()
        self._unknown = Turns(EXCHANGES_AT_ONCE, WAITING_FOR_ONE_ADDRESS, WAITING_IN_ALL, sleep=sleep)
        self._known = Turns(EXCHANGES_AT_ONCE, MAX_REMEMBERED, MAX_REMEMBERED)

    def __repr__(self) -> str:
        return f"<CachedKeyExchange, {len(self._tokens)} keys>"

    async def exchange(self, api_key: str, client: str = "") -> str:
        """Return a token for the key; see `KeyExchange`.

        Raises:
            TooManyRequests: of those who show keys that are not known here, too many wait already.
        """
        if not API_KEY.fullmatch(api_key):
            raise Unauthenticated(_REFUSAL)
        name = self._name(api_key)
        now = self._monotonic()
        token, until = self._tokens.get(name, ("", 0.0))
        if now < until:
            return token
        if now < self._refused.get(name, 0.0):
            raise Unauthenticated(_REFUSAL)
        return await self._together(name, api_key, client)

    def forget(self, api_key: str, token: str) -> None:
        """Forget this token for this key: it is not honoured any more."""
        name = self._name(api_key)
        if self._tokens.get(name, ("", 0.0))[0] == token:
            del self._tokens[name]

    def forget_all(self) -> None:
        """Forget all answers; called when tokens that were honoured may be so no more."""
        self._tokens.clear()
        self._refused.clear()

    def _name(self, api_key: str) -> bytes:
        where = b"edge " if _through_edge() else b"inside "
        return hmac.digest(self._hash_key, where + api_key.encode(), hashlib.sha256)

    async def _together(self, name: bytes, api_key: str, client: str) -> str:
        """Exchange once for all who show the same key; given up when the last of them has gone."""
        running = self._running.get(name)
        if running is None:
            task = asyncio.create_task(self._ask(name, api_key, client))
            running = self._running[name] = _Exchange(task)
        running.waiting += 1
        try:
            return await asyncio.shield(running.task)
        finally:
            running.waiting -= 1
            if not running.waiting:
                running.task.cancel()
                if self._running.get(name) is running:
                    del self._running[name]

    async def _ask(self, name: bytes, api_key: str, client: str) -> str:
        known, address = name in self._honoured, network_of(client)
        turn = (
            self._known.take(name)
            if known
            else self._unknown.take(address, lambda: self._tries.pause(address, self._monotonic()))
        )
        try:
            async with turn:
                edge = _through_edge()
                token, lives = await self._issuer.exchange(api_key, through_edge=edge, client=client)
        except LaneFull:
            raise TooManyRequests(_CROWDED, headers={"Retry-After": "2"}) from None
        except Unauthenticated:
            self._honoured.pop(name, None)
            self._tries.failed(address, self._monotonic())
            _remember(self._refused, name, self._monotonic() + REFUSED_SECONDS)
            raise Unauthenticated(_REFUSAL) from None
        _remember(self._tokens, name, (token, self._monotonic() + max(0.0, lives - RENEW_BEFORE_SECONDS)))
        _remember(self._honoured, name, None)
        return token


def _through_edge() -> bool:
    context = current()
    return context is not None and context.through_edge


def _remember(into: OrderedDict[bytes, _Value], name: bytes, value: _Value) -> None:
    into[name] = value
    into.move_to_end(name)
    while len(into) > MAX_REMEMBERED:
        into.popitem(last=False)

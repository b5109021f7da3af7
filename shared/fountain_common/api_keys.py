"""An API key shown to a service is exchanged for a token at the Secrets Manager; it is never judged here
(design, section 4).
"""

import asyncio
import hashlib
import hmac
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol, TypeVar

from fountain_common.errors import Unauthenticated

API_KEY = re.compile(r"fnt_([a-z0-9]{12,16})_([A-Za-z0-9_-]{43})", re.ASCII)
"""`fnt_<key id>_<256 random bits in base64url>`."""
REFUSED_SECONDS = 10.0
RENEW_BEFORE_SECONDS = 30.0
MAX_REMEMBERED = 10_000
MAX_EXCHANGES_AT_ONCE = 4
_Value = TypeVar("_Value")
_REFUSAL = (
    "The API key is not honoured here. It must be valid, and made with this service among its audiences."
)


class KeyExchange(Protocol):
    """Turns an API key into a token for this service."""

    async def exchange(self, api_key: str, client: str = "") -> str:
        """Answer an access token for the key's identity and this service.

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

    async def exchange(self, api_key: str) -> tuple[str, float]:
        """Answer the token and the seconds that it lives."""
        ...


class CachedKeyExchange:
    """Exchanges keys at the Secrets Manager and remembers the answers.

    What is remembered is kept under a keyed hash: neither a key nor anything it could be guessed from stays
    in memory, and finding it again compares no secret byte by byte. Refusals are remembered for ten seconds
    and few exchanges run at once, so that somebody who tries keys does so slowly and shuts out nobody.

    Args:
        issuer: makes one exchange.
        monotonic: seconds.
    """

    def __init__(self, issuer: ExchangeAtIssuer, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._issuer, self._monotonic = issuer, monotonic
        self._hash_key = secrets.token_bytes(32)
        self._tokens: OrderedDict[bytes, tuple[str, float]] = OrderedDict()
        self._refused: OrderedDict[bytes, float] = OrderedDict()
        self._running: dict[bytes, asyncio.Future[str]] = {}
        self._at_once = asyncio.Semaphore(MAX_EXCHANGES_AT_ONCE)

    def __repr__(self) -> str:
        return f"<CachedKeyExchange, {len(self._tokens)} keys>"

    async def exchange(self, api_key: str, client: str = "") -> str:
        """Answer a token for the key; see `KeyExchange`."""
        if not API_KEY.fullmatch(api_key):
            raise Unauthenticated(_REFUSAL)
        name = hmac.digest(self._hash_key, api_key.encode(), hashlib.sha256)
        now = self._monotonic()
        token, until = self._tokens.get(name, ("", 0.0))
        if now < until:
            return token
        if now < self._refused.get(name, 0.0):
            raise Unauthenticated(_REFUSAL)
        running = self._running.get(name)
        if running is None:
            running = asyncio.ensure_future(self._ask(name, api_key))
            self._running[name] = running
            running.add_done_callback(lambda _: self._running.pop(name, None))
        return await asyncio.shield(running)

    def forget_all(self) -> None:
        """Forget all answers; called when identities or keys were revoked."""
        self._tokens.clear()
        self._refused.clear()

    async def _ask(self, name: bytes, api_key: str) -> str:
        async with self._at_once:
            try:
                token, lives = await self._issuer.exchange(api_key)
            except Unauthenticated:
                _remember(self._refused, name, self._monotonic() + REFUSED_SECONDS)
                raise Unauthenticated(_REFUSAL) from None
        _remember(self._tokens, name, (token, self._monotonic() + max(0.0, lives - RENEW_BEFORE_SECONDS)))
        return token


def _remember(into: OrderedDict[bytes, _Value], name: bytes, value: _Value) -> None:
    into[name] = value
    into.move_to_end(name)
    while len(into) > MAX_REMEMBERED:
        into.popitem(last=False)

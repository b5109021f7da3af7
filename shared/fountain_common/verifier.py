"""Verifying tokens without asking anybody: keys and revocations are held, and kept through an outage of their
issuer.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from fountain_common.clocks import ClockAgreement
from fountain_common.errors import Unauthenticated, Unavailable
from fountain_common.logging import get_logger
from fountain_common.tokens import (
    LEEWAY_SECONDS,
    Caller,
    Revocations,
    TokenError,
    UnknownKeyError,
    UntimelyError,
    read_keys,
    read_token,
)

KEYS_SECONDS = 30.0
REVOCATIONS_SECONDS = 8.0
"""From one fetch to the next. A revocation is honoured within ten, also if one fetch fails at once."""
UNKNOWN_KEY_SECONDS = 1.0
"""A token that names an unknown key makes the keys be fetched, at most once in this time."""
START_SECONDS = 3.0
PATIENCE_SECONDS = 0.25
"""So long a token waits for the first keys; then its bearer is told to come again. That may be the issuer,
which gives out no keys before it is answered.
"""
MAX_CACHED = 10_000


class KeySource(Protocol):
    """Where the signing keys and revocations come from. Raises anything when it cannot answer."""

    async def jwks(self) -> dict[str, Any]:
        """Return the JSON Web Key Set (RFC 7517)."""
        ...

    async def revocations(self) -> dict[str, Any]:
        """Return `{"issued_at", "revocations": [{"subject"|"key_id", "not_before"}]}`."""
        ...


class TokenVerifier:
    """Verifies access tokens for one audience.

    A verified token is remembered until it expires, among a bounded number of others; new revocations, or a
    key that has gone, make all be forgotten.

    Args:
        issuer: what `iss` must be.
        audience: the service's own name, which `aud` must contain.
        keys: where keys and revocations come from.
        clock: unix seconds.
        monotonic: seconds, for the pace of fetching.
    """

    def __init__(
        self,
        issuer: str,
        audience: str,
        keys: KeySource,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        max_cached: int = MAX_CACHED,
    ) -> None:
        self._issuer, self._audience, self._source = issuer, audience, keys
        self._clock, self._monotonic = clock, monotonic
        self._max_cached = max_cached
        self._verified: OrderedDict[bytes, Caller] = OrderedDict()
        self._keys: dict[str, Ed25519PublicKey] | None = None
        self._key_ids: frozenset[tuple[str, bytes]] = frozenset()
        self._revocations: Revocations | None = None
        self._fetching_keys = asyncio.Lock()
        self._keys_tried_at = self._revocations_tried_at = float("-inf")
        self._revocations_current = self._keys_current = False
        self._revocation_tickets = self._revocations_seen = 0
        self._fetching_revocations = asyncio.Lock()
        self._agreement = ClockAgreement(clock)
        self._listeners: list[Callable[[], None]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._refetching: set[asyncio.Task[None]] = set()
        self._became_able = asyncio.Event()

    def __repr__(self) -> str:
        return f"<TokenVerifier for {self._audience}, {len(self._verified)} verified>"

    @property
    def current(self) -> bool:
        """Tell whether the last fetches of keys and revocations succeeded."""
        return self._keys_current and self._revocations_current

    @property
    def able(self) -> bool:
        """Tell whether keys and revocations have been had at all, so that tokens can be judged."""
        return self._keys is not None and self._revocations is not None

    @property
    def clock_agrees(self) -> bool:
        """Tell whether the clock here and the issuer's are near enough for both to judge tokens alike."""
        return self._agreement.within(LEEWAY_SECONDS)

    async def wait_until_able(self) -> None:
        """Return once tokens can be judged."""
        while not self.able:
            self._became_able.clear()
            await self._became_able.wait()

    def on_revocation(self, listener: Callable[[], None]) -> None:
        """Call this whenever tokens that were honoured may be so no more: the revocations have changed, or a
        signing key has gone. Who holds streams open asks `revoked` for each then.
        """
        self._listeners.append(listener)

    def revoked(self, caller: Caller) -> bool:
        """Tell whether a caller that was let in would not be any more: revoked since, or its token signed by
        a key that has gone.
        """
        if caller.signing_key_id and self._keys is not None and caller.signing_key_id not in self._keys:
            return True
        return self._revocations is not None and self._revocations.cover(caller)

    def _honour_less(self) -> None:
        self._verified.clear()
        for listener in self._listeners:
            try:
                listener()
            except Exception as error:  # noqa: BLE001 - one listener's trouble is not the next one's
                get_logger().error("revocation_listener_failed", exc_info=error)

    def known(self, token: bytes) -> Caller | None:
        """Return who is calling, if this token was verified before and is still good; None says nothing."""
        fingerprint = _fingerprint(token)
        caller = self._verified.get(fingerprint)
        if caller is None:
            return None
        if self._clock() >= caller.expires_at + LEEWAY_SECONDS:
            del self._verified[fingerprint]
            return None
        self._verified.move_to_end(fingerprint)
        return caller

    async def verify(self, token: str) -> Caller:
        """Return who is calling.

        Raises:
            Unauthenticated: the token is not honoured; says why.
            Unavailable: the issuer has not been reached once since the start, so that nothing can be judged.
        """
        encoded = token.encode("utf-8", "replace")
        known = self.known(encoded)
        if known is not None:
            return known
        try:
            caller = await self._read(token)
        except UntimelyError as error:
            why = [] if self.clock_agrees else [self._agreement.said(self._audience, "the Secrets Manager")]
            raise self._refusal(" ".join([str(error), *why])) from None
        except TokenError as error:
            raise self._refusal(str(error)) from None
        if self.revoked(caller):
            raise self._refusal("The token has been revoked.")
        self._verified[_fingerprint(encoded)] = caller
        while len(self._verified) > self._max_cached:
            self._verified.popitem(last=False)
        return caller

    def _refusal(self, reason: str) -> Unauthenticated:
        challenge = f'Bearer realm="{self._audience}", error="invalid_token", error_description="{reason}"'
        return Unauthenticated(reason, headers={"WWW-Authenticate": challenge})

    async def _read(self, token: str) -> Caller:
        try:
            return self._read_with_held_keys(token)
        except UnknownKeyError:
            await self._refetch_for_unknown_key()
        if not self.able:
            raise Unavailable("Tokens cannot be verified yet: the Secrets Manager has not been reached.")
        return self._read_with_held_keys(token)

    def _read_with_held_keys(self, token: str) -> Caller:
        usable = self._keys if self._keys is not None and self._revocations is not None else {}
        return read_token(token, usable.get, issuer=self._issuer, audience=self._audience, now=self._clock())

    async def _refetch_for_unknown_key(self) -> None:
        refetch = asyncio.create_task(self._refetch())
        self._refetching.add(refetch)
        refetch.add_done_callback(self._refetching.discard)
        # Whoever waits no longer does not cut it off for the others.
        await asyncio.wait([refetch], timeout=None if self.able else PATIENCE_SECONDS)

    async def _refetch(self) -> None:
        asked_at = self._monotonic()
        # Whoever waits here while another fetches has what that one brings.
        async with self._fetching_keys:
            if self._is_due(self._keys_tried_at, asked_at):
                await self._fetch_keys()
        if self._revocations is not None:
            return
        async with self._fetching_revocations:
            if self._revocations is None and self._is_due(self._revocations_tried_at, asked_at):
                await self._fetch_revocations()

    def _is_due(self, tried_at: float, asked_at: float) -> bool:
        return tried_at < asked_at and self._monotonic() - tried_at >= UNKNOWN_KEY_SECONDS

    async def refresh_keys(self) -> None:
        """Fetch the signing keys; what is held stays if that fails."""
        async with self._fetching_keys:
            await self._fetch_keys()

    async def _fetch_keys(self) -> None:
        self._keys_tried_at = self._monotonic()
        try:
            keys = read_keys(await self._source.jwks())
        except Exception as error:  # noqa: BLE001 - whatever the source raises, the held keys stay
            if self._keys_current or self._keys is None:
                get_logger().warning("signing_keys_not_fetched", error=type(error).__name__)
            self._keys_current = False
            return
        self._keys_current = True
        fingerprints = frozenset((kid, key.public_bytes_raw()) for kid, key in keys.items())
        gone = self._key_ids - fingerprints
        self._keys, self._key_ids = keys, fingerprints
        self._became_able.set()
        if gone:
            # A key that has gone takes its tokens with it.
            self._honour_less()

    async def refresh_revocations(self) -> None:
        """Fetch the revocations; those held stay if that fails. One fetch serves all who asked before it
        began.
        """
        self._revocation_tickets += 1
        ticket = self._revocation_tickets
        async with self._fetching_revocations:
            if self._revocations_seen >= ticket:
                return
            covers = self._revocation_tickets
            if await self._fetch_revocations():
                self._revocations_seen = covers

    async def _fetch_revocations(self) -> bool:
        self._revocations_tried_at = self._monotonic()
        asked = self._clock()
        try:
            fetched = Revocations.read(await self._source.revocations())
        except Exception as error:  # noqa: BLE001 - whatever the source raises, the held ones stay
            if self._revocations_current or self._revocations is None:
                get_logger().warning("revocations_not_fetched", error=type(error).__name__)
            self._revocations_current = False
            return False
        self._revocations_current = True
        self._agreement.heard(fetched.issued_at, asked)
        # Before the first ones no token was honoured, and our own are fresh: to get them anew, the Secrets
        # Manager would have to be there still.
        changed = self._revocations is not None and fetched != self._revocations
        self._revocations = fetched
        self._became_able.set()
        if changed:
            self._honour_less()
        return True

    async def fetch(self) -> None:
        """Fetch both, as far as they have not been had yet.

        Raises:
            Unavailable: tokens cannot be judged yet.
        """
        wanted = []
        if self._keys is None:
            wanted.append(self.refresh_keys())
        if self._revocations is None:
            wanted.append(self.refresh_revocations())
        await asyncio.gather(*wanted)
        if not self.able:
            raise Unavailable("The Secrets Manager has not given its signing keys and revocations yet.")

    async def start(self, wait_seconds: float = START_SECONDS) -> None:
        """Fetch both, waiting at most so long, and go on fetching in the background."""
        # They belong to their event loop, and a test client brings another at each start.
        self._fetching_keys, self._fetching_revocations = asyncio.Lock(), asyncio.Lock()
        self._became_able = asyncio.Event()
        first = [asyncio.create_task(self.refresh_keys()), asyncio.create_task(self.refresh_revocations())]
        self._tasks = [
            *first,
            asyncio.create_task(
                self._repeat(self.refresh_keys, KEYS_SECONDS, lambda: not self._keys_current)
            ),
            asyncio.create_task(
                self._repeat(
                    self.refresh_revocations, REVOCATIONS_SECONDS, lambda: not self._revocations_current
                )
            ),
        ]
        # One that takes longer is not cut off: whoever needs it waits for that one.
        await asyncio.wait(first, timeout=wait_seconds)

    async def _repeat(self, fetch: Callable[[], Any], seconds: float, urgent: Callable[[], bool]) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while True:
            await asyncio.sleep(begun + (min(1.0, seconds) if urgent() else seconds) - loop.time())
            begun = loop.time()
            try:
                await fetch()
            except Exception as error:  # noqa: BLE001 - whatever it is, the next time comes
                get_logger().error("trust_not_refreshed", exc_info=error)

    async def stop(self) -> None:
        """Stop fetching."""
        tasks = [*self._tasks, *self._refetching]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks = []


def _fingerprint(token: bytes) -> bytes:
    # Tokens themselves are not kept.
    return blake2b(token, digest_size=24).digest()

"""The secrets manager as its own issuer.

Tokens, keys, revocations and key exchange without a request to anybody.
"""

import time
from collections.abc import Callable
from typing import Any, Final

from secrets_manager.core import Core

_RENEW_BEFORE: Final = 120.0


class OwnTokens:
    """The secrets manager's own access tokens, one for each audience until it is nearly over."""

    def __init__(self, core: Core, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._core, self._monotonic = core, monotonic
        self._held: dict[str | None, tuple[str, float]] = {}

    async def token(self, audience: str | None = None) -> str:
        """Return a token for a service, or for the platform's three if none is named."""
        token, until = self._held.get(audience, ("", 0.0))
        if self._monotonic() >= until:
            self._core.require_signing()
            issued = self._core.issuance.own(audience)
            token, until = issued.token, self._monotonic() + issued.expires_in - _RENEW_BEFORE
            self._held[audience] = token, until
        return token

    def forget(self, audience: str | None = None) -> None:
        """Make a new one next time; the held one was refused."""
        self._held.pop(audience, None)

    def forget_all(self) -> None:
        """Make new ones next time: keys have changed."""
        self._held.clear()


class OwnKeys:
    """What verifies tokens here."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def jwks(self) -> dict[str, Any]:
        """Return the published keys."""
        self._core.require_open()
        return self._core.signing_keys.jwks()

    async def revocations(self) -> dict[str, Any]:
        """Return the revocations."""
        return await self._core.revocations()


class OwnExchange:
    """X-API-Key at the secrets manager itself."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def exchange(self, api_key: str, client: str = "") -> str:
        """Return a token for the key's identity and this service."""
        self._core.require_open()
        return await self._core.issuance.for_own_use(api_key, client)

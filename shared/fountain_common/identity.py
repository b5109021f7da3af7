"""Who this service is: its API key, and the certificate of the authority that it trusts."""

import asyncio
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from fountain_common.errors import Unauthenticated
from fountain_common.logging import get_logger
from fountain_common.settings import ServiceSettings

POLL_SECONDS = 0.2
SECRETS_DIR = Path("/run/secrets")
API_KEY_FILE = "api-key"
AUTHORITY_FILE = "ca.pem"
_SWARM = {API_KEY_FILE: "fountain_api_key", AUTHORITY_FILE: "fountain_ca"}


class TokenSource(Protocol):
    """Where a service gets its own access tokens."""

    async def token(self, audience: str | None = None) -> str:
        """Return a token for a service, or for the platform's three if none is named."""
        ...

    def forget(self, audience: str | None = None) -> None:
        """Do not answer the held token again; it was refused."""
        ...


class Identity:
    """Reads the API key and the authority from their files, and waits for them: the Secrets Manager may not
    have made them yet.

    Docker and Swarm secrets (`/run/secrets/fountain_api_key` and `fountain_ca`) serve instead where they
    exist.

    Args:
        settings: names the folder.
        secrets_dir: where Docker mounts secrets.
    """

    def __init__(self, settings: ServiceSettings, *, secrets_dir: Path = SECRETS_DIR) -> None:
        self.name = settings.service_name
        self._folder, self._secrets_dir = settings.identity_dir, secrets_dir
        self._held: dict[str, str] = {}
        self._given = False
        self._context: tuple[str, ssl.SSLContext] | None = None

    def __repr__(self) -> str:
        return f"<Identity {self.name}>"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("an identity stays in its process")

    def give(self, api_key: str, authority: str = "") -> None:
        """Hold these instead of what the files say; for a world without files, in tests."""
        self._held = {API_KEY_FILE: api_key, AUTHORITY_FILE: authority}
        self._given = True

    @property
    def missing(self) -> str:
        """The file that is waited for; "" if nothing is."""
        absent = [name for name in _SWARM if not self._held.get(name)]
        return "" if self._given or not absent else str(self._folder / absent[0])

    async def api_key(self) -> str:
        """Return the API key; waits until there is one."""
        return await self._content(API_KEY_FILE)

    async def reread(self) -> bool:
        """Read the key's and the authority's files again; tell whether either has changed."""
        if self._given:
            return False
        before = dict(self._held)
        for name in _SWARM:
            content = self._read(name)
            if content:
                self._held[name] = content
        return self._held != before

    async def ssl_context(self) -> ssl.SSLContext:
        """Return the context that trusts our authority and nobody else; waits until there is one."""
        authority = await self._content(AUTHORITY_FILE)
        if self._context is None or self._context[0] != authority:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            context.load_verify_locations(cadata=authority)
            self._context = authority, context
        return self._context[1]

    async def _content(self, name: str) -> str:
        waited = False
        while name not in self._held:
            content = self._read(name)
            if content:
                self._held[name] = content
                break
            if not waited:
                waited = True
                get_logger().info("waiting_for_identity", file=name, folder=str(self._folder))
            await asyncio.sleep(POLL_SECONDS)
        return self._held[name]

    def _read(self, name: str) -> str:
        for path in (self._secrets_dir / _SWARM[name], self._folder / name):
            try:
                content = path.read_text(encoding="ascii").strip()
            except (FileNotFoundError, NotADirectoryError):
                continue
            except (OSError, UnicodeDecodeError) as error:
                get_logger().error("identity_file_not_readable", file=str(path), error=type(error).__name__)
                continue
            if content:
                return content
        return ""


class Issuer(Protocol):
    """Issues tokens."""

    async def issue(self, api_key: str, audience: str | None) -> tuple[str, float]:
        """Return a token and the seconds that it lives.

        Raises:
            Unauthenticated: the key is not honoured.
            Unavailable: nobody answers.
        """
        ...


class ApiKeyTokenSource:
    """Gets tokens with the identity's API key, holds each until it is near its end, and asks once however
    many want one.

    Args:
        identity: whose key.
        issuer: the Secrets Manager.
        monotonic: seconds.
    """

    def __init__(
        self, identity: Identity, issuer: Issuer, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._identity, self._issuer, self._monotonic = identity, issuer, monotonic
        self._tokens: dict[str | None, tuple[str, float]] = {}
        self._locks: dict[str | None, asyncio.Lock] = {}

    def __repr__(self) -> str:
        return f"<ApiKeyTokenSource of {self._identity.name}>"

    async def token(self, audience: str | None = None) -> str:
        """Return a token for the audience.

        Raises:
            Unauthenticated: our key is not honoured.
            Unavailable: the Secrets Manager does not answer.
        """
        token, until = self._tokens.get(audience, ("", 0.0))
        if self._monotonic() < until:
            return token
        async with self._locks.setdefault(audience, asyncio.Lock()):
            token, until = self._tokens.get(audience, ("", 0.0))
            if self._monotonic() < until:
                return token
            token, lives = await self._issue(audience)
            # A fifth of its life before its end, at most a minute, so that it does not end on the way.
            self._tokens[audience] = token, self._monotonic() + lives - min(60.0, lives / 5)
            return token

    def forget(self, audience: str | None = None) -> None:
        """Do not answer the held token for this audience again; it was refused."""
        self._tokens.pop(audience, None)

    def forget_all(self) -> None:
        """Do not answer any held token again; our identity's roles or keys have changed."""
        self._tokens.clear()

    async def _issue(self, audience: str | None) -> tuple[str, float]:
        key = await self._identity.api_key()
        try:
            return await self._issuer.issue(key, audience)
        except Unauthenticated:
            if await self._identity.reread():
                return await self._issuer.issue(await self._identity.api_key(), audience)
            raise

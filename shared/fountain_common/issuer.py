"""The one way to the Secrets Manager.

Nothing goes out before the peer's certificate has verified for the name `secrets-manager` against our own
authority, whatever address lookup gave. The client is used for nothing else: its connections are pooled by
address alone, and one that was made without that check must never be picked up for a secret.
"""

import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2

from fountain_common.connections import Connections
from fountain_common.errors import NotFound, TooManyRequests, Unauthenticated, Unavailable
from fountain_common.identity import Identity
from fountain_common.logging import get_logger
from fountain_common.requests import outgoing_headers, plain_address

NAME = "secrets-manager"
API_KEY_TYPE = "urn:fountain:params:token-type:api-key"
EXCHANGE_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
_AWAY = "The Secrets Manager is not reachable."

Locate = Callable[[], Awaitable[str]]


class IssuerClient:
    """Speaks to the Secrets Manager, and to nobody who cannot prove to be it.

    Args:
        identity: holds the authority that is trusted.
        connections: makes the client.
        locate: answers where lookup says that it is.
        failed: is told an address that did not answer, so that the next `locate` gives another one.
    """

    def __init__(
        self,
        identity: Identity,
        connections: Connections,
        locate: Locate,
        failed: Callable[[str], None] = lambda url: None,
    ) -> None:
        self._identity, self._connections = identity, connections
        self._locate, self._failed = locate, failed
        self._client: httpx2.AsyncClient | None = None
        self._context: ssl.SSLContext | None = None

    def __repr__(self) -> str:
        return "<IssuerClient>"

    async def request(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, **options: Any
    ) -> httpx2.Response:
        """Send a request; answers whatever status comes back.

        A connection that could not be made is tried at a second address, or with a re-read authority.

        Raises:
            Unavailable: nobody who is the Secrets Manager answers.
        """
        for attempt in range(2):
            try:
                address = await self._locate()
            except (NotFound, Unavailable):
                raise Unavailable(_AWAY) from None
            if not address.startswith("https://"):
                get_logger().error("secrets_manager_address_refused", address=address)
                self._failed(address)
                raise Unavailable(_AWAY)
            client = await self._verified_client()
            try:
                return await client.request(
                    method,
                    address + path,
                    headers={**outgoing_headers(), **(headers or {})},
                    extensions={"sni_hostname": NAME},
                    **options,
                )
            except httpx2.TransportError as error:
                self._failed(address)
                if _is_certificate_error(error):
                    get_logger().error("secrets_manager_certificate_refused", address=address)
                    await self._identity.reread()
                if attempt or not _nothing_was_sent(error, method):
                    raise Unavailable(_AWAY) from None
        raise Unavailable(_AWAY)

    async def _verified_client(self) -> httpx2.AsyncClient:
        context = None if self._connections.transport else await self._identity.ssl_context()
        if self._client is None or context is not self._context:
            # Nobody comes in between: of several who find another authority, one makes the client.
            before, self._context = self._client, context
            client = self._client = self._connections.client(context)
            if before is not None:
                await before.aclose()
            return client
        return self._client

    async def issue(self, api_key: str, audience: str | None) -> tuple[str, float]:
        """Return an access token for an API key, and the seconds that it lives; see `identity.Issuer`."""
        form = {
            "grant_type": "client_credentials",
            "client_id": self._identity.name,
            "client_secret": api_key,
        }
        if audience is not None:
            form["resource"] = audience
        return _token_of(await self.request("POST", "/auth/token", data=form))

    async def exchange(
        self, api_key: str, *, through_edge: bool = False, client: str = ""
    ) -> tuple[str, float]:
        """Return a token for somebody else's API key and this service (RFC 8693); see
        `api_keys.ExchangeAtIssuer`.
        """
        form = {
            "grant_type": EXCHANGE_GRANT,
            "subject_token": api_key,
            "subject_token_type": API_KEY_TYPE,
            "resource": self._identity.name,
            "client_id": self._identity.name,
        }
        if through_edge:
            # Our own request comes from inside: only we know where theirs came from.
            form["through_edge"] = "true"
        if address := plain_address(client):
            form["shown_from"] = address
        for last in (False, True):
            secret = await self._identity.api_key()
            response = await self.request("POST", "/auth/token", data={**form, "client_secret": secret})
            if _error_of(response) != "invalid_client":
                return _token_of(response)
            # It is our own key that is not honoured: that says nothing about theirs.
            if last or not await self._identity.reread():
                break
        raise Unavailable("API keys cannot be verified: this service's own key is not valid.")

    async def jwks(self) -> dict[str, Any]:
        """Return the signing keys."""
        return await self._document("/.well-known/jwks.json")

    async def revocations(self) -> dict[str, Any]:
        """Return the revocations."""
        return await self._document("/.well-known/revocations")

    async def _document(self, path: str) -> dict[str, Any]:
        response = await self.request("GET", path)
        if response.status_code != 200:
            raise Unavailable(f"The Secrets Manager answered {response.status_code}.")
        document = response.json()
        if not isinstance(document, dict):
            raise Unavailable("The Secrets Manager answered with something other than an object.")
        return document

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None


def _token_of(response: httpx2.Response) -> tuple[str, float]:
    if response.status_code == 200:
        answer = response.json()
        return str(answer["access_token"]), float(answer["expires_in"])
    if response.status_code == 429:
        raise TooManyRequests(
            "The Secrets Manager asks to try again later.",
            headers={"Retry-After": response.headers.get("Retry-After", "1")},
        )
    if response.status_code in (400, 401, 403):
        raise Unauthenticated("The Secrets Manager did not accept the API key.")
    raise Unavailable(f"The Secrets Manager answered {response.status_code}.")


def _error_of(response: httpx2.Response) -> str:
    if response.status_code not in (400, 401):
        return ""
    try:
        return str(response.json().get("error", ""))
    except (ValueError, AttributeError):
        return ""


def _is_certificate_error(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return "CERTIFICATE_VERIFY_FAILED" in str(error)


def _nothing_was_sent(error: httpx2.TransportError, method: str) -> bool:
    return method == "GET" or isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout)

"""The platform's HTTP interfaces, as a command uses them: tokens, problems, pages."""

import time
from collections.abc import Callable, Collection, Iterator
from typing import Any, Self

import httpx2

from fountain_cli.exits import DENIED, REFUSED, UNAVAILABLE, CommandError, of_http

ISSUER = "secrets-manager"
_PLATFORM = (ISSUER, "notification", "gateway-lookup")
_PAGE = 200
# A token is not used so shortly before its end; one that does not say when it ends is kept for minutes.
_EARLY_SECONDS, _UNSAID_SECONDS = 30.0, 300.0


class Api:
    """Calls services as one identity.

    Args:
        key: the identity's API key; it is sent to the issuer alone, to exchange it for tokens.
        open_client: answers a client of a service by its name.
        clock: monotonic seconds; a command that follows something outlives its tokens.
    """

    def __init__(
        self,
        key: str,
        open_client: Callable[[str], httpx2.Client],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._key, self._clock = key, clock
        self._open = open_client
        self._clients: dict[str, httpx2.Client] = {}
        self._tokens: dict[str | None, tuple[str, float]] = {}

    def __repr__(self) -> str:
        return "Api(key=**********)"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients.values():
            client.close()

    def client(self, service: str) -> httpx2.Client:
        """Return the client of a service, without credentials."""
        if service not in self._clients:
            self._clients[service] = self._open(service)
        return self._clients[service]

    def token(self, service: str | None = None) -> str:
        """Return an access token for a service (RFC 8707); for the platform's services if none is named.

        Raises:
            CommandError: the issuer refused, or does not answer.
        """
        resource = None if service is None or service in _PLATFORM else service
        token, ends = self._tokens.get(resource, ("", 0.0))
        if not token or self._clock() > ends:
            asked = self._clock()
            form = {"grant_type": "client_credentials", "client_secret": self._key}
            if resource:
                form["resource"] = resource
            answer = self._send(ISSUER, "POST", "/auth/token", data=form)
            if answer.status_code != 200:
                raise refused(answer, "The Secrets Manager gave no token")
            given = _document(answer, ISSUER)
            token = str(given["access_token"])
            ends = asked + float(given.get("expires_in", _UNSAID_SECONDS)) - _EARLY_SECONDS
            self._tokens[resource] = token, ends
        return token

    def request(self, service: str, method: str, path: str, **options: Any) -> httpx2.Response:
        """Send a request with a token; any answer is given back as it is."""
        headers = {**options.pop("headers", {}), "Authorization": f"Bearer {self.token(service)}"}
        return self._send(service, method, path, headers=headers, **options)

    def call(
        self, service: str, method: str, path: str, *, for_good: Collection[int] = (), **options: Any
    ) -> Any:
        """Send a request with a token and return the JSON of a success, None for an empty one.

        Args:
            service, method, path, options: the request.
            for_good: HTTP statuses that are for good here, where they mean elsewhere that it is not now.

        Raises:
            CommandError: the answer is a problem; the message is its detail.
        """
        answer = self.request(service, method, path, **options)
        if not answer.is_success:
            error = refused(answer, f"{service} refused")
            if answer.status_code in for_good:
                error.status = REFUSED
            raise error
        return _document(answer, service) if answer.content else None

    def get(self, service: str, path: str, **params: Any) -> Any:
        """GET; parameters that are None are left out."""
        return self.call(service, "GET", path, params=_given(params))

    def pages(self, service: str, path: str, limit: int, **params: Any) -> Iterator[dict[str, Any]]:
        """Return at most `limit` items of a list, page by page."""
        cursor: str | None = None
        while limit > 0:
            page = self.get(service, path, limit=min(limit, _PAGE), cursor=cursor, **params)
            yield from page["items"][:limit]
            limit -= len(page["items"])
            cursor = page.get("next")
            if cursor is None or not page["items"]:
                return

    def _send(self, service: str, method: str, path: str, **options: Any) -> httpx2.Response:
        try:
            return self.client(service).request(method, path, **options)
        except httpx2.HTTPError as error:
            hint = ""
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                hint = "\nIf its certificates are its own CA's, name that CA's file in FOUNTAIN_CA_FILE."
            raise CommandError(f"{service} does not answer: {error}{hint}", UNAVAILABLE) from None


def _document(answer: httpx2.Response, service: str) -> Any:
    try:
        return answer.json()
    except ValueError:
        raise CommandError(
            f"What answers for {service} is not the platform: {answer.url} gave no JSON.", UNAVAILABLE
        ) from None


def _given(params: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}


def refused(answer: httpx2.Response, what: str) -> CommandError:
    """Return the error for a problem (RFC 9457), an OAuth error (RFC 6749) or any other failure."""
    try:
        body = answer.json()
    except ValueError:
        body = {}
    body = body if isinstance(body, dict) else {}
    detail = body.get("detail") or body.get("error_description") or body.get("title") or body.get("error")
    for one in body.get("errors") or []:
        detail = f"{detail}\n  {'.'.join(map(str, one.get('loc', [])))}: {one.get('msg')}"
    status = of_http(answer.status_code)
    if body.get("error") == "invalid_client":
        status, detail = DENIED, f"{detail or 'the key is refused.'} Store another with: fountain login"
    return CommandError(f"{what} ({answer.status_code}): {detail or answer.reason_phrase}", status)

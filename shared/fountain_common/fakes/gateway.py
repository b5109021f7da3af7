"""A gateway in memory, for tests."""

import secrets
from hashlib import sha256
from typing import Any

import httpx2
import orjson

from fountain_common.fakes.tokens import TokenMaker


class FakeGateway:
    """Answers lookups and takes registrations.

    Attributes:
        instances: what it was told, by service and instance id, with the body of the last registration.
        requests: methods and paths, in order.
        down: nobody answers.
    """

    def __init__(self, tokens: TokenMaker) -> None:
        self._tokens = tokens
        self._urls: dict[str, dict[int, str]] = {}
        self._leases: dict[tuple[str, str], str] = {}
        self.instances: dict[tuple[str, str], dict[str, Any]] = {}
        self.requests: list[tuple[str, str]] = []
        self.down = False
        self.add("secrets-manager", "https://secrets-manager:8000")
        self.add("notification", "http://notification:8000")

    def add(self, service: str, *urls: str, first: int = 0) -> None:
        """Have a service be found at these addresses, instead of where it was.

        Args:
            service: its name.
            urls: of its instances.
            first: the number of the first instance; others than before are processes that were started since.
        """
        self._urls[service] = dict(enumerate(urls, first))

    def restart(self) -> None:
        """Forget all leases."""
        self._leases.clear()
        self.instances.clear()

    def handle(self, request: httpx2.Request) -> httpx2.Response:
        """Return a request."""
        if self.down:
            raise httpx2.ConnectError("connection refused", request=request)
        path = request.url.path
        self.requests.append((request.method, path))
        parts = path.strip("/").split("/")
        if parts[0] == "lookup" and len(parts) == 2:
            return self._lookup(request, parts[1])
        if parts[0] == "registry" and len(parts) == 4:
            return self._register(request, parts[1], parts[3])
        return _problem(404)

    def _lookup(self, request: httpx2.Request, service: str) -> httpx2.Response:
        if (
            service != "secrets-manager"
            and self._tokens.subject_of(request.headers.get("authorization")) is None
        ):
            return _problem(401)
        urls = self._urls.get(service, {})
        if not urls:
            return _problem(404)
        instances = [
            {"instance_id": f"{n:032x}", "url": url, "version": "1", "status": "up"}
            for n, url in urls.items()
        ]
        body = orjson.dumps({"service_name": service, "url": instances[0]["url"], "instances": instances})
        etag = f'"{sha256(body).hexdigest()[:16]}"'
        if request.headers.get("if-none-match") == etag:
            return httpx2.Response(304, headers={"ETag": etag})
        return httpx2.Response(200, content=body, headers={"ETag": etag, "Content-Type": "application/json"})

    def _register(self, request: httpx2.Request, service: str, instance_id: str) -> httpx2.Response:
        if self._tokens.subject_of(request.headers.get("authorization")) != service:
            return _problem(403)
        key = service, instance_id
        lease = request.headers.get("x-fountain-lease")
        if key in self._leases and lease != self._leases[key]:
            return _problem(409)
        if key not in self._leases and lease is not None:
            return _problem(404)
        if request.method == "DELETE":
            self._leases.pop(key, None)
            self.instances.pop(key, None)
            return httpx2.Response(204)
        body = orjson.loads(request.content)
        self.instances[key] = body
        answer: dict[str, Any] = {
            "service_name": service,
            "instance_id": instance_id,
            "lease_seconds": 30,
            "renew_seconds": 10,
        }
        if key not in self._leases:
            answer["lease_secret"] = self._leases[key] = secrets.token_urlsafe(24)
        return httpx2.Response(200, json=answer)


def _problem(status: int) -> httpx2.Response:
    return httpx2.Response(
        status, json={"title": "problem", "status": status, "detail": f"the fake answers {status}"}
    )

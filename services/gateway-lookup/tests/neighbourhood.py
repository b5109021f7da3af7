"""A gateway on a real port behind a real edge, with services beside it that register over the network."""

import os
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import orjson
import uvicorn
from edge import Edge, Seen, Stub, make_authority, until
from fountain_common.ports import free_port
from fountain_common.testing import ServiceClient, World, instance, token_for

FOLDER = Path(__file__).parent.parent
DOMAIN = "fountain.localhost"
GATEWAY = "gateway-lookup"


class OpenWorld(World):
    """The platform's own services are fakes; everything else is the network."""

    def __init__(self, issuer: str = f"https://secrets-manager.{DOMAIN}") -> None:
        super().__init__(issuer)
        self._network = httpx2.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.host in ("secrets-manager", "notification"):
            return await super().handle_async_request(request)
        return await self._network.handle_async_request(request)


class Neighbour:
    """A service that answers health and OpenAPI, registers, and leaves or dies."""

    def __init__(
        self, gateway_url: str, name: str, title: str, description: str, paths: dict[str, Any] | None = None
    ):
        self.name, self.title, self.description = name, title, description
        self.paths = paths or {}
        self.well, self.degraded = True, []
        self._url = f"{gateway_url}/registry/{name}/instances/{os.urandom(16).hex()}"
        self._secret: str | None = None
        self.stub = Stub(name)
        self.stub.answer = self._answer
        self.stub.start()

    def _answer(self, seen: Seen) -> tuple[int, dict[str, str], bytes]:
        json = {"Content-Type": "application/json"}
        if seen.path == "/health":
            status = "healthy" if self.well else "unhealthy"
            return (
                (200 if self.well else 503),
                json,
                orjson.dumps({"status": status, "degraded": self.degraded}),
            )
        if seen.path == "/metrics":
            return 200, {"Content-Type": "text/plain; version=0.0.4"}, b"fountain_stub 1\n"
        if seen.path == "/openapi.json":
            return 200, json, orjson.dumps(self.openapi())
        return (
            200,
            json,
            orjson.dumps({"service": self.name, "authorization": seen.headers.get("authorization")}),
        )

    def openapi(self) -> dict[str, Any]:
        operation = {
            "operationId": "getThings",
            "summary": "List things",
            "description": "All of them.",
            "tags": ["things"],
            "responses": {"200": {"description": "Things."}},
            "servers": [{"url": "https://evil.example"}],
        }
        return {
            "openapi": "3.0.3",
            "info": {"title": self.title, "version": "1.0.0", "description": self.description},
            "servers": [{"url": "https://evil.example"}],
            "paths": {"/things": {"get": operation}, **self.paths},
            "components": {
                "securitySchemes": {
                    "bearer": {"type": "http", "scheme": "bearer"},
                    "oauth": {
                        "type": "oauth2",
                        "flows": {"password": {"tokenUrl": "https://evil.example/t", "scopes": {}}},
                    },
                }
            },
            "security": [{"bearer": []}],
        }

    def register(self, **body: object) -> None:
        token = token_for(self.name, ["service"], GATEWAY, iss=f"https://secrets-manager.{DOMAIN}")
        said = {
            "port": self.stub.port,
            "version": "1.4.2",
            "title": self.title,
            "description": self.description,
            **body,
        }
        headers = {
            "Authorization": f"Bearer {token}",
            **({"X-Fountain-Lease": self._secret} if self._secret else {}),
        }
        answer = httpx2.put(self._url, json=said, headers=headers, trust_env=False)
        assert answer.status_code == 200, answer.text
        self._secret = answer.json().get("lease_secret") or self._secret

    def leave(self) -> None:
        token = token_for(self.name, ["service"], GATEWAY, iss=f"https://secrets-manager.{DOMAIN}")
        headers = {"Authorization": f"Bearer {token}", "X-Fountain-Lease": self._secret or ""}
        assert httpx2.delete(self._url, headers=headers, trust_env=False).status_code == 204
        self._secret = None


class Neighbourhood:
    """The whole. Environment variables are set by the caller's `setenv`."""

    def __init__(self, stack: ExitStack, setenv: Callable[[str, str], None], folder: Path) -> None:
        self._stack = stack
        self.port = free_port()
        trust, home = folder / "trust", folder / "edge"
        trust.mkdir()
        home.mkdir()
        make_authority(trust)
        self.edge = Edge(
            home,
            environment={
                "FOUNTAIN_TRUST_DIR": str(trust),
                "FOUNTAIN_GATEWAY_LOOKUP_UPSTREAM": f"127.0.0.1:{self.port}",
            },
        )
        values = {
            "RUNTIME": "local",
            "DATA_DIR": folder,
            "IDENTITY_DIR": folder,
            "ISSUER_URL": "https://secrets-manager:8000",
            "PORT": self.port,
            "HTTP_PORT": self.edge.http_port,
            "HTTPS_PORT": self.edge.https_port,
            "PROBE_SECONDS": "0.3",
            "SWEEP_SECONDS": "0.2",
            "LEASE_SECONDS": "600",
        }
        for name, value in values.items():
            setenv(f"FOUNTAIN_{name}", str(value))
        self.url = f"http://127.0.0.1:{self.port}"
        self.site = f"https://{DOMAIN}:{self.edge.https_port}"
        self._serve(instance(FOLDER, OpenWorld(), roles=None))
        self.edge.start()
        self.edge.await_sites()
        stack.callback(self.edge.stop)

    def _serve(self, client: ServiceClient) -> None:
        client.world.enter(client.app.state.platform)
        client.app.state.gateway.registry.pinned["notification"] = "http://notification:8000"
        self.app = client.app
        self._server = uvicorn.Server(
            uvicorn.Config(self.app, host="127.0.0.1", port=self.port, log_level="error", proxy_headers=False)
        )
        thread = threading.Thread(target=self._server.run, daemon=True)
        thread.start()
        until(lambda: self._server.started, "the gateway serves")
        until(lambda: self.app.state.platform.verifier.able, "the gateway can verify tokens")
        self._stack.callback(thread.join, 10)
        self._stack.callback(setattr, self._server, "should_exit", True)

    def neighbour(self, name: str, title: str, description: str, **body: object) -> Neighbour:
        found = Neighbour(self.url, name, title, description)
        self._stack.callback(found.stub.stop)
        found.register(**body)
        return found

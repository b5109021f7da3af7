"""A platform and a runtime in memory, around one service, as the conformance suite sees them."""

import io
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
from conformance_service import things
from fountain_common import logging as fountain_logging
from fountain_common.settings import ServiceSettings
from fountain_common.testing import ServiceClient, World, service_client

NAME = "example-consumer"
Change = Callable[[str, Any], Any]


class Around(httpx2.BaseTransport):
    """One service in a world of fakes, asked as the platform and the runtime are; answers can be changed.

    Attributes:
        change: what becomes of a JSON answer of the platform, by method and path.
        written: what becomes of the log.
        fails_while_rotating: requests during a rotation fail, with no answer at all if it `breaks_off`.
        stays: it does not stop when it should.
    """

    def __init__(self, settings: ServiceSettings, log: io.StringIO, sources: Path) -> None:
        self.change: Change = lambda _, body: body
        self.written: Callable[[str], str] = lambda text: text
        self.fails_while_rotating = self.breaks_off = False
        self.stays = False
        self.settings, self.sources, self._log = settings, sources, log
        self._beat, self._policy = 0, None
        self._rotation: dict[str, Any] = {}
        self.world: World = World(settings.issuer_url)
        self.client = self._started()

    def _started(self) -> ServiceClient:
        settings = self.settings.model_copy(update={"instance_id": secrets.token_hex(16)})
        fountain_logging.configure(settings, self._log)
        client = service_client(things(settings), self.world, roles=None)
        client.__enter__()
        return client

    # --- the service itself -----------------------------------------------------------------------------

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        headers = {name: value for name, value in request.headers.items() if name != "transfer-encoding"}
        path = str(request.url.raw_path, "ascii")
        if path == "/things" and self._rotation and self.fails_while_rotating:
            if self.breaks_off:
                raise httpx2.ReadError("reset", request=request)
            return httpx2.Response(503)
        return self.client.request(
            request.method, path, content=request.read(), headers=headers, follow_redirects=False
        )

    # --- the runtime ------------------------------------------------------------------------------------

    def logs(self, service: str) -> str:
        return self.written(self._log.getvalue())

    def halt(self, service: str) -> None:
        if not self.stays:
            self.client.__exit__(None, None, None)

    def resume(self, service: str) -> None:
        if not self.stays:
            self.client = self._started()

    def wait_healthy(self, service: str) -> None:
        assert self.client.get("/health").status_code == 200

    # --- the platform -----------------------------------------------------------------------------------

    def ask(self, service: str, method: str, path: str, **options: Any) -> httpx2.Response:
        body = self.change(f"{method} {path}", self._answer(service, method, path, options))
        return httpx2.Response(404) if body is None else httpx2.Response(200, json=body)

    def _answer(self, service: str, method: str, path: str, options: dict[str, Any]) -> Any:
        query = options.get("params", {})
        if path == f"/registry/{NAME}":
            self._beat += 1
            leases = [one for of, one in self.world.gateway.instances if of == NAME]
            shared = {
                "identity": NAME,
                "url": "http://here",
                "status": "up",
                "expires_in_seconds": self._beat,
            }
            return {"instances": [{"instance_id": one, **shared} for one in leases]}
        if path == f"/lookup/{NAME}":
            return {"url": "http://here"}
        if path.startswith("/notifications"):
            return self._events(path, query)
        if path.endswith("/rotation-policy"):
            return self._policy_answer(method, options.get("json"))
        if method == "POST" and path == f"/secrets/{NAME}/rotate":
            self._rotation = {"rotation_id": "r1", "version": self.world.secrets_manager.rotate(NAME).version}
            return {**self._rotation, "secrets": self.world.secrets_manager.values(NAME)}
        if path == "/rotations/r1":
            return self._rotation_answer()
        return {"version": 1, "secrets": {}}

    def _events(self, path: str, query: dict[str, Any]) -> Any:
        ours = [event for event in self.world.notification.log if event["subject"] == NAME]
        if path.endswith("/retained"):
            return next((event for event in reversed(ours) if event["type"] == query["type"]), None)
        return {"items": [event for event in ours if event["position"] > query["after"]], "next": None}

    def _policy_answer(self, method: str, body: Any) -> Any:
        if method != "GET":
            self._policy = body
        return self._policy

    def _rotation_answer(self) -> Any:
        manager, version = self.world.secrets_manager, self._rotation["version"]
        holders = [
            {"instance_id": one, "identity": NAME, "accepts": version, "uses": version}
            for one in manager.holders(NAME)
        ]
        return {"state": "retired", "holders": holders}

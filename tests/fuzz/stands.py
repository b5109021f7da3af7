"""Every service in this process, in a world of fakes, and three who call it."""

import itertools
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest
from fountain_common.connections import Connections
from fountain_common.testing import World, instance
from furniture import Maker, furnish, powerless
from starlette.testclient import TestClient
from wire import Answer, Request, ask

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.parent.name for path in ROOT.glob("services/*/main.py"))
CALLERS = ("none", "powerless", "admin")
LOST = "lost"
"""A token that is good nowhere."""


class Stand:
    """A running service.

    Attributes:
        name: its name.
        document: its own OpenAPI description.
        at_edge: whether it is asked through the edge.
    """

    at_edge = False

    def __init__(self, name: str, client: TestClient) -> None:
        self.name, self.client = name, client
        self.document: dict[str, Any] = client.get("/openapi.json").json()

    def furnish(self) -> dict[str, str]:
        """Make what requests will be about, as far as it is not there or was removed, and return it by the
        names of the parameters that name it.
        """
        self.renew_powerless()
        return furnish(self.name, self.maker())

    def renew_powerless(self) -> None:
        """Only where identities are kept can one be taken away."""

    def maker(self) -> Maker:
        """Return who makes things here."""
        headers = self.headers_of("admin")
        return Maker(lambda method, path, body: self.client.request(method, path, json=body, headers=headers))

    def headers_of(self, caller: str) -> dict[str, str]:
        """Return what a caller sends to be known."""
        if caller == "none":
            return {}
        return {"Authorization": f"Bearer {self._token(caller)}"}

    def _token(self, caller: str) -> str:
        roles = ["admin"] if caller == "admin" else []
        return str(self.client.world.tokens.token(caller, roles, self.name))  # type: ignore[attr-defined]

    def ask(self, request: Request) -> Answer:
        """Send a request; the service runs on in its own thread."""
        assert self.client.portal is not None
        return self.client.portal.call(ask, self.client.app, request, self.client.app_state)


class IssuerStand(Stand):
    """The secrets manager, whose tokens are its own."""

    def __init__(self, name: str, client: TestClient, admin_key: str) -> None:
        super().__init__(name, client)
        self._keys = {"admin": admin_key}
        self._keys["powerless"] = powerless(self.maker())

    def renew_powerless(self) -> None:
        """Make somebody who may nothing if there is nobody left."""
        if self._token("powerless") == LOST:
            self._keys["powerless"] = powerless(self.maker())

    def _token(self, caller: str) -> str:
        form = {"grant_type": "client_credentials", "client_secret": self._keys[caller]}
        answer = self.client.post("/auth/token", data=form)
        # Whoever may do everything may have taken away a key: then no token is there to be had.
        return str(answer.json()["access_token"]) if answer.status_code == 200 else LOST


@contextmanager
def stand(name: str) -> Iterator[Stand]:
    """Start a service with an empty folder; `with` stops it."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fountain-fuzz-")))
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for key, value in _environment(folder).items():
            patch.setenv(f"FOUNTAIN_{key}", value)
        patch.chdir(folder)
        patch.syspath_prepend(str(ROOT / "services" / name))
        if name == "secrets-manager":
            # Whoever is made a holder here never acknowledges: not every rotation has to wait for that.
            patch.setattr("secrets_manager.service_secrets.ACTIVATION_SECONDS", 0.1)
            yield _issuer(stack, name, folder)
        else:
            world = World("https://secrets-manager.fountain.localhost")
            client = instance(ROOT / "services" / name, world, roles=None, raise_server_exceptions=False)
            if name == "gateway-lookup":
                # The world's names are not addresses that an instance could register from.
                client.app.state.gateway.registry.pinned["notification"] = "http://notification:8000"  # type: ignore[attr-defined]
            yield Stand(name, stack.enter_context(client))


def _environment(folder: Path) -> dict[str, str]:
    return {
        "RUNTIME": "local",
        "DATA_DIR": str(folder / "data"),
        "IDENTITY_DIR": str(folder / "identity"),
        "IDENTITIES_DIR": str(folder / "identities"),
        "ADMIN_DIR": str(folder / "admin"),
        "TRUST_DIR": str(folder / "trust"),
        "KEK_FILE": str(folder / "kek" / "key-encryption-key"),
        "GATEWAY_URL": "http://gateway-lookup:8000",
        "ISSUER_URL": "https://secrets-manager:8000",
        "PROBE_SECONDS": "3600",
        "VIGIL_SECONDS": "3600",
        "LOG_LEVEL": "ERROR",
    }


def _issuer(stack: ExitStack, name: str, folder: Path) -> Stand:
    spec = spec_from_file_location("main", ROOT / "services" / name / "main.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    app = module.create_app(module.load(module.Settings), Connections(httpx2.MockTransport(_neighbours())))
    client = stack.enter_context(
        TestClient(app, base_url="https://secrets-manager", raise_server_exceptions=False)
    )
    return IssuerStand(name, client, (folder / "admin" / "api-key").read_text().strip())


def _neighbours() -> Any:
    """A gateway and a notification service, as far as the secrets manager speaks to them."""
    numbers = itertools.count(1)

    def answer(request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        if path.startswith("/registry/"):
            return httpx2.Response(200, json={"lease_secret": "s", "lease_seconds": 30, "renew_seconds": 10})
        if path.startswith("/lookup/"):
            url = "http://notification:8000"
            found = {"instance_id": "1", "url": url, "version": "1", "status": "up"}
            return httpx2.Response(
                200, json={"service_name": "notification", "url": url, "instances": [found]}
            )
        if request.method == "GET":
            return httpx2.Response(404, json={})
        if path == "/notifications/batch":
            return httpx2.Response(201, json={"items": []})
        position = next(numbers)
        event = {"specversion": "1.0", "id": str(position), "source": "secrets-manager", "position": position}
        return httpx2.Response(201, json={**event, **orjson.loads(request.content)})

    return answer

"""A gateway in the local runtime, in a world of fakes, and its callers: at 127.0.0.1 or elsewhere."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from fountain_common.testing import ServiceClient, World, instance, wait_until

FOLDER = Path(__file__).parent.parent
INSTANCE = "a" * 32
OTHER = "b" * 32


class Caller:
    """Calls a gateway as one identity."""

    def __init__(self, client: ServiceClient, subject: str, roles: tuple[str, ...]) -> None:
        self.client, self.subject, self.roles = client, subject, roles

    def __call__(self, method: str, path: str, **options: object):
        headers = {**self.client.bearer(self.subject, self.roles), **options.pop("headers", {})}
        return self.client.request(method, path, headers=headers, **options)

    def register(self, name: str, port: int, *rest: str, **said: object):
        """Register, or renew; what a test builds on is there."""
        answer = self.try_to_register(name, port, *rest, **said)
        assert answer.status_code == 200, answer.text
        return answer

    def try_to_register(
        self, name: str, port: int, instance_id: str = INSTANCE, secret: str | None = None, **body: object
    ):
        """Return what comes of it."""
        headers = {"X-Fountain-Lease": secret} if secret else {}
        path = f"/registry/{name}/instances/{instance_id}"
        return self("PUT", path, json={"port": port, "version": "1.0.0", **body}, headers=headers)

    def leave(self, name: str, instance_id: str = INSTANCE, secret: str | None = None):
        headers = {"X-Fountain-Lease": secret} if secret else {}
        return self("DELETE", f"/registry/{name}/instances/{instance_id}", headers=headers)


class Gateways:
    """Starts gateways that share a data folder: one after the other is a restart."""

    def __init__(self, stack: ExitStack, monkeypatch: pytest.MonkeyPatch, data: Path) -> None:
        self._stack, self._monkeypatch = stack, monkeypatch
        self.world = World("https://secrets-manager.fountain.localhost")
        self.settings(
            RUNTIME="local", DATA_DIR=data, IDENTITY_DIR=data, GATEWAY_URL="http://gateway-lookup:8000"
        )
        self.settings(ISSUER_URL="https://secrets-manager:8000")
        # Most instances in these tests are names of ports where nobody is.
        self.settings(VIGIL_SECONDS="600")
        self.settings(HTTP_PORT="8080", HTTPS_PORT="8443", PROBE_SECONDS="60", SWEEP_SECONDS="0.1")

    def settings(self, **values: object) -> None:
        for name, value in values.items():
            self._monkeypatch.setenv(f"FOUNTAIN_{name}", str(value))

    def start(self, peer: str = "127.0.0.1") -> ServiceClient:
        client = instance(FOLDER, self.world, roles=None, client=(peer, 50000))
        # Instances register under the address that they connect from, and the world's names are not
        # addresses.
        client.app.state.gateway.registry.pinned["notification"] = "http://notification:8000"
        self._stack.enter_context(client)
        self._await(client)
        return client

    def _await(self, client: ServiceClient) -> None:
        """Wait until it is on its own map, and can tell who calls: it serves before both."""
        platform = client.app.state.platform
        wait_until(lambda: platform.registrar.registered, "it has registered itself")
        if not self.world.secrets_manager.down:
            wait_until(lambda: platform.verifier.able, "it can verify tokens")

    def stop(self) -> None:
        """Stop all that were started."""
        self._stack.close()


As = Callable[..., Caller]

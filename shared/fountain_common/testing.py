"""What a service's tests use in place of the platform: fakes behind real clients, and no network.

    with service_client(app) as client:
        client.world.secrets_manager.rotate("example-consumer")
        assert client.get("/status").json()["version"] == 2

The service under test is whole: its own client code speaks to the fakes over an HTTP transport. The fakes
are `FakeSecretsManager`, `FakeNotification` and `FakeGateway`; a `World` holds one of each.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, Self

import httpx2
from fastapi import FastAPI
from starlette.testclient import TestClient

from fountain_common.fakes.gateway import FakeGateway
from fountain_common.fakes.notification import FakeNotification
from fountain_common.fakes.secrets_manager import FakeRotation, FakeSecretsManager
from fountain_common.fakes.tokens import ISSUER, TokenMaker
from fountain_common.platform import Platform
from fountain_common.settings_page import misdocumented_settings

__all__ = [
    "FakeClock",
    "FakeGateway",
    "FakeNotification",
    "FakeRotation",
    "FakeSecretsManager",
    "ServiceClient",
    "TokenMaker",
    "World",
    "instance",
    "misdocumented_settings",
    "service_client",
    "token_for",
    "wait_until",
]

_TOKENS = TokenMaker()
_LOOK_SECONDS = 0.05


def token_for(
    subject: str, roles: Iterable[str] = (), audience: str | Iterable[str] = "", **claims: Any
) -> str:
    """Return a token that every `World` honours.

    Args:
        subject: whose.
        roles: such as `["admin"]`.
        audience: the service or services that it is for.
        **claims: more claims, or other values for the usual ones.
    """
    return _TOKENS.token(subject, roles, audience, **claims)


def wait_until(true: Callable[[], object], what: str, seconds: float = 5.0) -> None:
    """Return as soon as it is true.

    Raises:
        AssertionError: it is not within these seconds; says what was waited for.
    """
    left = seconds
    while True:
        began = time.monotonic()
        if true():
            return
        if left <= 0:
            raise AssertionError(f"waited {seconds} s in vain: {what}")
        time.sleep(0.005)
        left -= _counted(time.monotonic() - began)


def _counted(seconds: float) -> float:
    """Return how much of a look's time counts: where one takes long the machine is busy with others, and
    keeps from running what is waited for, too. A quarter does in any case.
    """
    return max(min(seconds, _LOOK_SECONDS), seconds / 4)


class FakeClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Move it."""
        self.now += seconds


class World(httpx2.AsyncBaseTransport):
    """A platform in memory; the transport that takes a client's requests there.

    Attributes:
        secrets_manager, notification, gateway: the fakes.
        issuer: the `iss` of its tokens.
    """

    def __init__(self, issuer: str = ISSUER) -> None:
        self.tokens = TokenMaker(issuer, _TOKENS.key)
        self.notification = FakeNotification(self.tokens)
        self.secrets_manager = FakeSecretsManager(self.tokens, self.notification.emit)
        self.gateway = FakeGateway(self.tokens)
        self.issuer = issuer
        self._others: dict[str, Callable[[httpx2.Request], httpx2.Response]] = {}

    def serve(self, service: str, handler: Callable[[httpx2.Request], httpx2.Response]) -> None:
        """Have another service exist, answered by this function."""
        self._others[service] = handler
        self.gateway.add(service, f"http://{service}:8000")

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Take a request to the fake that its host names."""
        await request.aread()
        # A network gives others a turn, too.
        await asyncio.sleep(0)
        host = request.url.host
        if host == "secrets-manager":
            return self.secrets_manager.handle(request)
        if host == "notification":
            return self.notification.handle(request)
        if host in self._others:
            return self._others[host](request)
        if host in {"gateway-lookup", "127.0.0.1", "localhost"}:
            return self.gateway.handle(request)
        raise httpx2.ConnectError(f"nobody listens at {host}", request=request)

    def enter(self, platform: Platform) -> None:
        """Put this world behind a platform that has not been started."""
        platform.connections.transport = self
        if platform.identity is not None:
            platform.identity.give(self.secrets_manager.key_of(platform.identity.name))


class ServiceClient(TestClient):
    """A client of one service, which runs while the client is entered.

    Attributes:
        world: what is around the service.
        service: its name.
    """

    def __init__(self, app: FastAPI, world: World, roles: Iterable[str] | None, **options: Any) -> None:
        super().__init__(app, **options)
        self.world = world
        self.service: str = app.state.settings.service_name
        self._platform = app.state.platform
        if roles is not None:
            self.headers.update(self.bearer("tester", roles))

    def bearer(
        self, subject: str = "tester", roles: Iterable[str] = ("admin",), **claims: Any
    ) -> dict[str, str]:
        """Return the header of a token for this service."""
        return {"Authorization": f"Bearer {self.world.tokens.token(subject, roles, self.service, **claims)}"}

    def __enter__(self) -> Self:
        """Start the service in its world."""
        if isinstance(self._platform, Platform):
            self.world.enter(self._platform)
        super().__enter__()
        return self


def service_client(
    app: FastAPI, world: World | None = None, *, roles: Iterable[str] | None = ("admin",), **options: Any
) -> ServiceClient:
    """Return a client of a service; `with` starts and stops the service.

    Args:
        app: from `create_service`.
        world: what is around it; a new one if not given.
        roles: of the token that is sent with each request; None sends none.
        **options: as Starlette's TestClient takes them.
    """
    issuer = app.state.settings.issuer_url
    return ServiceClient(app, world if world is not None else World(issuer), roles, **options)


def instance(folder: Path, world: World | None = None, **options: Any) -> ServiceClient:
    """Return a client of a new instance of a service: `main.py` is run anew, as in a process of its own.

    Args:
        folder: the service's, with its `main.py`.
        world: what is around it; instances in the same world are replicas.
        **options: as `service_client` takes them.
    """
    spec = spec_from_file_location("main", folder / "main.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(folder / "main.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return service_client(module.app, world, **options)

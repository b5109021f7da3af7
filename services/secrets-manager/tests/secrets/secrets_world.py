"""A secrets manager's secrets half in one process: real database, keys and audit; callers and time are
told to it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
from fastapi import FastAPI
from fountain_common.app import Alone, create_service
from fountain_common.auth import Caller
from fountain_common.db import Database
from fountain_common.errors import Unauthenticated
from fountain_common.logging import configure
from secrets_manager.audit import Audit
from secrets_manager.holders import Presence
from secrets_manager.kek import FileKey, KeyEncryptionKey
from secrets_manager.keyring_store import open_keyring
from secrets_manager.parts import SecretsParts, build_secrets_parts
from secrets_manager.routes import ROUTERS
from secrets_manager.row_mac import RowMacs
from secrets_manager.settings import Settings
from secrets_manager.steady import SteadyClock

MIGRATIONS = Path(__file__).parents[2] / "secrets_manager" / "migrations"
SERVICE = "notification"


class Clock:
    """Time that passes when a test says so, on a wall clock that a test may set."""

    def __init__(self) -> None:
        self.offset = self.set_ahead = 0.0
        self._began, self._began_monotonic = time.time(), time.monotonic()
        self.steady = SteadyClock(self, self.monotonic)

    def __call__(self) -> float:
        return self._began + self.offset + self.set_ahead

    def monotonic(self) -> float:
        return self._began_monotonic + self.offset

    def advance(self, seconds: float) -> None:
        self.offset += seconds

    def jump(self, seconds: float) -> None:
        """Set the wall clock; no time passes."""
        self.set_ahead += seconds


class Verifier:
    """Takes `subject:role` for a token."""

    def known(self, token: bytes) -> None:
        return None

    async def verify(self, token: str) -> Caller:
        subject, _, role = token.partition(":")
        if not role:
            raise Unauthenticated("no token of these tests")
        return Caller(subject, (role,), subject, "key", "jti", ("secrets-manager",), 0.0, 2e9)


@dataclass
class World:
    """What a test has in its hands."""

    app: FastAPI
    parts: SecretsParts
    db: Database
    clock: Clock
    events: list[dict[str, Any]]
    kek: KeyEncryptionKey
    notification_is_up: bool = True
    tell: Callable[[dict[str, Any]], None] | None = None
    clients: dict[str, httpx2.AsyncClient] = field(default_factory=dict)
    requests: list["asyncio.Task[httpx2.Response]"] = field(default_factory=list)

    def as_(self, token: str) -> httpx2.AsyncClient:
        """A client of this caller."""
        if token not in self.clients:
            transport = httpx2.ASGITransport(self.app)
            headers = {"Authorization": f"Bearer {token}"}
            self.clients[token] = httpx2.AsyncClient(
                transport=transport, base_url="http://sm", headers=headers
            )
        return self.clients[token]

    @property
    def admin(self) -> httpx2.AsyncClient:
        return self.as_("admin:admin")

    @property
    def operator(self) -> httpx2.AsyncClient:
        return self.as_("olga:operator")

    def holder(self, number: int = 1, service: str = SERVICE, identity: str | None = None) -> "HolderClient":
        """An instance of a service."""
        client = self.as_(f"{identity or service}:service")
        return HolderClient(client, service, f"{number:032x}")

    async def create(self, service: str = SERVICE, given: dict[str, str] | None = None) -> dict[str, Any]:
        answer = await self.admin.post(f"/secrets/{service}", json=given)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def policy(self, service: str = SERVICE, **fields: Any) -> None:
        answer = await self.admin.put(f"/secrets/{service}/rotation-policy", json=fields)
        assert answer.status_code == 200, answer.text

    async def begin_rotation(self, service: str = SERVICE, token: str = "admin:admin") -> dict[str, Any]:
        """Begin a rotation that holders keep staged, and return it as it is; the request itself waits on."""
        before = {one["rotation_id"] for one in await self.rotations(service)}
        self.requests.append(asyncio.create_task(self.as_(token).post(f"/secrets/{service}/rotate")))
        async with asyncio.timeout(10):
            while True:
                for one in await self.rotations(service):
                    if one["rotation_id"] not in before:
                        return one
                await asyncio.sleep(0.002)

    async def rotations(self, service: str) -> list[dict[str, Any]]:
        answer = await self.operator.get("/rotations", params={"service_name": service})
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    async def rotation(self, rotation_id: str) -> dict[str, Any]:
        return (await self.operator.get(f"/rotations/{rotation_id}")).json()

    async def pass_time(self, seconds: float) -> None:
        """Let time pass and the worker look once."""
        await self.db.write(lambda _session: None)  # what was committed before has been heard of by then
        await asyncio.sleep(0.01)
        self.clock.advance(seconds)
        await self.parts.driver.look()


@dataclass
class HolderClient:
    """What an instance does with the API."""

    client: httpx2.AsyncClient
    service: str
    instance_id: str
    etag: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        return {"X-Fountain-Instance": self.instance_id}

    async def read(self, *, conditional: bool = False) -> httpx2.Response:
        headers = {**self.headers, **({"If-None-Match": self.etag} if conditional and self.etag else {})}
        answer = await self.client.get(f"/secrets/{self.service}", headers=headers)
        self.etag = answer.headers.get("etag", self.etag)
        return answer

    async def ack(self, version: int, phase: str) -> httpx2.Response:
        path = f"/secrets/{self.service}/versions/{version}/ack"
        return await self.client.post(path, json={"phase": phase}, headers=self.headers)

    async def leave(self) -> httpx2.Response:
        return await self.client.delete(f"/secrets/{self.service}/holders/{self.instance_id}")


@asynccontextmanager
async def world(
    folder: Path,
    *,
    clock: Clock | None = None,
    ttl: float = 90.0,
    url: str | None = None,
    kek: KeyEncryptionKey | None = None,
    opened: Callable[["World"], None] | None = None,
) -> AsyncIterator[World]:
    """Start on the state in `folder`, as the service does."""
    clock = clock or Clock()
    log = (folder.parent / f"{folder.name}.log").open("a")
    settings = Settings(data_dir=folder, kek_file=folder / "kek", identities_dir=folder)
    async with AsyncExitStack() as stack:
        stack.callback(log.close)
        configure(settings, log)
        platform = Alone(settings)
        platform.verifier, platform.api_keys, platform.settings = Verifier(), None, settings  # type: ignore[attr-defined]
        registry = platform.metrics.registry
        db = Database(url or f"sqlite:///{folder}/secrets_manager.db")
        stack.push_async_callback(db.close)
        kek = kek or FileKey(settings.kek_file)
        keyring = await open_keyring(db, kek, MIGRATIONS)
        audit = Audit(db, keyring.derive("audit"), registry=registry, clock=clock)
        stack.push_async_callback(audit.close)
        parts = build_secrets_parts(
            settings=settings,
            db=db,
            keyring=keyring,
            kek=kek,
            audit=audit,
            row_macs=RowMacs(keyring.derive("row-mac")),
            sealed=(),
            clock=clock.steady,
            wall=clock,
            presence=Presence(ttl, clock.monotonic),
        )
        app = create_service(
            settings, title="SM", description="d", version="0", routers=ROUTERS, platform=platform
        )
        app.state.secrets_parts = parts
        made = World(app, parts, db, clock, [], kek)

        async def publish(
            kind: str, subject: str | None, data: Any, *, idempotency_key: str, recipient: str | None
        ) -> SimpleNamespace:
            if not made.notification_is_up:
                raise ConnectionError("notification is down")
            event = {"type": kind, "subject": subject, "data": data, "id": idempotency_key}
            made.events.append(event)
            if made.tell is not None:
                made.tell(event)
            return SimpleNamespace()

        if opened is not None:
            opened(made)
        await stack.enter_async_context(parts.running(publish, registry))
        yield made
        for request in made.requests:
            request.cancel()
        await asyncio.gather(*made.requests, return_exceptions=True)
        for client in made.clients.values():
            await client.aclose()

"""A secrets manager in this process.

A real database, real keys, and neighbours who answer without a network.
"""

import importlib
import io
import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from fountain_common.connections import Connections
from fountain_common.logging import configure
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from openbao_server import OpenBao, serving
from secrets_manager import admin
from secrets_manager.settings import Settings

# On a busy machine an example takes as long as it takes.
hypothesis_settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("patient")

PASSPHRASE = "correct horse battery staple"


@dataclass
class Neighbours:
    """A gateway and a notification service, as far as the secrets manager speaks to them."""

    notification_is_away: bool = False
    events: list[dict[str, Any]] = field(default_factory=list)
    published: dict[str, dict[str, Any]] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    async def answer(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        if path.startswith("/registry/"):
            return httpx2.Response(200, json={"lease_secret": "s", "lease_seconds": 30, "renew_seconds": 10})
        if path.startswith("/lookup/"):
            url = "http://notification.test:8000"
            instance = {"instance_id": "1", "url": url, "version": "1", "status": "up"}
            return httpx2.Response(
                200, json={"service_name": path.rsplit("/", 1)[1], "url": url, "instances": [instance]}
            )
        if self.notification_is_away:
            raise httpx2.ConnectError("away")
        if path == "/notifications/retained":
            found = [event for event in self.events if event["type"] == request.url.params["type"]]
            return httpx2.Response(200, json=found[-1]) if found else httpx2.Response(404, json={})
        event = orjson.loads(await request.aread())
        if path == "/notifications/batch":
            for one in event:
                self.published.setdefault(one["id"], self._stored(one))
            return httpx2.Response(201, json={})
        key = request.headers.get("idempotency-key", f"none-{len(self.events)}")
        if key not in self.published:  # what is sent again is stored once
            self.published[key] = self._stored(event)
        return httpx2.Response(201, json=self.published[key])

    def _stored(self, event: dict[str, Any]) -> dict[str, Any]:
        position = next(self.numbers)
        event = {
            "specversion": "1.0",
            "id": str(position),
            "source": "secrets-manager",
            "time": "2026-01-01T00:00:00Z",
            "datacontenttype": "application/json",
            "position": position,
            **event,
        }
        self.events.append(event)
        return event

    def types(self) -> list[str]:
        return [event["type"] for event in self.events]


@dataclass
class Running:
    """A running secrets manager and how to speak to it."""

    settings: Settings
    app: FastAPI
    client: TestClient
    neighbours: Neighbours

    def key_of(self, name: str) -> str:
        folder = self.settings.admin_dir if name == "admin" else self.settings.identities_dir / name
        return (folder / "api-key").read_text().strip()

    def ask_token(self, key: str, **form: Any) -> httpx2.Response:
        headers = form.pop("headers", {})
        form = {"grant_type": "client_credentials", "client_secret": key, **form}
        return self.client.post("/auth/token", data=form, headers=headers)

    def token(self, key: str, **form: Any) -> str:
        response = self.ask_token(key, **form)
        assert response.status_code == 200, response.text
        return response.json()["access_token"]

    def as_(self, name: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(self.key_of(name))}"}

    def person(self, name: str, *roles: str, **key: Any) -> str:
        """Make a person with these roles, and return a key."""
        admin = self.as_("admin")
        body = {"name": name, "roles": list(roles)}
        created = self.client.post("/identities", json=body, headers=admin)
        assert created.status_code == 201, created.text
        made = self.client.post(f"/identities/{name}/keys", json=key, headers=admin)
        assert made.status_code == 201, made.text
        return made.json()["api_key"]

    @property
    def database(self) -> Path:
        return self.settings.data_dir / "secrets_manager.db"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


def settings_in(folder: Path, **changes: Any) -> Settings:
    return Settings(
        _env_file=None,
        runtime="local",
        data_dir=folder / "data",
        identities_dir=folder / "identities",
        admin_dir=folder / "admin",
        trust_dir=folder / "trust",
        kek_file=folder / "kek" / "key-encryption-key",
        gateway_url="http://gateway.test:8000",
        **changes,
    )


@pytest.fixture(scope="session")
def openbao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    """A real OpenBao server; a test names a key of its own there."""
    with serving(tmp_path_factory.mktemp("openbao")) as server:
        yield server


@pytest.fixture
def log(settings: Settings) -> Iterator[io.StringIO]:
    """What is logged, whatever another test has set up."""
    stream = io.StringIO()
    configure(settings, stream)
    yield stream
    configure(settings)


@pytest.fixture
def start() -> Iterator[Callable[..., Running]]:
    """Start secrets managers; each is stopped at the end of the test, or by `running.client.__exit__`."""
    main = importlib.import_module("main")
    with ExitStack() as stack:

        def begin(settings: Settings, neighbours: Neighbours | None = None) -> Running:
            neighbours = neighbours or Neighbours()
            app = main.create_app(settings, Connections(httpx2.MockTransport(neighbours.answer)))
            client = stack.enter_context(TestClient(app, base_url="https://secrets-manager"))
            return Running(settings, app, client, neighbours)

        yield begin


@pytest.fixture
def running(start: Callable[..., Running], settings: Settings) -> Running:
    return start(settings)


@pytest.fixture
def command(monkeypatch, capsys):
    """Run a command as in a shell: settings from the environment, the passphrase on standard input."""

    def run(settings, *arguments, passphrase=PASSPHRASE):
        for name in ("data_dir", "identities_dir", "admin_dir", "trust_dir", "kek_file"):
            monkeypatch.setenv(f"FOUNTAIN_{name.upper()}", str(getattr(settings, name)))
        monkeypatch.setattr("sys.stdin", io.StringIO(passphrase + "\n"))
        code = admin.main([str(argument) for argument in arguments])
        output = capsys.readouterr()
        return code, output.out + output.err

    return run

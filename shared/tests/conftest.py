"""What the tests of several modules need."""

import io
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from clones import FAKE, Engine
from fountain_common import logging as fountain_logging
from fountain_common.db import Database, new_metadata
from fountain_common.outbox import outbox_table
from fountain_common.platform import Platform, create_platform
from fountain_common.secrets import Secrets
from fountain_common.settings import ServiceSettings
from fountain_common.testing import World
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

# On a busy machine an example takes as long as it takes.
hypothesis_settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("patient")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def settings(tmp_path: Path) -> ServiceSettings:
    return ServiceSettings(_env_file=None, service_name="orders", data_dir=tmp_path, runtime="local")


@pytest.fixture
def log(settings: ServiceSettings) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Answers what has been logged, as objects."""
    stream = io.StringIO()
    fountain_logging.configure(settings, stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    fountain_logging.configure(settings)


@pytest.fixture
async def db(tmp_path: Path) -> Any:
    database = Database(f"sqlite:///{tmp_path}/test.db")
    yield database
    await database.close()


@pytest.fixture
def outbox(db: Database) -> Database:
    """A database with the table of the outbox."""
    metadata = new_metadata()
    outbox_table(metadata)
    metadata.create_all(db.engine)
    return db


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def platform(settings: ServiceSettings, world: World) -> AsyncIterator[Platform]:
    platform = create_platform(settings)
    world.enter(platform)
    await platform.start()
    yield platform
    await platform.stop()


@pytest.fixture
def secrets(platform: Platform) -> Secrets:
    assert platform.secrets is not None
    return platform.secrets


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """A Docker engine that starts nothing, and remembers what it was told."""
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -S {FAKE} "$@"\n')
    program.chmod(0o755)
    others = {"COMPOSE_PROJECT_NAME", "PYTHON_IMAGE", "CADDY_IMAGE", "PROMETHEUS_IMAGE", "DOCKER_HOST"}
    for name in [name for name in os.environ if name in others or name.startswith("FOUNTAIN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_DOCKER", str(tmp_path / "docker.json"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    monkeypatch.setenv("FOUNTAIN_HTTP_PORT", "18080")
    monkeypatch.setenv("FOUNTAIN_HTTPS_PORT", "18443")
    monkeypatch.setattr("fountain_cli.stack.edge.has_certificates", lambda *_: True)
    return Engine(tmp_path / "docker.json")


@pytest.fixture
def clone(tmp_path: Path) -> Callable[[str], Path]:
    """Makes a clone of the repository, as far as commands look at one, by its folder's name."""

    def made(name: str) -> Path:
        root = tmp_path / name
        (root / "services").mkdir(parents=True)
        (root / "scripts").mkdir()
        (root / "compose.yaml").touch()
        script = root / "scripts" / "build-secrets.sh"
        script.write_text("#!/bin/sh\n")
        script.chmod(0o755)
        return root

    return made

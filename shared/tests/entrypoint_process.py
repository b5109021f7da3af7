"""A service in a process of its own, started by its entrypoint."""

import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fountain_common.ports import free_port

SHARED = Path(__file__).parents[1]
SETTINGS = """
from fountain_common.settings import ServiceSettings


class Settings(ServiceSettings):
    service_name: str = "orders"
"""
ENTRYPOINT = """
from own_settings import Settings
from fountain_common.entrypoint import run

if __name__ == "__main__":
    run(Settings, "{application}"{more})
"""
MAIN = """
import asyncio
from typing import Any
from fastapi.responses import StreamingResponse
from fountain_common.app import create_service
from fountain_common.auth import requires
from fountain_common.platform import create_platform
from fountain_common.settings import load
from own_settings import Settings


class Keys:
    async def jwks(self) -> dict[str, Any]:
        raise ConnectionError

    revocations = jwks


settings = load(Settings)
platform = create_platform(settings, identity=None, directory=None, events=None, registry=None, keys=Keys())
app = create_service(
    settings, title="Orders", description="Takes orders.", version="1.0.0", platform=platform,
    public_paths=("/slow", "/forever"), stream_paths=("/forever",),
)


@app.get("/slow", summary="Take a second more than the service")
async def slow() -> dict[str, str]:
    "Take a second more than the service has been told to stop."
    await platform.stopping.wait()
    await asyncio.sleep(1)
    return {"instance": settings.instance_id}


@app.get("/forever", summary="Never end")
async def forever() -> StreamingResponse:
    "Never end."
    async def tick():
        while True:
            yield b"tick"
            await asyncio.sleep(0.1)
    return StreamingResponse(tick())
"""


class Process:
    """A service in a process of its own."""

    def __init__(
        self, folder: Path, more: str = "", application: str = "main:app", **environment: str
    ) -> None:
        (folder / "own_settings.py").write_text(SETTINGS)
        (folder / "main.py").write_text(MAIN)
        (folder / "entrypoint.py").write_text(ENTRYPOINT.format(more=more, application=application))
        self.port = free_port()
        settings = {
            "FOUNTAIN_HOST": "127.0.0.1",
            "FOUNTAIN_PORT": str(self.port),
            "FOUNTAIN_RUNTIME": "local",
            "FOUNTAIN_IDENTITY_DIR": str(folder / "identity"),
            "FOUNTAIN_DATA_DIR": str(folder),
            "FOUNTAIN_GATEWAY_URL": f"http://127.0.0.1:{free_port()}",
            "PYTHONPATH": str(SHARED),
            **environment,
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("FOUNTAIN_")}
        self.process = subprocess.Popen(
            [sys.executable, "entrypoint.py"],
            cwd=folder,
            env={**inherited, **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.output = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.output.splitlines() if line.startswith("{")]

    def get(self, path: str, timeout: float = 20) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=timeout) as answer:
            return bytes(answer.read())

    def until(self, true: Callable[[], object], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, self.output
            time.sleep(0.02)

    def until_healthy(self) -> None:
        def healthy() -> bool:
            try:
                return b"healthy" in self.get("/health")
            except OSError:
                return False

        self.until(healthy)

    def ended(self, seconds: float = 60) -> int:
        code = self.process.wait(seconds)
        self._reader.join(5)
        return code


Start = Callable[..., Process]


@contextmanager
def processes(folder: Path) -> Iterator[Start]:
    """Answers what starts a service in this folder; whatever it started ends with it."""
    started: list[Process] = []

    def begin(**options: str) -> Process:
        started.append(Process(folder, **options))
        return started[-1]

    try:
        yield begin
    finally:
        for one in started:
            one.process.kill()
            one.process.wait()

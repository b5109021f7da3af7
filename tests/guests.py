"""A service of ten lines that nobody configured, beside a platform: as a process, or as a container."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import httpx2
from fountain_cli.stack import ComposeStack, Stack
from fountain_cli.stack.layout import repository
from fountain_common.ports import free_port
from polling import poll_until

NAME = "guest-book"
FOLDER = Path(__file__).parent / "newcomer"
_START_SECONDS, _END_SECONDS = 30, 20


class Guest(Protocol):
    """One instance of it."""

    def ask_to_stop(self) -> None:
        """Tell it to stop in good order, and do not wait."""

    def kill(self) -> None:
        """Kill it; nobody starts it again."""

    def ended(self) -> int:
        """Wait until it has ended, and return its exit status."""

    def remove(self) -> None:
        """End it in good order, however it is, and leave nothing behind."""


def start(stack: Stack, folder: Path) -> Guest:
    """Start it, and answer once it is healthy.

    Args:
        stack: beside which.
        folder: with `identity`, where its key is; takes its log.
    """
    guest, url = (
        _in_container(stack, folder) if isinstance(stack, ComposeStack) else _as_process(stack, folder)
    )
    poll_until(lambda: httpx2.get(f"{url()}/health").status_code == 200, f"{NAME} is healthy", _START_SECONDS)
    return guest


class _Process:
    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def ask_to_stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self._process.kill()

    def ended(self) -> int:
        return self._process.wait(_END_SECONDS)

    def remove(self) -> None:
        self.ask_to_stop()
        self.ended()


def _as_process(stack: Stack, folder: Path) -> tuple[Guest, Callable[[], str]]:
    port = free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("FOUNTAIN_")},
        "PYTHONPATH": str(repository() / "shared"),
        "FOUNTAIN_RUNTIME": "local",
        "FOUNTAIN_HOST": "127.0.0.1",
        "FOUNTAIN_PORT": str(port),
        "FOUNTAIN_GATEWAY_URL": stack.address("gateway-lookup"),
        "FOUNTAIN_IDENTITY_DIR": str(folder / "identity"),
        "FOUNTAIN_DATA_DIR": str(folder),
    }
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "entrypoint.py"], cwd=FOLDER, env=environment, stdout=log, stderr=log
        )
    return _Process(process), lambda: f"http://127.0.0.1:{port}"


class _Container:
    def __init__(self, container: str) -> None:
        self._id = container

    def ask_to_stop(self) -> None:
        _docker("kill", "--signal", "TERM", self._id)

    def kill(self) -> None:
        _docker("kill", self._id)

    def ended(self) -> int:
        return int(_docker("wait", self._id))

    def remove(self) -> None:
        _docker("stop", "--time", str(_END_SECONDS), self._id)
        _docker("rm", "--force", self._id)

    def url(self) -> str:
        template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        return f"http://{_docker('inspect', '--format', template, self._id)}:8000"


def _in_container(stack: ComposeStack, folder: Path) -> tuple[Guest, Callable[[], str]]:
    # Any service's image has the library: what is mounted over it is what nobody built.
    options = {
        # Of the platform, so that it goes with it if the run is killed before its end.
        "label": [
            f"com.docker.compose.project={stack.project}",
            "com.docker.compose.service=guest",
            "com.docker.compose.oneoff=False",
            "com.docker.compose.container-number=1",
            "com.docker.compose.config-hash=guest",
        ],
        "network": _docker("network", "ls", "--quiet", "--filter", f"name=^{stack.project}$"),
        "workdir": "/srv/guest",
        "volume": [f"{FOLDER}:/srv/guest:ro", f"{folder / 'identity'}:/run/fountain/identity:ro"],
        "env": [
            "FOUNTAIN_RUNTIME=docker",
            "FOUNTAIN_GATEWAY_URL=http://gateway-lookup:8000",
            "PYTHONPATH=/opt/fountain",
        ],
    }
    words = [
        f"--{name}={value}"
        for name, values in options.items()
        for value in (values if isinstance(values, list) else [values])
    ]
    image = f"{stack.project}-example-consumer"
    container = _Container(_docker("run", "--detach", "--init", *words, image, "python", "entrypoint.py"))
    return container, container.url


def _docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()

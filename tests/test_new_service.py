"""The walk-through of docs/add-a-service.md, typed as it stands into a copy of the repository."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fountain_cli.stack import LocalStack
from fountain_cli.stack.layout import repository, services
from fountain_cli.stack.ports import Ports
from steward import Steward

NAME = "stories"
PAGE = "docs/add-a-service.md"
# What a URL and the tokens of the platform do not show: the sources, the logs, and what was not asked for.
OUT_OF_REACH = {
    "layout",
    "deregistered when stopped",
    "says that it stops",
    "logs as JSON",
    "requests in the log",
    "logs repeat nothing",
    "rotation honoured",
    "values stay secret",
}
_LEFT_OUT = (".git", ".venv", ".fountain", "__pycache__", ".hypothesis")
_COMMAND_SECONDS = 240


def commands() -> list[str]:
    """Every command of the page, in its order."""
    blocks = re.findall(r"```console\n(.*?)```", (repository() / PAGE).read_text(), re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line]


@pytest.fixture
def copy(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """The repository as a newcomer has it, with its tools."""
    if request.config.getoption("--runtime") == ["docker"]:
        pytest.skip("typed once, with local processes")
    root = tmp_path / "repository"
    shutil.copytree(repository(), root, ignore=shutil.ignore_patterns(*_LEFT_OUT))
    (root / ".venv").symlink_to(repository() / ".venv")
    return root


@pytest.fixture
def typed(copy: Path, tmp_path: Path) -> dict[str, str]:
    """The environment of the commands: this copy, local processes, ports that are free."""
    ports = Ports.free(services(copy))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FOUNTAIN_")}
    return {
        **kept,
        "PYTHONPATH": str(copy / "shared"),
        "FOUNTAIN_ROOT": str(copy),
        "FOUNTAIN_RUNTIME": "local",
        "FOUNTAIN_STATE_DIR": str(tmp_path / "state"),
        "FOUNTAIN_HTTP_PORT": str(ports.http),
        "FOUNTAIN_HTTPS_PORT": str(ports.https),
        **{
            f"FOUNTAIN_PORT_{name.upper().replace('-', '_')}": str(port)
            for name, port in ports.services.items()
        },
    }


def printed(command: str, copy: Path, typed: dict[str, str]) -> str:
    """What a command prints when it is typed; it has to succeed."""
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=copy,
        env=typed,
        capture_output=True,
        text=True,
        timeout=_COMMAND_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_walk_through_leads_to_a_service_at_its_own_name(
    copy: Path, typed: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = time.monotonic()
    try:
        for command in commands():
            printed(command, copy, typed)
            sys.stdout.write(f"{time.monotonic() - began:6.1f} s  {command}\n")
        for name, value in typed.items():
            monkeypatch.setenv(name, value)
        steward = Steward(LocalStack(tmp_path / "state", root=copy))
        page = steward.at(NAME).get("/")
        assert page.status_code == 200
        assert "Stories" in page.text
        catalog = steward.ask("GET", "gateway-lookup", "/catalog").json()["services"]
        assert NAME in {entry["service_name"] for entry in catalog}
        made = steward.ask("POST", NAME, "/items", json={"title": "First"})
        assert made.status_code == 201, made.text
        url = steward.stack.address(NAME)
        report = json.loads(printed(f".venv/bin/fountain check {url} --as {NAME} --json", copy, typed))[url]
        assert report["findings"] == []
        assert {one["title"] for one in report["not_checked"]} == OUT_OF_REACH
    finally:
        subprocess.run(
            ["bash", "-c", ".venv/bin/fountain down"], cwd=copy, env=typed, check=False, timeout=60
        )

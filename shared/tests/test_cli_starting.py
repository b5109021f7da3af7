"""A start that cannot succeed ends at once, with a sentence instead of a wait."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fountain_cli.stack import LocalStack, Ports, StackError
from fountain_cli.stack.layout import services
from fountain_cli.stack.supervisor import hopeless


def repository(root: Path, entrypoint: str = "") -> Path:
    for name in ("gateway-lookup", "secrets-manager", "notification"):
        (root / "services" / name).mkdir(parents=True)
        (root / "services" / name / "entrypoint.py").write_text(entrypoint)
    (root / "compose.yaml").touch()
    return root


@pytest.mark.parametrize("runtime", ["docker", "local"])
@pytest.mark.parametrize("file", [".env", "services/gateway-lookup/.env"])
def test_a_secret_in_a_settings_file_is_refused_before_anything_is_started(
    tmp_path: Path, runtime: str, file: str
) -> None:
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n')
    program.chmod(0o755)
    root = repository(tmp_path / "clone")
    (root / file).write_text("FOUNTAIN_SMTP_PASSWORD=swordfish\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FOUNTAIN_")}
    environment |= {
        "FOUNTAIN_ROOT": str(root),
        "FOUNTAIN_RUNTIME": runtime,
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    environment["PATH"] = f"{program.parent}:{environment['PATH']}"
    command = [sys.executable, "-m", "fountain_cli", "up"]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 65, done.stderr
    assert f"In {file}: FOUNTAIN_SMTP_PASSWORD looks like a secret" in done.stderr
    assert "swordfish" not in done.stdout + done.stderr
    assert "Starting" not in done.stderr
    assert not (root / ".fountain").exists()
    asked = (tmp_path / "asked").read_text().splitlines() if (tmp_path / "asked").exists() else []
    assert not [line for line in asked if "up" in line.split()]


@pytest.mark.parametrize(
    "entrypoint",
    [
        "import sys, time; time.sleep(1.5); print('of this start', flush=True); sys.exit(78)",
        "import sys; print('of this start', flush=True); sys.exit(1)",
    ],
)
def test_a_service_that_keeps_exiting_is_not_waited_for(tmp_path: Path, entrypoint: str) -> None:
    root = repository(tmp_path / "clone", entrypoint)
    stack = LocalStack(tmp_path / "state", Ports.free(services(root)), root=root)
    stack.state.make(stack.services)
    (stack.state.logs / "gateway-lookup.log").write_text('{"event": "of another start"}\n')
    began = time.monotonic()
    try:
        with pytest.raises(StackError, match="gateway-lookup keeps exiting") as refused:
            stack.start()
    finally:
        stack.stop()
    assert time.monotonic() - began < 30
    assert "of this start" in str(refused.value)
    assert "of another start" not in str(refused.value)


def test_who_exits_once_or_twice_is_waited_for_and_others_do_not_count() -> None:
    exit_1 = "2026-01-31 12:00:00,000 WARN exited: {} (exit status 1; not expected)\n"
    assert not hopeless(exit_1.format("action") * 2, "action")
    assert hopeless(exit_1.format("action") * 3, "action")
    assert not hopeless(exit_1.format("action-2") * 3, "action")
    assert hopeless(exit_1.format("action").replace("status 1", "status 78"), "action")

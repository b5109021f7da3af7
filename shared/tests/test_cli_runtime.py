"""Which runtime a command means, and what outlived its manager."""

import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from xmlrpc.client import Fault

import pytest
from fountain_cli import trust
from fountain_cli.main import app
from fountain_cli.stack import choice, layout
from fountain_cli.stack.face import StackError
from fountain_cli.stack.leftovers import end_leftovers, leftovers
from fountain_cli.stack.supervisor import Supervisor
from fountain_cli.stack.waiting import wait_until
from supervisor.xmlrpc import Faults
from typer.testing import CliRunner


def test_a_runtime_can_be_forced_and_a_misspelt_one_is_refused() -> None:
    assert choice.forced({}) is None
    assert choice.forced({"FOUNTAIN_RUNTIME": "local"}) == "local"
    with pytest.raises(StackError, match="docker or local"):
        choice.forced({"FOUNTAIN_RUNTIME": "podman"})


@pytest.mark.parametrize(
    ("forced", "containers_alone", "local_runs", "engine", "runtime"),
    [
        (None, False, False, True, "docker"),
        (None, False, False, False, "local"),
        (None, True, False, False, "docker"),
        (None, False, True, True, "local"),
        ("docker", False, True, True, "docker"),
        ("local", False, False, True, "local"),
    ],
)
def test_up_changes_the_platform_that_runs_and_starts_no_second_one_unasked(
    forced: str | None, containers_alone: bool, local_runs: bool, engine: bool, runtime: str
) -> None:
    found = choice.meant(forced, containers_alone=containers_alone, local_runs=local_runs, engine=engine)
    assert found == runtime


def test_what_containers_alone_have_is_not_started_beside_local_processes() -> None:
    with pytest.raises(StackError, match="fountain down"):
        choice.meant(None, containers_alone=True, local_runs=True, engine=True)


@pytest.mark.parametrize("runtime", ["docker", "local"])
@pytest.mark.parametrize(
    ("scale", "status", "says"), [("nosuch=2", 66, "action"), ("notification=2", 65, "one")]
)
def test_what_cannot_be_scaled_is_refused_before_anything_is_started(
    tmp_path: Path, runtime: str, scale: str, status: int, says: str
) -> None:
    environment = {**os.environ, "FOUNTAIN_RUNTIME": runtime, "FOUNTAIN_STATE_DIR": str(tmp_path / "state")}
    environment["PYTHONPATH"] = str(Path(__file__).parents[1])
    command = [sys.executable, "-m", "fountain_cli", "up", "--scale", scale]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, says in done.stderr) == (status, True), done.stderr
    assert "Starting" not in done.stderr
    assert not (tmp_path / "state").exists()


def test_prometheus_runs_beside_containers_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOUNTAIN_RUNTIME", "local")
    with pytest.raises(StackError, match="containers alone"):
        choice.to_start({}, observe=True)


def test_the_repository_is_found_from_a_folder_within(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "services" / "stories").mkdir(parents=True)
    (tmp_path / "compose.yaml").touch()
    monkeypatch.delenv("FOUNTAIN_ROOT", raising=False)
    monkeypatch.chdir(tmp_path / "services" / "stories")
    assert layout.repository() == tmp_path


def test_only_what_can_be_started_is_a_service(tmp_path: Path) -> None:
    (tmp_path / "services" / "stories").mkdir(parents=True)
    (tmp_path / "services" / "stories" / "entrypoint.py").touch()
    (tmp_path / "services" / "draft").mkdir()
    assert [service.name for service in layout.services(tmp_path)] == ["stories"]


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are found by /proc")
def test_processes_that_outlived_their_manager_are_ended_and_others_are_not(tmp_path: Path) -> None:
    script = tmp_path / "entrypoint.py"
    script.write_text("import signal\nsignal.pause()\n")

    def started(state: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, str(script)], env={**os.environ, "FOUNTAIN_STATE_DIR": str(state)}
        )

    ours, other = started(tmp_path / "ours"), started(tmp_path / "other")
    try:
        assert wait_until(lambda: leftovers(tmp_path / "ours") == [ours.pid], 30)
        end_leftovers(tmp_path / "ours", timeout=0)
        assert ours.wait(timeout=30) < 0
        assert other.poll() is None
    finally:
        for process in (ours, other):
            process.kill()
            process.wait()


@pytest.mark.parametrize(("code", "refused"), [(Faults.NOT_RUNNING, False), (Faults.BAD_NAME, True)])
def test_a_process_that_has_ended_by_itself_meanwhile_need_not_be_stopped(
    tmp_path: Path, code: int, refused: bool
) -> None:
    class Ended(Supervisor):
        def call(self, method: str, *arguments: object) -> None:
            raise Fault(code, str(arguments))

    manager = Ended(tmp_path / "socket")
    with pytest.raises(Fault) if refused else nullcontext():
        manager.tell_to_stop("caddy")


def test_the_ways_to_trust_a_ca_are_known_or_said_to_be_unknown(tmp_path: Path) -> None:
    [command] = trust.commands(tmp_path / "ca.crt", "darwin")
    assert command[0] == "security"
    assert command[-1] == str(tmp_path / "ca.crt")


def test_every_command_says_what_it_does() -> None:
    for words in ([], ["secrets"], ["rotations"], ["events"], ["subscriptions"], ["identities"], ["audit"]):
        shown = CliRunner().invoke(app, [*words, "--help"])
        assert shown.exit_code == 0


def test_without_a_platform_the_command_says_how_to_start_one(tmp_path: Path) -> None:
    environment = {**os.environ, "FOUNTAIN_RUNTIME": "local", "FOUNTAIN_STATE_DIR": str(tmp_path)}
    environment["PYTHONPATH"] = str(Path(__file__).parents[1])
    command = [sys.executable, "-m", "fountain_cli", "token"]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 69
    assert "make up" in done.stderr
    assert done.stdout == ""

"""Two clones on one machine: the second leaves the first one's keys and data alone."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fountain_cli.main import app
from fountain_cli.stack import ComposeStack, StackError, edge
from fountain_cli.stack.face import Foreign
from fountain_cli.stack.project import project_name

FAKE = Path(__file__).with_name("fake_docker.py")
PROJECT, FOLDER = "com.docker.compose.project", "com.docker.compose.project.working_dir"


class Engine:
    """The fake one, and what it has."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._write({"containers": [], "volumes": {}, "calls": []})

    def _write(self, state: dict[str, Any]) -> None:
        self._file.write_text(json.dumps(state))

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._file.read_text())
        return found

    def told(self, word: str) -> list[list[str]]:
        return [call for call in self.state()["calls"] if word in call]

    def change(self, **parts: Any) -> None:
        self._write({**self.state(), **parts})


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -S {FAKE} "$@"\n')
    program.chmod(0o755)
    for name in ("COMPOSE_PROJECT_NAME", "FOUNTAIN_STATE_DIR", "FOUNTAIN_RUNTIME", "DOCKER_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_DOCKER", str(tmp_path / "docker.json"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    monkeypatch.setenv("FOUNTAIN_HTTP_PORT", "18080")
    monkeypatch.setenv("FOUNTAIN_HTTPS_PORT", "18443")
    monkeypatch.setattr(edge, "has_certificates", lambda *_: True)
    return Engine(tmp_path / "docker.json")


@pytest.fixture
def clone(tmp_path: Path) -> Callable[[str], Path]:
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


def typed(root: Path, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fountain_cli", *words],
        env={**os.environ, "FOUNTAIN_ROOT": str(root)}, input=given, check=False, capture_output=True,
        text=True, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize("words", [("up",), ("down",), ("down", "--remove"), ("token",), ("rekey",)])
@pytest.mark.parametrize("stopped", [False, True])
def test_the_platform_of_another_clone_is_left_alone(
    engine: Engine, clone: Callable[[str], Path], words: tuple[str, ...], stopped: bool
) -> None:
    first, second = clone("first"), clone("second")
    ComposeStack(root=first).start()
    if stopped:
        ComposeStack(root=first).stop()
    before = engine.state()
    done = typed(second, *words)
    if stopped and words in (("down",), ("token",)):
        assert done.returncode == 69, done.stderr  # nothing runs
    else:
        assert done.returncode == 75, done.stderr
        assert str(first) in done.stderr
        assert "COMPOSE_PROJECT_NAME" in done.stderr
        assert "Starting" not in done.stderr
    after = engine.state()
    assert [after[part] for part in ("containers", "volumes")] == [
        before[part] for part in ("containers", "volumes")
    ]
    assert not engine.told("exec")
    ComposeStack(root=first).start()


def test_with_a_name_of_its_own_each_clone_has_its_own(
    engine: Engine, clone: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = clone("first"), clone("second")
    (second / ".env").write_text("COMPOSE_PROJECT_NAME=fountain-second\n")
    ComposeStack(root=first).start()
    ComposeStack(root=second).start()
    ComposeStack(root=second).stop(remove=True)
    assert [one[FOLDER] for one in engine.state()["containers"]] == [str(first)]
    assert set(engine.state()["volumes"]) == {"fountainai_kek", "fountainai_folder"}
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", "fountain-third")
    assert project_name(second) == "fountain-third"


@pytest.mark.parametrize("containers", [True, False])
def test_what_was_there_before_there_were_marks_goes_on(
    engine: Engine, clone: Callable[[str], Path], containers: bool
) -> None:
    first, second = clone("first"), clone("second")
    labels = {PROJECT: "fountainai"}
    running = [{**labels, FOLDER: str(first)}] if containers else []
    engine.change(containers=running, volumes={"fountainai_kek": labels})
    if containers:
        with pytest.raises(Foreign, match="first"):
            ComposeStack(root=second).start()
    ComposeStack(root=first).stop()
    with pytest.raises(Foreign, match="first"):
        ComposeStack(root=second).start()


def test_a_moved_clone_goes_on_and_says_so(
    engine: Engine, clone: Callable[[str], Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    old = clone("old")
    ComposeStack(root=old).start()
    ComposeStack(root=old).stop()
    old.rename(tmp_path / "new")
    # Docker makes the folders again from which a container mounts something.
    (old / "services").mkdir(parents=True)
    ComposeStack(root=tmp_path / "new").start()
    assert f"Going on with the keys and data of the clone in {old}" in capfd.readouterr().err
    # From now on they are its own, also where somebody clones into the old folder again.
    shutil.rmtree(old)
    again = clone("old")
    ComposeStack(root=tmp_path / "new").start()
    assert "Going on" not in capfd.readouterr().err
    with pytest.raises(Foreign, match="new"):
        ComposeStack(root=again).start()


@pytest.mark.parametrize("word", ["up", "down"])
@pytest.mark.parametrize(
    ("given", "words", "done"),
    [("", (), False), ("n\n", (), False), ("y\n", (), True), ("", ("--yes",), True)],
)
def test_what_runs_is_taken_from_a_clone_that_cannot_be_seen_if_somebody_agrees(
    engine: Engine, clone: Callable[[str], Path], word: str, given: str, words: tuple[str, ...], done: bool
) -> None:
    old = clone("old")
    ComposeStack(root=old).start()
    shutil.rmtree(old)
    before = len(engine.told(word))
    answer = typed(clone("new"), word, *words, given=given)
    assert (len(engine.told(word)) > before) is done, answer.stderr
    assert words or str(old) in answer.stderr


def test_nobody_else_reaches_into_what_runs(engine: Engine, clone: Callable[[str], Path]) -> None:
    old = clone("old")
    ComposeStack(root=old).start()
    shutil.rmtree(old)
    with pytest.raises(Foreign, match="old"):
        ComposeStack(root=clone("new")).errand("recover-admin")


def test_a_link_to_the_folder_is_the_same_clone(
    engine: Engine, clone: Callable[[str], Path], tmp_path: Path
) -> None:
    ComposeStack(root=clone("first")).start()
    (tmp_path / "link").symlink_to(tmp_path / "first")
    ComposeStack(root=tmp_path / "link").start()


@pytest.mark.parametrize(
    ("given", "words", "removed"),
    [("", (), False), ("n\n", (), False), ("y\n", (), True), ("", ("--yes",), True)],
)
def test_keys_of_a_clone_that_is_no_more_are_removed_if_somebody_agrees(
    engine: Engine, clone: Callable[[str], Path], given: str, words: tuple[str, ...], removed: bool
) -> None:
    old = clone("old")
    ComposeStack(root=old).start()
    shutil.rmtree(old)
    done = typed(clone("new"), "down", "--remove", *words, given=given)
    assert (done.returncode == 0) is removed, done.stderr
    assert (engine.state()["volumes"] == {}) is removed
    assert words or str(old) in done.stderr


def test_a_mark_alone_is_nobodys(engine: Engine, clone: Callable[[str], Path]) -> None:
    first, second = clone("first"), clone("second")
    ComposeStack(root=first).start()
    engine.change(
        containers=[], volumes={k: v for k, v in engine.state()["volumes"].items() if "kek" not in k}
    )
    ComposeStack(root=second).start()
    with pytest.raises(Foreign, match="second"):
        ComposeStack(root=first).start()


def test_a_project_of_ones_own_is_not_shared_with_clones(
    engine: Engine, clone: Callable[[str], Path]
) -> None:
    """As the journeys and the chaos runs have one: whatever a run that was killed has left is theirs."""
    first, second = clone("first"), clone("second")
    ComposeStack("fountain-e2e", root=first).start()
    ComposeStack("fountain-e2e", root=second).stop(remove=True)
    assert engine.state()["volumes"] == {}
    ComposeStack("fountain-e2e", root=second).start()


def test_an_engine_that_does_not_answer_is_said(engine: Engine, clone: Callable[[str], Path]) -> None:
    root = clone("first")
    Path(os.environ["FAKE_DOCKER"]).unlink()
    with pytest.raises(StackError, match="failed"):
        ComposeStack(root=root).start()


def test_the_ca_of_the_edge_is_one_file_below_the_state_and_goes_with_it(
    engine: Engine, clone: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    root = clone("first")
    found = [ComposeStack(root=root).ca() for _ in range(3)]
    assert set(found) == {root / ".fountain" / "run" / "fountainai-edge-ca.crt"}
    assert "CERTIFICATE" in found[0].read_text()
    assert found[0].stat().st_mode & 0o077 == 0
    ComposeStack(root=root).stop(remove=True)
    assert not found[0].exists()
    assert [*scratch.iterdir(), *(root / ".fountain" / "run").iterdir()] == []


@pytest.mark.parametrize(
    ("words", "fails", "shown"), [((), False, False), (("--verbose",), False, True), ((), True, True)]
)
def test_how_images_are_built_is_shown_where_it_fails_or_is_asked_for(
    engine: Engine, clone: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str], words: tuple[str, ...], fails: bool, shown: bool,
) -> None:  # fmt: skip
    root = clone("first")
    (root / "services" / "stories").mkdir()
    (root / "services" / "stories" / "entrypoint.py").touch()
    monkeypatch.setenv("FOUNTAIN_ROOT", str(root))
    if fails:
        engine.change(fails="a long story of BuildKit\n")
    with pytest.raises(SystemExit) as ended:
        app(["up", *words])
    said = capfd.readouterr()
    assert ended.value.code == (1 if fails else 0)
    assert ("a long story of BuildKit" in said.out + said.err) is shown
    if fails:
        assert "`docker compose up` failed" in said.err
    else:
        assert f"stories   {ComposeStack(root=root).url('stories')}/docs" in said.out  # a new service too

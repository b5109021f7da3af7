"""Two clones on one machine: the second leaves the first one's keys and data alone."""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from clones import FOLDER, PROJECT, Engine, typed
from fountain_cli.main import app
from fountain_cli.stack import ComposeStack, StackError
from fountain_cli.stack.face import Foreign, Lost
from fountain_cli.stack.origin import Origin
from fountain_cli.stack.project import project_name


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


def test_nobody_reaches_into_what_a_clone_that_cannot_be_seen_has_started(
    engine: Engine, clone: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    old = clone("old")
    ComposeStack(root=old).start()
    shutil.rmtree(old)
    monkeypatch.setenv("FOUNTAIN_ROOT", str(clone("new")))
    for words in ("token", "logs", "secrets rotate stories", "rekey"):
        with pytest.raises(SystemExit) as ended:
            app(words.split())
        said = capfd.readouterr().err
        assert (ended.value.code, str(old) in said, "fountain up" in said) == (75, True, True), words
    assert not [word for word in ("exec", "run", "logs") if engine.told(word)]


def test_a_clone_that_takes_over_may_reach_into_it_from_then_on(
    engine: Engine, clone: Callable[[str], Path]
) -> None:
    old = clone("old")
    ComposeStack(root=old).start()
    shutil.rmtree(old)
    new = ComposeStack(root=clone("new"))
    with pytest.raises(Lost, match="old"):
        new.errand("recover-admin")
    new.agreed = True
    new.start()
    assert ComposeStack(root=new.root).errand("recover-admin").command


def test_of_two_that_start_first_at_once_one_is_refused(engine: Engine, clone: Callable[[str], Path]) -> None:
    first, second = (Origin("fountainai", root, root / "id") for root in (clone("first"), clone("second")))
    assert [first.require_own(), second.require_own()] == [None, None]
    first.claim()
    with pytest.raises(Foreign, match="first"):
        second.claim()
    first.claim()
    assert engine.state()["volumes"]["fountainai_folder"]["fountain.folder"] == str(first.root)


def test_a_clone_in_a_folder_of_the_same_name_on_another_machine_is_another(
    engine: Engine, clone: Callable[[str], Path]
) -> None:
    root = clone("first")
    ComposeStack(root=root).start()
    ComposeStack(root=root).require_agreed()
    # Another machine has a folder of that name, and an id of its own.
    (root / ".fountain" / "clone").unlink()
    stack = ComposeStack(root=root)
    with pytest.raises(Lost, match="another machine"):
        stack.start()
    stack.agreed = True
    stack.start()
    assert engine.told("--force-recreate")
    ComposeStack(root=root).require_agreed()


def test_where_a_disk_has_no_hard_links_a_clone_has_an_id_all_the_same(
    engine: Engine, clone: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError("no hard links here")

    monkeypatch.setattr("os.link", refused)
    root = clone("first")
    for _ in range(2):
        Origin("fountainai", root, root / "id").claim()
    assert [file.name for file in root.iterdir() if file.name.startswith("id")] == ["id"]
    assert engine.state()["volumes"]["fountainai_folder"]["fountain.clone"] == (root / "id").read_text()


def test_another_state_folder_makes_no_other_clone_of_it(
    engine: Engine, clone: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = clone("first")
    ComposeStack(root=root).start()
    monkeypatch.setenv("FOUNTAIN_STATE_DIR", str(root / "elsewhere"))
    assert ComposeStack(root=root).require_agreed() is None


def test_a_link_to_the_folder_is_the_same_clone(
    engine: Engine, clone: Callable[[str], Path], tmp_path: Path
) -> None:
    ComposeStack(root=clone("first")).start()
    (tmp_path / "link").symlink_to(tmp_path / "first")
    ComposeStack(root=tmp_path / "link").start()


@pytest.mark.parametrize(
    ("own", "running", "given", "words", "removed"),
    [
        (True, True, "", (), False),
        (False, True, "n\n", (), False),
        (True, False, "y\n", (), True),
        (False, False, "", ("--yes",), True),
    ],
)
def test_keys_and_data_are_removed_if_somebody_agrees(
    engine: Engine, clone: Callable[[str], Path],
    own: bool, running: bool, given: str, words: tuple[str, ...], removed: bool,
) -> None:  # fmt: skip
    old = root = clone("old")
    ComposeStack(root=old).start()
    if not running:
        ComposeStack(root=old).stop()
    if not own:
        shutil.rmtree(old)
        root = clone("new")
    done = typed(root, "down", "--remove", *words, given=given)
    assert (done.returncode == 0) is removed, done.stderr
    assert (engine.state()["volumes"] == {}) is removed
    assert words or "all keys and data of the Compose project fountainai" in done.stderr
    assert words or own or str(old) in done.stderr
    assert given or words or "--yes" in done.stderr


def test_a_mark_counts_until_its_clone_is_gone_or_has_taken_it_away(
    engine: Engine, clone: Callable[[str], Path]
) -> None:
    """It is made before anything else, so that whoever starts next finds it."""
    first, second = clone("first"), clone("second")
    ComposeStack(root=first).start()
    engine.change(
        containers=[], volumes={k: v for k, v in engine.state()["volumes"].items() if "kek" not in k}
    )
    with pytest.raises(Foreign, match="first"):
        ComposeStack(root=second).start()
    ComposeStack(root=first).stop(remove=True)
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

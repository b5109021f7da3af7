"""Every test of the repository is in one suite of `make test`."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
import test as suites

ROOT = Path(__file__).parents[2]


def covered(suite: suites.Suite) -> set[Path]:
    ignored = {ROOT / one.removeprefix("--ignore=") for one in suite.arguments if one.startswith("--ignore=")}
    found: set[Path] = set()
    for one in suite.arguments:
        path = ROOT / one
        if path.is_file():
            found.add(path)
        elif path.is_dir():
            found |= set(path.rglob("test_*.py"))
    return found - ignored


def test_every_test_file_is_in_one_suite(monkeypatch: pytest.MonkeyPatch) -> None:
    [shared, *_] = journeys(monkeypatch, engine=False)
    together = {path for path in covered(shared) if "fuzz" not in path.parts}
    others = [covered(suite) for suite in [*suites.unit_suites(), suites.APART]]
    counted = [path for one in (*others, together) for path in one]
    assert len(counted) == len(set(counted))
    own = {"tests"}
    files = {
        path
        for path in ROOT.rglob("test_*.py")
        if not {".venv", "template", ".fountain", "build"} & set(path.parts) and own & set(path.parts)
    }
    assert files - set(counted) == set()


def test_those_in_a_browser_come_first() -> None:
    names = [suite.name for suite in suites.unit_suites()]
    in_a_browser = [name.endswith("in a browser") for name in names]
    assert any(in_a_browser)
    assert in_a_browser == sorted(in_a_browser, reverse=True)


def journeys(
    monkeypatch: pytest.MonkeyPatch,
    *,
    engine: bool,
    thorough: bool = False,
    kinds: Sequence[str] = ("local", "docker"),
) -> list[suites.Suite]:
    """What is handed to pytest on a machine with an engine, or without."""
    ran: list[suites.Suite] = []

    def note(suite: suites.Suite) -> suites.Result:
        ran.append(suite)
        return suites.Result(suite.name, "ok", 0)

    monkeypatch.setattr(suites, "engine_answers", lambda: engine)
    monkeypatch.setattr(suites, "run", note)
    suites.run_journeys(kinds, thorough=thorough)
    return ran


def test_where_no_engine_answers_the_local_journeys_leave_nothing_to_the_containers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    [local] = journeys(monkeypatch, engine=False)
    assert local.arguments[:3] == ("tests", "--runtime=local", "--thorough")


@pytest.mark.parametrize("thorough", [False, True])
def test_with_an_engine_each_long_journey_is_run_once_unless_both_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, thorough: bool
) -> None:
    both = journeys(monkeypatch, engine=True, thorough=thorough)
    assert [one.arguments[1] for one in both] == ["--runtime=local", "--runtime=docker"]
    assert ["--thorough" in one.arguments for one in both] == [thorough] * 2


@pytest.mark.parametrize(
    ("kinds", "thorough", "apart"),
    [
        (["local", "docker"], False, [True, True]),
        (["local", "docker"], True, [True, False]),
        (["docker"], False, [False]),
    ],
)
def test_what_is_run_apart_is_run_with_the_others_in_a_runtime_where_it_is_wanted_as_well(
    monkeypatch: pytest.MonkeyPatch, kinds: list[str], thorough: bool, apart: list[bool]
) -> None:
    ran = journeys(monkeypatch, engine=True, thorough=thorough, kinds=kinds)
    assert ["--ignore=tests/test_backup.py" in one.arguments for one in ran] == apart


def test_no_container_is_started_before_those_in_a_browser_are_through_and_the_images_are_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended: list[str] = []

    def note(suite: suites.Suite) -> suites.Result:
        ended.append(suite.name)
        return suites.Result(suite.name, "ok", 0)

    monkeypatch.setattr(suites, "engine_answers", lambda: True)
    monkeypatch.setattr(suites, "run", note)
    monkeypatch.setattr(suites.interpreter, "of_version", lambda _: [])
    suites.run_all(["unit", "local", "docker"], None)
    before = ended[: ended.index("end to end, docker")]
    assert [one.name for one in suites.unit_suites() if one.name.endswith("browser")] == [
        name for name in before if name.endswith("browser")
    ]
    assert "images" in before
    assert len(ended) == len(suites.unit_suites()) + 4


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """A machine with a newer Python than this one, and no environment of it; the commands that are run."""
    ran: list[list[str]] = []

    def note(suite: suites.Suite) -> suites.Result:
        ran.append(suite.command)
        return suites.Result(suite.name, "ok", 0)

    monkeypatch.setattr(suites, "run", note)
    monkeypatch.setattr(suites.interpreter, "of_version", lambda _: ["/usr/bin/newer"])
    monkeypatch.setattr(suites.interpreter, "ready", lambda _: None)
    return ran


def test_what_only_a_newer_python_does_is_tested_in_an_environment_that_is_there(
    monkeypatch: pytest.MonkeyPatch, newer: list[list[str]]
) -> None:
    monkeypatch.setattr(suites.interpreter, "ready", lambda python: Path(python, "environment"))
    assert suites.run_on_newer_python(make=False).outcome == "ok"
    [(python, *options)] = newer
    assert python == "/usr/bin/newer/environment"
    assert "shared/tests/test_connection_begins.py" in options


def test_an_environment_is_made_where_all_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, newer: list[list[str]]
) -> None:
    assert suites.run_on_newer_python(make=False).outcome.startswith("not run: no environment of Python 3.13")
    assert newer == []
    monkeypatch.setattr(suites.interpreter, "environment", lambda python: Path(python, "made"))
    assert suites.run_on_newer_python(make=True).outcome == "ok"
    assert [command[0] for command in newer] == ["/usr/bin/newer/made"]


@pytest.mark.parametrize(
    "error", [subprocess.CalledProcessError(1, "pip"), OSError("full"), ValueError("no site")]
)
def test_what_cannot_be_tested_in_a_newer_python_is_said(
    monkeypatch: pytest.MonkeyPatch, newer: list[list[str]], error: Exception
) -> None:
    def fails(_python: str) -> Path:
        raise error

    monkeypatch.setattr(suites.interpreter, "environment", fails)
    outcomes = [suites.run_on_newer_python(make=True).outcome]
    monkeypatch.setattr(suites.interpreter, "of_version", lambda _: [])
    outcomes.append(suites.run_on_newer_python(make=True).outcome)
    assert outcomes == [
        "not run: an environment of Python 3.13 could not be made",
        "not run: no Python 3.13 is installed",
    ]
    assert newer == []


def test_how_to_run_with_the_same_seed_is_said_although_the_suite_is_well(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "conftest.py").write_text(
        "def pytest_terminal_summary(terminalreporter):\n"
        "    terminalreporter.write_line('the same again: pytest x --chaos-seed 11')\n"
    )
    (tmp_path / "test_x.py").write_text("def test_x():\n    pass\n")
    monkeypatch.setattr(suites, "_LOGS", tmp_path / "logs")
    assert suites.run(suites.Suite("x", (str(tmp_path), "-q"))).outcome == "ok"
    assert "the same again: pytest x --chaos-seed 11" in capsys.readouterr().out

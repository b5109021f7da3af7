"""A service that was made from the template is brought what the template got since."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from fountain_cli.exits import FAILED
from fountain_cli.main import app
from fountain_cli.scaffold import NotMade, make_service, upgrade_service
from fountain_cli.scaffold.template import template_tree
from fountain_cli.stack.layout import services
from scaffolded import ROOT, everything, own_tests_pass, repository_copy
from typer.testing import CliRunner


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return repository_copy(tmp_path)


def git(root: Path, *arguments: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *arguments], cwd=root, check=True, capture_output=True)


@pytest.fixture
def upgradable(copy: Path) -> Path:
    """A service of which the team has changed a line, in a repository that has the template."""
    git(copy, "init", "--quiet")
    git(copy, "add", ".")
    git(copy, "commit", "--quiet", "-m", "The first template")
    make_service(copy, "stories")
    routes = copy / "services" / "stories" / "stories" / "routes.py"
    routes.write_text(routes.read_text().replace("Keep an item;", "Keep a story;"))
    return copy


def change_template(root: Path, name: str, before: str, after: str) -> None:
    path = root / "templates" / "service" / "template" / name
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))
    git(root, "add", "templates")
    git(root, "commit", "--quiet", "-m", "A later template")


def test_an_upgrade_brings_the_templates_changes_and_keeps_the_teams(upgradable: Path) -> None:
    routes = upgradable / "services" / "stories" / "stories" / "routes.py"
    change_template(upgradable, "{{package}}/routes.py.jinja", "le=500)] = 50", "le=200)] = 50")
    done = upgrade_service(upgradable, "stories")
    assert [str(path) for path in done.changed] == [".copier-answers.yml", "stories/routes.py"]
    assert done.conflicts == []
    assert "le=200" in routes.read_text()
    assert "Keep a story;" in routes.read_text()
    assert upgrade_service(upgradable, "stories").changed == []


@pytest.mark.parametrize("name", ["action", "two-factor"])
def test_the_services_that_were_made_from_the_template_are_upgraded_as_a_teams_are(
    copy: Path, name: str
) -> None:
    folder = copy / "services" / name
    shutil.copytree(
        ROOT / "services" / name,
        folder,
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns("__pycache__", ".[!c]*"),
    )
    git(copy, "init", "--quiet")
    git(copy, "add", ".")
    git(copy, "commit", "--quiet", "-m", "The template as it is")
    answers = folder / ".copier-answers.yml"
    kept = yaml.safe_load(answers.read_text())
    answers.write_text(answers.read_text().replace(kept["template"], template_tree(copy)))
    files = set(everything(folder))
    change_template(copy, "Dockerfile.jinja", "WORKDIR /app", "WORKDIR /application")
    done = upgrade_service(copy, name)
    assert ([str(path) for path in done.changed], done.conflicts) == (
        [".copier-answers.yml", "Dockerfile"],
        [],
    )
    assert "WORKDIR /application" in (folder / "Dockerfile").read_text()
    assert set(everything(folder)) == files, "what the service has no use for stays away"
    known = {service.name: service for service in services(ROOT)}[name]
    assert (kept["port"], tuple(kept["generated"].split())) == (known.port, known.generated)


def test_a_team_merges_a_new_version_and_upgrades_its_service(upgradable: Path) -> None:
    compose = upgradable / "compose.yaml"
    git(upgradable, "add", ".")
    git(upgradable, "commit", "--quiet", "-m", "The team's service")
    git(upgradable, "checkout", "--quiet", "-b", "upstream", "HEAD~1")
    before, after = "restart: unless-stopped", "restart: always"
    assert before in compose.read_text()
    compose.write_text(compose.read_text().replace(before, after))
    change_template(upgradable, "{{package}}/routes.py.jinja", "le=500)] = 50", "le=200)] = 50")
    git(upgradable, "commit", "--quiet", "--all", "-m", "A new version")
    git(upgradable, "checkout", "--quiet", "-")
    git(upgradable, "merge", "--quiet", "upstream")
    merged = yaml.safe_load(compose.read_text())
    assert "stories" in merged["services"]
    assert after in compose.read_text()
    done = upgrade_service(upgradable, "stories")
    assert [str(path) for path in done.changed] == [".copier-answers.yml", "stories/routes.py"]
    own_tests_pass(upgradable, "stories")


def test_where_both_changed_the_same_lines_the_person_decides(upgradable: Path) -> None:
    change_template(upgradable, "{{package}}/routes.py.jinja", "Keep an item;", "Keep a thing;")
    done = upgrade_service(upgradable, "stories")
    assert [str(path) for path in done.conflicts] == ["stories/routes.py"]
    text = (upgradable / "services" / "stories" / "stories" / "routes.py").read_text()
    assert "<<<<<<< this service" in text
    assert "Keep a story;" in text
    assert "Keep a thing;" in text


def test_the_command_shows_the_conflict_and_fails_until_there_is_none(
    upgradable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOUNTAIN_ROOT", str(upgradable))
    change_template(upgradable, "{{package}}/routes.py.jinja", "Keep an item;", "Keep a thing;")
    first = CliRunner().invoke(app, ["upgrade", "stories"])
    assert (first.exit_code, "conflict  services/stories/stories/routes.py" in first.stdout) == (FAILED, True)
    assert CliRunner().invoke(app, ["upgrade", "stories"]).exit_code == FAILED
    change_template(upgradable, "README.md.jinja", "tests it alone", "runs its tests")
    with pytest.raises(NotMade, match="conflict markers of the last upgrade"):
        upgrade_service(upgradable, "stories")
    routes = upgradable / "services" / "stories" / "stories" / "routes.py"
    routes.write_text(re.sub(r"<<<<<<< .*?=======\n|>>>>>>> .*?\n", "", routes.read_text(), flags=re.DOTALL))
    assert CliRunner().invoke(app, ["upgrade", "stories"]).exit_code == 0
    again = CliRunner().invoke(app, ["upgrade", "stories"])
    assert (again.exit_code, "is up to date" in again.stderr) == (0, True)


def test_a_file_of_the_teams_is_not_overwritten_by_one_that_the_template_adds(upgradable: Path) -> None:
    mine = upgradable / "services" / "stories" / "stories" / "clock.py"
    mine.write_text('"""The team has one of this name."""\n')
    added = upgradable / "templates" / "service" / "template" / "{{package}}" / "clock.py"
    added.write_text('"""So has the template now."""\n')
    git(upgradable, "add", "templates")
    git(upgradable, "commit", "--quiet", "-m", "A later template")
    assert [str(path) for path in upgrade_service(upgradable, "stories").conflicts] == ["stories/clock.py"]
    assert "The team has one" in mine.read_text()


def test_what_the_team_took_away_stays_away(upgradable: Path) -> None:
    readme = upgradable / "services" / "stories" / "README.md"
    readme.unlink()
    change_template(upgradable, "README.md.jinja", "tests it alone", "runs its tests")
    upgrade_service(upgradable, "stories")
    assert not readme.exists()


def test_a_service_that_was_not_made_from_the_template_is_not_upgraded(upgradable: Path) -> None:
    with pytest.raises(NotMade, match="not made from the template"):
        upgrade_service(upgradable, "example-consumer")

"""A new service: checked before anything is written, wired in, and nothing left to edit."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from fountain_cli.scaffold import NotMade, make_service, upgrade_service
from fountain_cli.scaffold.wiring import CannotWire, published, wired
from fountain_cli.stack.layout import services

ROOT = Path(__file__).parents[2]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """As much of the repository as a new service needs."""
    for name in ("compose.yaml", "compose.dev.yaml", "compose.observability.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "templates", tmp_path / "templates")
    for service in ("example-consumer", "notification"):
        folder = tmp_path / "services" / service
        folder.mkdir(parents=True)
        for name in ("requirements.txt", "entrypoint.py"):
            shutil.copy(ROOT / "services" / service / name, folder / name)
    return tmp_path


def everything(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_new_service_is_complete_and_wired(copy: Path) -> None:
    written = make_service(copy, "short-stories", description='It keeps "short" stories.')
    names = {str(path) for path in written}
    for name in (
        "Dockerfile",
        "entrypoint.py",
        "main.py",
        "requirements.txt",
        "short_stories/routes.py",
        "tests/test_main.py",
    ):
        assert f"services/short-stories/{name}" in names
    compose = yaml.safe_load((copy / "compose.yaml").read_text())
    assert (
        "identity-short-stories:/run/fountain/identity:ro" in compose["services"]["short-stories"]["volumes"]
    )
    assert (
        "identity-short-stories:/identities/short-stories"
        in compose["services"]["secrets-manager"]["volumes"]
    )
    assert " short-stories}" in compose["services"]["secrets-manager"]["environment"]["FOUNTAIN_SERVICES"]
    assert {"data-short-stories", "identity-short-stories"} <= set(compose["volumes"])
    observability = (copy / "compose.observability.yaml").read_text()
    assert " short-stories} prometheus" in observability
    dev = yaml.safe_load((copy / "compose.dev.yaml").read_text())
    assert dev["services"]["short-stories"]["ports"] == ["127.0.0.1:8010:8000"]


def test_its_own_tests_pass_at_once(copy: Path) -> None:
    make_service(copy, "stories")
    shared = copy / "shared"
    shared.symlink_to(ROOT / "shared")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "services/stories"],
        cwd=copy,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_second_run_changes_nothing(copy: Path) -> None:
    make_service(copy, "stories")
    before = everything(copy)
    assert make_service(copy, "stories") == []
    assert everything(copy) == before


BAD = ("", "Stories", "short_stories", "../stories", "a/b", "1st", "-a", "a" * 64, "stories ", "stóries")
TAKEN = ("secrets-manager", "gateway-lookup", "notification", "example-consumer", "caddy", "tests", "main")


@pytest.mark.parametrize("name", BAD + TAKEN)
def test_a_bad_or_taken_name_is_refused_before_anything_is_written(copy: Path, name: str) -> None:
    before = everything(copy)
    with pytest.raises(NotMade):
        make_service(copy, name)
    assert everything(copy) == before


def test_a_file_that_cannot_be_wired_stops_it_before_anything_is_written(copy: Path) -> None:
    compose = copy / "compose.yaml"
    compose.write_text(compose.read_text().replace("  # New services stand above this line.\n", ""))
    before = everything(copy)
    with pytest.raises(NotMade, match="New services stand above"):
        make_service(copy, "stories")
    assert everything(copy) == before


def test_a_further_service_gets_a_port_of_its_own_and_moves_nobody(copy: Path) -> None:
    make_service(copy, "stories")
    make_service(copy, "authors")
    ports = {service.name: service.port for service in services(copy)}
    assert (ports["stories"], ports["authors"]) == (8010, 8011)


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


def test_where_both_changed_the_same_lines_the_person_decides(upgradable: Path) -> None:
    change_template(upgradable, "{{package}}/routes.py.jinja", "Keep an item;", "Keep a thing;")
    done = upgrade_service(upgradable, "stories")
    assert [str(path) for path in done.conflicts] == ["stories/routes.py"]
    text = (upgradable / "services" / "stories" / "stories" / "routes.py").read_text()
    assert "<<<<<<< this service" in text
    assert "Keep a thing;" in text


def test_what_the_team_took_away_stays_away(upgradable: Path) -> None:
    readme = upgradable / "services" / "stories" / "README.md"
    readme.unlink()
    change_template(upgradable, "README.md.jinja", "tests it alone", "runs its tests")
    upgrade_service(upgradable, "stories")
    assert not readme.exists()


def test_a_service_that_was_not_made_from_the_template_is_not_upgraded(upgradable: Path) -> None:
    with pytest.raises(NotMade, match="not made from the template"):
        upgrade_service(upgradable, "example-consumer")


def test_wiring_twice_is_wiring_once() -> None:
    compose, dev = (ROOT / "compose.yaml").read_text(), (ROOT / "compose.dev.yaml").read_text()
    once = wired(compose, "stories", ("DATA_KEY",))
    assert wired(once, "stories") == once
    assert " stories:DATA_KEY}" in once
    assert published(published(dev, "stories", 8010), "stories", 8010) == published(dev, "stories", 8010)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(CannotWire, match="New services stand above"):
        wired("services:\n", "stories")

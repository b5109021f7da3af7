"""A new service: checked before anything is written, wired in, and nothing left to edit."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from fountain_cli.exits import REFUSED, CommandError
from fountain_cli.main import app
from fountain_cli.scaffold import NotMade, make_service
from fountain_cli.scaffold.wiring import CannotWire, published, wired
from fountain_cli.stack.layout import services
from scaffolded import ROOT, everything, own_tests_pass, repository_copy
from typer.testing import CliRunner

MYPY_CACHE = ROOT / ".fountain" / "cache" / "mypy-of-new-services"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return repository_copy(tmp_path)


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
    own_tests_pass(copy, "stories")


LONG = 'It keeps "short" stories & tells of them in the author\'s own words; ' * 4


@pytest.mark.parametrize(
    ("name", "description"), [("about", ""), ("zebra-" + "a" * 50, LONG), ("items", "{{ 7 * 7 }} \\ '\"")]
)
def test_what_it_writes_passes_the_checks_as_it_is(copy: Path, name: str, description: str) -> None:
    make_service(copy, name, description=description)
    folder, package = f"services/{name}", name.replace("-", "_")
    ruff, mypy = [sys.executable, "-m", "ruff"], [sys.executable, "-m", "mypy", "--strict", "--cache-dir"]
    for command in (
        [*ruff, "check", "--no-fix", "--no-cache", folder],
        [*ruff, "format", "--check", "--no-cache", folder],
        [*mypy, str(MYPY_CACHE), f"{folder}/{package}", f"{folder}/main.py", f"{folder}/entrypoint.py"],
    ):
        where = {**os.environ, "MYPYPATH": f"{ROOT / 'shared'}:{folder}"}
        done = subprocess.run(command, cwd=copy, env=where, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    if description:
        assert said_by(copy / folder / "main.py") == description.strip()


def said_by(main: Path) -> object:
    """The description that an application is created with."""
    calls = [node for node in ast.walk(ast.parse(main.read_text())) if isinstance(node, ast.Call)]
    keywords = {keyword.arg: keyword.value for call in calls for keyword in call.keywords}
    return ast.literal_eval(keywords["description"])


@pytest.mark.parametrize("description", ["a" * 301, "two\nlines", "a\x00"])
def test_a_description_that_no_page_can_show_is_refused(copy: Path, description: str) -> None:
    before = everything(copy)
    with pytest.raises(NotMade, match="one line of at most 300"):
        make_service(copy, "stories", description=description)
    assert everything(copy) == before


def test_what_an_interrupted_run_left_undone_is_done_by_the_next(copy: Path) -> None:
    compose = copy / "compose.yaml"
    unwired = compose.read_text()
    make_service(copy, "stories")
    whole = everything(copy)
    compose.write_text(unwired)
    assert make_service(copy, "stories") == [Path("compose.yaml")]
    assert everything(copy) == whole


def test_a_second_run_changes_nothing(copy: Path) -> None:
    make_service(copy, "stories")
    before = everything(copy)
    assert make_service(copy, "stories") == []
    assert everything(copy) == before


BAD = ("", "Stories", "short_stories", "../stories", "a/b", "1st", "-a", "a-", "a--b", "xn--80ak6aa92e")
BAD += ("a" * 64, "stories ", "stóries", "class", "import", "none ")
TAKEN = (
    "secrets-manager",
    "gateway-lookup",
    "notification",
    "example-consumer",
    "caddy",
    "prometheus",
    "admin",
)
PACKAGES = (
    "tests",
    "main",
    "test",
    "json",
    "email",
    "asyncio",
    "concurrent",
    "fastapi",
    "jwt",
    "fountain-common",
)
RESERVED = ("www", "mail", "localhost", "2fa")


@pytest.mark.parametrize("name", BAD + TAKEN + PACKAGES + RESERVED)
def test_a_bad_or_taken_name_is_refused_before_anything_is_written(copy: Path, name: str) -> None:
    before = everything(copy)
    with pytest.raises(NotMade):
        make_service(copy, name)
    assert everything(copy) == before


@pytest.mark.parametrize("name", ["action", "two-factor", "example-consumer"])
def test_the_name_of_a_service_that_came_with_the_platform_is_refused(name: str) -> None:
    done = CliRunner().invoke(app, ["new", name], env={"FOUNTAIN_ROOT": str(ROOT)})
    assert isinstance(done.exception, CommandError)
    assert done.exception.status == REFUSED
    assert "came with the platform" in str(done.exception)


def test_a_service_that_was_made_before_is_told_from_a_new_one(copy: Path) -> None:
    first, again = (
        CliRunner().invoke(app, ["new", "stories"], env={"FOUNTAIN_ROOT": str(copy)}) for _ in range(2)
    )
    assert (first.exit_code, again.exit_code) == (0, 0)
    hints = first.stderr.strip().splitlines()
    assert [line.index("tests it" if "test" in line else "starts it") for line in hints] == [
        len("make test service=stories   ")
    ] * 2
    assert "was made before" in again.stderr
    assert again.stdout == ""


def test_the_subdomain_of_another_service_is_taken(copy: Path) -> None:
    main = copy / "services" / "two-factor" / "main.py"
    main.write_text(main.read_text().replace('hosts=["2fa"]', 'hosts=["2fa", "codes"]'))
    with pytest.raises(NotMade, match="subdomain of two-factor"):
        make_service(copy, "codes")


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


def test_wiring_twice_is_wiring_once() -> None:
    compose, dev = (ROOT / "compose.yaml").read_text(), (ROOT / "compose.dev.yaml").read_text()
    once = wired(compose, "stories", ("DATA_KEY",))
    assert wired(once, "stories") == once
    assert " stories:DATA_KEY}" in once
    assert published(published(dev, "stories", 8010), "stories", 8010) == published(dev, "stories", 8010)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(CannotWire, match="New services stand above"):
        wired("services:\n", "stories")

"""What the repository itself keeps: one house, the same rooms in every service, dependencies one way."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from fountain_cli.stack.layout import repository

ROOT = repository()
SERVICES = sorted(path.parent for path in ROOT.glob("services/*/main.py"))
NAMES = [service.name for service in SERVICES]
ROOMS = (
    "Dockerfile",
    "entrypoint.py",
    "main.py",
    "requirements.in",
    "requirements.txt",
    "pytest.ini",
    "README.md",
    "tests/test_main.py",
)
MAX_LINES = 350
"""Of a module that is not a test."""
VAGUE = {"utils.py", "helpers.py", "common.py", "misc.py"}


def tracked(pattern: str) -> Iterator[Path]:
    """The files that are part of the repository, not what lies beside them."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", pattern],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return (ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file())


def imported(module: Path) -> set[str]:
    """The top-level packages that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def compose() -> dict[str, dict[str, object]]:
    document = yaml.safe_load((ROOT / "compose.yaml").read_text())
    assert document["networks"]
    found: dict[str, dict[str, object]] = document["services"]
    return found


def title_of(service: Path) -> str:
    """What `create_service` is told, or the constant that it is given."""
    tree = ast.parse((service / "main.py").read_text())
    given = [node.value for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "title"]
    given += [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "TITLE"
    ]
    (title,) = [str(node.value) for node in given if isinstance(node, ast.Constant)]
    return title


@pytest.mark.parametrize("service", SERVICES, ids=NAMES)
def test_a_title_is_the_services_name_in_words(service: Path) -> None:
    """Without the platform's: it stands above them all, and a card or a tab has little room."""
    words = title_of(service).replace("-", " ").split()
    assert words == [word.capitalize() for word in service.name.split("-")][: len(words)]
    assert words


@pytest.mark.parametrize("service", SERVICES, ids=NAMES)
def test_every_service_has_the_same_rooms(service: Path) -> None:
    missing = [room for room in ROOMS if not (service / room).exists()]
    assert missing == []
    package = service / service.name.replace("-", "_")
    assert (package / "settings.py").is_file()


@pytest.mark.parametrize("service", SERVICES, ids=NAMES)
def test_no_service_imports_another(service: Path) -> None:
    others = {name.replace("-", "_") for name in NAMES if name != service.name}
    for module in service.rglob("*.py"):
        assert not imported(module) & others, module


def test_the_library_imports_no_service_and_no_command() -> None:
    above = {name.replace("-", "_") for name in NAMES} | {"fountain_cli"}
    for module in (ROOT / "shared" / "fountain_common").rglob("*.py"):
        assert not imported(module) & above, module


def test_modules_are_small_and_named_for_what_they_are() -> None:
    too_long = {
        str(path.relative_to(ROOT)): lines
        for path in tracked("*.py")
        if "tests" not in path.parts
        if (lines := len(path.read_text().splitlines())) > MAX_LINES
    }
    assert too_long == {}
    assert [str(path) for path in tracked("*.py") if path.name in VAGUE] == []


@pytest.mark.parametrize("service", SERVICES, ids=NAMES)
def test_every_requirement_is_pinned_with_its_hashes_and_no_address(service: Path) -> None:
    text = (service / "requirements.txt").read_text()
    assert "://" not in re.sub(r"#.*", "", text)
    requirements = re.split(
        r"\n(?=[a-z0-9])", re.sub(r"(?m)^\s*#.*\n?", "", text).strip(), flags=re.IGNORECASE
    )
    for requirement in filter(None, requirements):
        assert "==" in requirement, requirement
        assert "--hash=sha256:" in requirement, requirement


def test_every_service_and_the_edge_run_in_compose_without_privileges() -> None:
    described = compose()
    assert set(described) == {*NAMES, "caddy"}
    for name, service in described.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["init"] is True, name
        assert service["restart"], name
        assert service["mem_limit"], name
        assert ("ports" in service) == (name == "caddy"), f"{name}: the edge alone is reached from outside"


def test_every_variable_of_the_compose_files_is_explained() -> None:
    inside = {"FOUNTAIN_BUILD_PIP", "FOUNTAIN_BUILD_CA", "WATCHFILES_FORCE_POLLING"}
    text = "".join(path.read_text() for path in ROOT.glob("compose*.yaml"))
    page = (ROOT / "docs" / "settings.md").read_text()
    named = set(re.findall(r"\$\{([A-Z_]+)", text)) - inside
    assert {name for name in named if f"`{name}`" not in page} == set()


def test_no_container_fills_the_disk_with_its_log() -> None:
    observed = yaml.safe_load((ROOT / "compose.observability.yaml").read_text())["services"]
    for name, service in {**compose(), "prometheus": observed["prometheus"]}.items():
        assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}, name  # type: ignore[index]


@pytest.mark.parametrize("dockerfile", sorted(ROOT.glob("services/*/Dockerfile")), ids=NAMES)
def test_every_image_drops_root_and_tells_its_health(dockerfile: Path) -> None:
    text = dockerfile.read_text()
    assert re.search(r"(?m)^USER (?!root|0\b)", text)
    assert "HEALTHCHECK" in text


def test_nothing_secret_or_generated_is_part_of_the_repository() -> None:
    suspicious = re.compile(r"(^|/)(\.env|api-key|key-encryption-key|.*\.(pem|db|sqlite3?|key))$")
    assert [str(path) for path in tracked("*") if suspicious.search(str(path.relative_to(ROOT)))] == []


def test_what_is_done_beside_the_database_has_one_name() -> None:
    """The `fountain` command hands it to the Secrets Manager's own, which knows it by the same name."""
    admin = (ROOT / "services/secrets-manager/secrets_manager/admin.py").read_text()
    known = set(re.findall(r'^ {8}"([a-z-]+)": _', admin, re.MULTILINE))
    commands = "".join(path.read_text() for path in (ROOT / "shared/fountain_cli/commands").glob("*.py"))
    typed = set(re.findall(r'(?:command\(app, |def |app, )"?([a-z_-]+)"?', commands))
    handed = set(re.findall(r'\.errand\("([a-z-]+)"', commands))
    assert handed == known
    assert handed <= {name.replace("_", "-") for name in typed}

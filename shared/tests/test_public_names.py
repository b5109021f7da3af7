import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import fountain_common
import pytest

SOURCE = Path(fountain_common.__file__)
ROOT = SOURCE.parents[2]
IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+(fountain_common[\w.]*)[ \t]+import[ \t]+(\([^)]*\)|[^\n]+)"
    r"|import[ \t]+(fountain_common[\w.]*))",
    re.MULTILINE,
)


def _declared() -> dict[str, str]:
    """What the type checker is told: the names and the modules that they come from."""
    found: dict[str, str] = {}
    for node in ast.walk(ast.parse(SOURCE.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("fountain_common."):
            found |= {str(alias.asname): node.module.rpartition(".")[2] for alias in node.names}
    return found


def test_the_list_of_public_names_is_true() -> None:
    assert _declared() == fountain_common._HOME
    assert list(fountain_common.__all__) == sorted(fountain_common.__all__)
    for name in fountain_common.__all__:
        assert getattr(fountain_common, name).__doc__, f"{name} is public and says nothing about itself"


def test_the_package_alone_loads_nothing_heavy() -> None:
    heavy = {"fastapi", "sqlalchemy", "httpx2"}
    code = f"import sys, fountain_common; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=SOURCE.parents[1]
    )
    assert done.stdout.strip() == "[]"


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    assert not hasattr(fountain_common, "nothing_of_the_kind")


def test_every_module_has_a_test_of_its_name() -> None:
    tests = {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")}
    modules = {path.stem for path in SOURCE.parent.glob("*.py")} - {"__init__"}
    assert sorted(modules - tests) == []


def _copied() -> list[Path]:
    """What a team copies or is given: the template, what was made from it, and the example."""
    made = [answers.parent for answers in ROOT.glob("services/*/.copier-answers.yml")]
    folders = [ROOT / "templates", ROOT / "services" / "example-consumer", *made]
    found = {path for folder in folders for kind in ("*.py", "*.jinja") for path in folder.rglob(kind)}
    return sorted(path for path in found if ".venv" not in path.parts)


def _imported(text: str) -> Iterator[tuple[str, str]]:
    """Each name that is imported from the library, and the module; a template is no Python yet."""
    for match in IMPORT.finditer(text):
        module, names, whole = match.groups()
        if whole:
            yield whole, "*"
            continue
        for name in re.sub(r"#[^\n]*", "", names).strip("()\n ").split(","):
            if name.strip():
                yield module, name.split(" as ")[0].strip()


def _is_public(module: str, name: str) -> bool:
    if module == "fountain_common":
        return name in fountain_common.__all__
    parent, _, last = module.partition(".")
    return (
        parent == "fountain_common"
        and last in fountain_common.PUBLIC_MODULES
        and name in import_module(module).__all__
    )


def test_what_a_team_copies_imports_public_names_alone() -> None:
    seen = {path: list(_imported(path.read_text())) for path in _copied()}
    assert len([path for path, names in seen.items() if names]) > 30
    inner = [
        f"{path.relative_to(ROOT)}: {module}.{name}"
        for path, names in seen.items()
        for module, name in names
        if not _is_public(module, name)
    ]
    assert inner == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("from fountain_common import (\n    Event,\n    load,  # all\n)\n", ["Event", "load"]),
        ("    from fountain_common.db import Database as Db, UtcDateTime\n", ["Database", "UtcDateTime"]),
        ("import fountain_common.db\n", ["*"]),
        ('"""No import of fountain_common."""\n', []),
    ],
)
def test_imports_are_seen_however_they_are_written(text: str, found: list[str]) -> None:
    assert [name for _, name in _imported(text)] == found


def test_the_package_says_which_modules_are_public() -> None:
    for module in fountain_common.PUBLIC_MODULES:
        assert f"`fountain_common.{module}`" in (fountain_common.__doc__ or "")

import ast
import subprocess
import sys
from pathlib import Path

import fountain_common

SOURCE = Path(fountain_common.__file__)


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

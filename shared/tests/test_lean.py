"""What a service, and the command, do not load."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("loaded", "spared"),
    [
        ("fountain_common.logging", ["rich", "colorama", "greenlet"]),
        ("fountain_common.entrypoint", ["rich", "colorama", "greenlet", "watchfiles", "sqlalchemy"]),
        ("fountain_common.db", ["alembic"]),
        ("fountain_cli.main", ["fastapi", "pydantic", "sqlalchemy", "cryptography", "uvicorn"]),
    ],
)
def test_nothing_is_loaded_that_only_others_need(loaded: str, spared: list[str]) -> None:
    code = f"import sys, {loaded}\nprint(sorted(set({spared!r}) & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n", done.stdout + done.stderr


def test_whoever_needs_it_can_load_it_afterwards() -> None:
    code = "import fountain_common.entrypoint, rich.table, watchfiles\nprint('fine')\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "fine\n", done.stderr

"""As much of the repository as a new service needs, and a look at what was made in it."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def repository_copy(root: Path) -> Path:
    """As much of the repository as a new service needs."""
    for name in ("compose.yaml", "compose.dev.yaml", "compose.observability.yaml", "pyproject.toml"):
        shutil.copy(ROOT / name, root / name)
    shutil.copytree(ROOT / "templates", root / "templates")
    for service in ("example-consumer", "notification", "two-factor"):
        folder = root / "services" / service
        folder.mkdir(parents=True)
        for name in ("requirements.txt", "entrypoint.py", "main.py"):
            shutil.copy(ROOT / "services" / service / name, folder / name)
    return root


def everything(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def own_tests_pass(root: Path, name: str) -> None:
    shared = root / "shared"
    shared.symlink_to(ROOT / "shared")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", f"services/{name}"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr

"""The template as a folder of the repository, and as it was at an earlier time."""

import io
import subprocess
import sys
import tarfile
from pathlib import Path

TEMPLATE = Path("templates/service")
ANSWERS_FILE = ".copier-answers.yml"
Answers = dict[str, object]


def render(template: Path, folder: Path, answers: Answers) -> None:
    """Write the template's files into `folder` with these answers, the rest by default."""
    from copier import run_copy

    run_copy(str(template), folder, data=answers, defaults=True, overwrite=True, quiet=True)


def tidy(folder: Path, root: Path) -> None:
    """Put the files into the form that `make check` asks for: the order of imports depends on the name.

    Without ruff, which comes with the tools of this repository, they stay as the template has them.
    """
    rules = root / "pyproject.toml"
    config = ["--config", str(rules)] if rules.is_file() else []
    for what in (["check", "--fix-only", "--select", "I"], ["format"]):
        command = [sys.executable, "-m", "ruff", *what, "--quiet", "--no-cache", *config, str(folder)]
        # Whose modules are whose, ruff tells by where it is called.
        subprocess.run(command, cwd=root, capture_output=True, check=False)  # noqa: S603


def template_tree(root: Path) -> str:
    """The git tree of the template as it is committed; "" where there is no git."""
    return _git(root, "rev-parse", "--verify", "--quiet", f"HEAD:{TEMPLATE}").decode().strip()


def extract(root: Path, tree: str, folder: Path) -> bool:
    """Write the template of an earlier git tree into `folder`; False where git no longer has it."""
    archive = _git(root, "archive", "--format=tar", tree)
    if not archive:
        return False
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    return True


def _git(root: Path, *arguments: str) -> bytes:
    try:
        return subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=True).stdout  # noqa: S603, S607
    except (subprocess.CalledProcessError, FileNotFoundError):
        return b""

"""The Python to measure with: the fastest on this machine of those that the product runs on.

How an interpreter was compiled counts for more than anything that is measured here. One that was built
without the optimisations of a distribution's package takes up to twice as long for everything, and the peers,
which come compiled, do not. The images have Debian's.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parents[1]
_WANTED: Final = _ROOT / "requirements-dev.txt"
_READY: Final = ".ready"
_SUPPORTED: Final = ("3.11", "3.12", "3.13")
_WORTH_IT: Final = 0.9
"""Another Python is made an environment of if it takes less than so much of this one's time."""
_PLACES: Final = ("/usr/local/bin", "/usr/bin")
_WORK: Final = """
import time, venv

class Point:
    def __init__(self, x):
        self.x = x

    def moved(self, by):
        return Point(self.x + by)

def work():
    found = {}
    for number in range(300):
        found[f"k{number}"] = (number, str(number), Point(number).moved(1).x)
    return sorted(found)

best = float("inf")
for _ in range(200):
    start = time.perf_counter()
    work()
    best = min(best, time.perf_counter() - start)
print(best)
"""


def fastest(seconds: Mapping[str, float], own: str) -> str:
    """Return the Python that takes the least time; our own, unless another is clearly faster. Pure."""
    best = min(seconds, key=lambda python: seconds[python], default=own)
    return best if seconds.get(best, 0) < seconds.get(own, float("inf")) * _WORTH_IT else own


def measure() -> dict[str, float]:
    """Return how many seconds each Python takes for the same work, this one's among them."""
    found: dict[str, float] = {}
    for python in {sys.executable: None} | dict.fromkeys(_others()):
        try:
            done = subprocess.run(
                [python, "-I", "-c", _WORK], capture_output=True, text=True, timeout=60, check=True
            )
            found[python] = float(done.stdout)
        except (OSError, ValueError, subprocess.SubprocessError):
            continue
    return found


def environment(python: str) -> Path:
    """Return the Python of an environment of this one with what the repository needs; made once, in `build`.

    Raises:
        subprocess.CalledProcessError: it could not be made.
    """
    if (made := ready(python)) is not None:
        return made
    folder = _folder(python)
    own = folder / "bin" / "python"
    shutil.rmtree(folder, ignore_errors=True)
    _run(python, "-m", "venv", "--without-pip", str(folder))
    install = ("install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", str(_WANTED))
    _run(sys.executable, "-m", "pip", "--python", str(own), *install)
    (site,) = folder.glob("lib/python3.*/site-packages")
    (site / "fountain.pth").write_text(f"{_ROOT / 'shared'}\n")
    (folder / _READY).touch()
    return own


def ready(python: str) -> Path | None:
    """Return the Python of the environment that `environment` has made of this one; None if it has not."""
    folder = _folder(python)
    return folder / "bin" / "python" if (folder / _READY).exists() else None


def of_version(least: tuple[int, int]) -> list[str]:
    """Return the other supported Pythons of this machine that are not older, by the version in their name."""
    names = {f"python{version}": tuple(map(int, version.split("."))) for version in _SUPPORTED}
    return [python for python in _others() if names[Path(python).name] >= least]


def _folder(python: str) -> Path:
    # Of what it was made for: the Python, and what the repository needs.
    named = hashlib.sha256(_WANTED.read_bytes() + os.path.realpath(python).encode()).hexdigest()[:12]
    return _ROOT / "build" / f"python-{named}"


def _others() -> Iterator[str]:
    seen = {os.path.realpath(sys.executable)}
    for folder in (*_PLACES, *os.environ.get("PATH", "").split(os.pathsep)):
        for version in _SUPPORTED:
            python = Path(folder) / f"python{version}"
            if folder and os.access(python, os.X_OK) and (real := os.path.realpath(python)) not in seen:
                seen.add(real)
                yield str(python)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)

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
    wanted = _ROOT / "requirements-dev.txt"
    named = hashlib.sha256(wanted.read_bytes() + os.path.realpath(python).encode()).hexdigest()[:12]
    folder = _ROOT / "build" / f"python-{named}"
    own, ready = folder / "bin" / "python", folder / ".ready"
    if ready.exists():
        return own
    shutil.rmtree(folder, ignore_errors=True)
    _run(python, "-m", "venv", "--without-pip", str(folder))
    install = ("install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", str(wanted))
    _run(sys.executable, "-m", "pip", "--python", str(own), *install)
    (site,) = folder.glob("lib/python3.*/site-packages")
    (site / "fountain.pth").write_text(f"{_ROOT / 'shared'}\n")
    ready.touch()
    return own


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

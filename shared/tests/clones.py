"""Clones of the repository beside a Docker engine that starts nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

FAKE = Path(__file__).with_name("fake_docker.py")
PROJECT, FOLDER = "com.docker.compose.project", "com.docker.compose.project.working_dir"


class Engine:
    """The fake one, and what it has."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._write({"containers": [], "volumes": {}, "calls": []})

    def _write(self, state: dict[str, Any]) -> None:
        self._file.write_text(json.dumps(state))

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._file.read_text())
        return found

    def told(self, word: str) -> list[list[str]]:
        return [call for call in self.state()["calls"] if word in call]

    def change(self, **parts: Any) -> None:
        self._write({**self.state(), **parts})


def typed(root: Path, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fountain_cli", *words],
        env={**os.environ, "FOUNTAIN_ROOT": str(root)}, input=given, check=False, capture_output=True,
        text=True, timeout=60,
    )  # fmt: skip

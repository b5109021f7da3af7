"""The folder with the state of the local runtime: keys, data, logs."""

import atexit
import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fountain_cli.stack.layout import EDGE, Service


@dataclass(frozen=True)
class State:
    """`.fountain`, or wherever `FOUNTAIN_STATE_DIR` points; nobody else can read it."""

    folder: Path

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], root: Path) -> "State":
        """Return the configured folder, seen from the repository, or the repository's own."""
        return cls((root / (environment.get("FOUNTAIN_STATE_DIR") or ".fountain")).resolve())

    @property
    def run(self) -> Path:
        """Sockets, pids and what is running now."""
        return self.folder / "run"

    @property
    def logs(self) -> Path:
        """One file a process."""
        return self.folder / "logs"

    @property
    def edge_ca(self) -> Path:
        """The root certificate that Caddy made for itself."""
        return self.folder / EDGE / "data" / "caddy" / "pki" / "authorities" / "local" / "root.crt"

    def make(self, services: Iterable[Service]) -> None:
        """Make the folders, each for this user alone."""
        names = [
            "identities",
            "admin",
            "kek",
            "trust",
            "data",
            "logs",
            "run",
            EDGE,
            f"{EDGE}/data",
            f"{EDGE}/config",
        ]
        names += [f"{kind}/{service.name}" for service in services for kind in ("identities", "data")]
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        for name in names:
            (self.folder / name).mkdir(mode=0o700, exist_ok=True)

    def remember(self, stack: str, facts: Mapping[str, object]) -> None:
        """Write down with which choices a stack runs, for commands that come later.

        Args:
            stack: `local`, or a Compose project's name.
            facts: the choices; JSON.
        """
        self.run.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self.run / f"{stack}.json.new"
        fresh.write_text(json.dumps(facts, indent=1))
        os.replace(fresh, self.run / f"{stack}.json")

    def remembered(self, stack: str) -> dict[str, object]:
        """Return what was last written down about a stack; empty if nothing."""
        try:
            facts = json.loads((self.run / f"{stack}.json").read_text())
        except (OSError, ValueError):
            return {}
        return facts if isinstance(facts, dict) else {}

    def keep(self, name: str, text: str) -> Path:
        """Write a file that can be had again at any time; return where it is.

        Where the folder is somebody else's, it is elsewhere, and goes with this process.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.run.mkdir(mode=0o700, exist_ok=True)
            # By rename: another command reads the old one or the new one.
            handle, fresh = tempfile.mkstemp(prefix=f".{name}-", dir=self.run)
        except OSError:
            handle, fresh = tempfile.mkstemp(suffix=name)
            path = Path(fresh)
            atexit.register(path.unlink, missing_ok=True)
        else:
            path = self.run / name
        with os.fdopen(handle, "w") as file:
            file.write(text)
        if path != Path(fresh):
            os.replace(fresh, path)
        return path

    def drop(self, name: str) -> None:
        """Remove what `keep` wrote, if anything."""
        (self.run / name).unlink(missing_ok=True)

    def forget(self, stack: str) -> None:
        """The stack runs no more."""
        (self.run / f"{stack}.json").unlink(missing_ok=True)

"""A platform of local processes on a machine whose clocks are set and whose disk is filled while they run."""

import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from fountain_cli.stack import LocalStack, Ports
from fountain_cli.stack.layout import repository, services
from fountain_cli.stack.supervisor import Program

COMPILER = shutil.which("cc")
DISK = "48m"
_SOURCE = Path(__file__).with_name("clock.c")


class Machine(LocalStack):
    """A platform with a clock for each of its services, and a small disk for what they keep.

    Args:
        folder: an empty one, for all of it.
        settings: further `FOUNTAIN_*` settings for all services.

    Attributes:
        has_disk: whether this machine let us mount one.
    """

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        super().__init__(folder / "state", Ports.free(services(repository())), settings=settings)
        self._clocks = folder / "clocks"
        self._clocks.mkdir()
        self._library = self._clocks / "clock.so"
        build = [COMPILER or "cc", "-shared", "-fPIC", "-O1", "-o", str(self._library), str(_SOURCE)]
        subprocess.run(build, check=True)
        self.set_clocks(0)
        self._disk = self.state.folder / "data"
        self._disk.mkdir(parents=True)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=700", "small", str(self._disk)]
        self.has_disk = subprocess.run(mount, check=False, capture_output=True).returncode == 0

    def remove(self) -> None:
        """Stop everything, and leave nothing behind."""
        with ExitStack() as after:
            if self.has_disk:
                after.callback(subprocess.run, ["umount", "--lazy", str(self._disk)], check=True)
            self.stop(remove=True)

    def set_clocks(self, seconds: int, service: str | None = None) -> None:
        """Set the clock of one service, or of all, so many seconds ahead of this machine's."""
        for one in [service] if service else [one.name for one in self.services]:
            path = self._clocks / one
            with path.open("r+b" if path.exists() else "wb") as file:
                # In one write: who looks sees the old time or the new one.
                file.write(struct.pack("=q", seconds))

    @contextmanager
    def full(self) -> Iterator[None]:
        """Let there be no room for another byte."""
        ballast = self._disk / "ballast"
        try:
            with ballast.open("wb", buffering=0) as file:
                for piece in (1 << 20, 1 << 12, 1):
                    with suppress(OSError):
                        while file.write(bytes(piece)):
                            pass
            yield
        finally:
            ballast.unlink()

    def _programs(self) -> list[Program]:
        return [self._clocked(program) for program in super()._programs()]

    def _clocked(self, program: Program) -> Program:
        path = self._clocks / program.directory.name
        if not path.exists():
            return program
        more = {"LD_PRELOAD": str(self._library), "FOUNTAIN_TEST_CLOCK": str(path)}
        return replace(program, environment={**program.environment, **more})

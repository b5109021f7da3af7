"""How long the platform takes to be healthy as local processes, and the memory of a service."""

import time
from collections.abc import Iterator
from pathlib import Path

from fountain_cli.stack import LocalStack
from fountain_cli.stack.layout import repository, services
from fountain_cli.stack.ports import Ports

from benchmarks.measure import Budget, Result, absolute
from benchmarks.rows import Row, Run

_START = Budget("start until all is healthy", "s", floor=8, aim=4, higher=False)
_MEMORY = Budget("resident memory of the largest service", "MiB", floor=120, aim=80, higher=False)


def _measure(run: Run) -> Iterator[Result]:
    memory: list[float] = []

    def start() -> float:
        folder = run.peer_folder("start")
        stack = LocalStack(folder, Ports.free(services(repository())))
        started = time.perf_counter()
        stack.start()
        elapsed = time.perf_counter() - started
        memory.append(max(_resident(folder)))
        stack.stop()
        return elapsed

    count = len(services(repository()))
    yield absolute(_START, start, rounds=min(run.rounds, 3), note=f"{count} services and Caddy, from nothing")
    yield absolute(_MEMORY, memory.pop, rounds=len(memory))


def _resident(state: Path) -> Iterator[float]:
    """The resident memory of each service's process that was started with this state, in MiB."""
    marker = f"FOUNTAIN_STATE_DIR={state.resolve()}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if marker not in (process / "environ").read_bytes().split(b"\0"):
                continue
            if b"entrypoint.py" not in (process / "cmdline").read_bytes():
                continue
            status = (process / "status").read_text()
        except OSError:
            continue
        yield next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


ROWS = (Row("start", "", (_START, _MEMORY), _measure),)

"""Takes from running services what a machine may run out of, and gives it back without a restart."""

import os
import resource
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from fountain_cli.stack import ComposeStack, LocalStack
from fountain_cli.stack.layout import repository, services
from leaks import containers

_HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
connection.execute("ROLLBACK")
"""
_LIMIT = """
import os, resource, sys
pid, what, soft, how = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
if not pid:
    [pid] = [
        int(one)
        for one in os.listdir("/proc")
        if one.isdigit() and open(f"/proc/{one}/cmdline").read().startswith("python\\0entrypoint.py")
    ]
if how == "more":
    soft += len(os.listdir(f"/proc/{pid}/fd"))
before, hard = resource.prlimit(pid, what)
resource.prlimit(pid, what, (soft, hard))
print(before)
"""


def processes(stack: LocalStack, service: str) -> list[int]:
    """Return the processes of a service."""
    found = [
        int(process.name)
        for process in Path("/proc").glob("[0-9]*")
        if _belongs(process, stack.state.folder, service)
    ]
    assert found, f"{service} does not run"
    return found


def _belongs(process: Path, state: Path, service: str) -> bool:
    try:
        ours = os.fsencode(state) in (process / "environ").read_bytes()
        return ours and (process / "cwd").readlink().name == service
    except OSError:
        return False


@contextmanager
def full_disk(stack: LocalStack | ComposeStack, service: str) -> Iterator[None]:
    """Let no file of a service take another byte."""
    with ExitStack() as undo:
        for limit in _limiters(stack, service):
            before = limit(resource.RLIMIT_FSIZE, 0, "absolute")
            undo.callback(limit, resource.RLIMIT_FSIZE, before, "absolute")
        yield


@contextmanager
def few_files(stack: LocalStack | ComposeStack, service: str, spare: int) -> Iterator[None]:
    """Let every process of a service open so many more files and connections than it has now."""
    with ExitStack() as undo:
        for limit in _limiters(stack, service):
            before = limit(resource.RLIMIT_NOFILE, spare, "more")
            undo.callback(limit, resource.RLIMIT_NOFILE, before, "absolute")
        yield


Limiter = Callable[[int, int, str], int]


def _limiters(stack: LocalStack | ComposeStack, service: str) -> list[Limiter]:
    """Return for each process what sets one of its soft limits and answers what that was before.

    It is done beside the process, by its own user: who may start it may limit it, and nobody else need.
    """
    if isinstance(stack, ComposeStack):
        commands = [["docker", "exec", one["Id"], "python"] for one in _containers(stack, service)]
        pids = [0] * len(commands)
    else:
        pids = processes(stack, service)
        commands = [[sys.executable]] * len(pids)
    return [partial(_limit, command, pid) for command, pid in zip(commands, pids, strict=True)]


def _limit(command: list[str], pid: int, what: int, soft: int, how: str) -> int:
    words = [*command, "-c", _LIMIT, str(pid), str(what), str(soft), how]
    return int(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


@contextmanager
def connections(url: str, count: int) -> Iterator[None]:
    """Hold connections to a process that say nothing; those that it does not take are not missed."""
    address = urlsplit(url)
    with ExitStack() as held:
        for _ in range(count):
            try:
                connection = socket.create_connection((address.hostname or "", address.port or 80), timeout=5)
            except OSError:
                continue
            held.enter_context(connection)
        yield


@contextmanager
def locked_store(stack: LocalStack | ComposeStack, service: str) -> Iterator[None]:
    """Have another process hold the write lock of a service's database, as a backup tool or a shell may."""
    store = next(one.store for one in services(repository()) if one.name == service)
    assert store is not None
    if isinstance(stack, ComposeStack):
        [container, *_] = _containers(stack, service)
        command = ["docker", "exec", "-i", container["Id"], "python", "-c", _HOLD, f"/data/{store}"]
    else:
        path = stack.state.folder / "data" / service / store
        command = [sys.executable, "-c", _HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        try:
            assert holder.stdout.readline().strip() == "held"
            yield
        finally:
            holder.stdin.close()
            holder.wait(30)


def _containers(stack: ComposeStack, service: str) -> list[dict[str, str]]:
    label = "com.docker.compose.service"
    return [one for one in containers(stack) if one["Config"]["Labels"][label] == service]

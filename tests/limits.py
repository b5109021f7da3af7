"""Takes from running services what a machine may run out of, and gives it back without a restart."""

import os
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
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


def processes(stack: LocalStack | ComposeStack, service: str) -> list[int]:
    """Answer the processes of a service, as this machine numbers them."""
    if isinstance(stack, ComposeStack):
        found = [
            int(line.split(None, 1)[0])
            for container in _containers(stack, service)
            for line in _docker("top", container["Id"], "-eo", "pid,args").splitlines()[1:]
            if line.split(None, 1)[1].startswith("python entrypoint.py")
        ]
    else:
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
def limited(stack: LocalStack | ComposeStack, service: str, what: int, soft: int) -> Iterator[None]:
    """Lower one limit (`resource.RLIMIT_...`) of all processes of a service for a while."""
    with ExitStack() as undo:
        for pid in processes(stack, service):
            try:
                before = resource.prlimit(pid, what)
                resource.prlimit(pid, what, (soft, before[1]))
            except PermissionError:
                pytest.skip("only root may limit the processes of a container")
            undo.callback(resource.prlimit, pid, what, before)
        yield


@contextmanager
def full_disk(stack: LocalStack | ComposeStack, service: str) -> Iterator[None]:
    """Let no file of a service take another byte."""
    with limited(stack, service, resource.RLIMIT_FSIZE, 0):
        yield


@contextmanager
def few_files(stack: LocalStack | ComposeStack, service: str, spare: int) -> Iterator[None]:
    """Let a service open so many more files and connections than it has now."""
    [pid, *_] = processes(stack, service)
    with limited(
        stack, service, resource.RLIMIT_NOFILE, len(list(Path(f"/proc/{pid}/fd").iterdir())) + spare
    ):
        yield


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


def _docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout

"""A child that migrates in its parent's stead, and takes along what Alembic has loaded when it ends: 11 MiB
that a service would keep for good.

It is forked while there is one thread, no event loop and no open database, and then waits: by the time that
the schema may be touched (the one writer's lock is held, the password is known) it would be too late to fork.
What its migration raises is raised in the parent.
"""

import os
import pickle
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import cast

from fountain_common.logging import get_logger

_LENGTH = 8
_standing_by: list["Child"] = []


@dataclass(frozen=True)
class Task:
    """What is to be migrated.

    Attributes:
        url: of the database, without a password.
        password: for it, if it wants one.
        scripts: the folder of migrations.
        secure_delete: SQLite's pragma, as the parent's own connections have it; None elsewhere.
    """

    url: str
    password: str | None = field(repr=False)
    scripts: Path
    secure_delete: int | None


class Child:
    """The process that waits for its one task."""

    def __init__(self, pid: int, line: socket.socket) -> None:
        self._pid, self._line = pid, line
        self._status: int | None = None

    def upgrade(self, task: Task) -> None:
        """Have it done; blocks, and raises what the migration raised.

        Raises:
            RuntimeError: the child has not lived to say how it went, or what was raised does not travel.
        """
        with suppress(OSError):  # it has gone already, and does not answer either
            _send(self._line, pickle.dumps(task))
        answer = _receive(self._line)
        status = self.dismiss()
        if answer is None:
            raise RuntimeError(
                f"The process that migrates has ended ({_how(status)}). The schema is the old or the new "
                "one, and never half of each: start again."
            )
        if answer:
            raise _unpacked(answer)

    def dismiss(self) -> int:
        """Let it go, and wait until it has; answers the status it ended with."""
        if self._status is None:
            self._line.close()
            self._status = 0
            with suppress(ChildProcessError):  # whoever started this ignores children, and so does this
                self._status = os.waitpid(self._pid, 0)[1]
        return self._status


def stand_by() -> None:
    """Fork the child, where that is safe; without one, a process migrates by itself."""
    if sys.platform != "linux" or threading.active_count() != 1:
        return
    # What both need is loaded once, before they go their ways.
    import_module("fountain_common.db")
    sys.stdout.flush()
    sys.stderr.flush()
    ours, its = socket.socketpair()
    try:
        pid = os.fork()
    except OSError as error:  # no room for another process: then this one migrates by itself
        get_logger().warning("no_child_to_migrate", exc_info=error)
        ours.close()
        its.close()
        return
    if pid:
        its.close()
        _standing_by[:] = [Child(pid, ours)]
        return
    try:
        ours.close()
        _serve(its)
        os._exit(0)
    finally:  # the child never goes on where its parent does
        os._exit(1)


@contextmanager
def taken() -> Iterator[Child | None]:
    """Return the child that stands by, if there is one; afterwards it has ended."""
    child = _standing_by.pop() if _standing_by else None
    try:
        yield child
    finally:
        if child is not None:
            child.dismiss()


def _serve(line: socket.socket) -> None:
    # Whoever stops the service tells the parent; when that has gone, so has this.
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    told = _receive(line)
    if told is None:
        return
    threading.Thread(target=_end_with_parent, args=(line,), daemon=True).start()
    answer = _attempt(cast("Task", pickle.loads(told)))  # noqa: S301 - from our own parent
    sys.stdout.flush()
    _send(line, answer)


def _end_with_parent(line: socket.socket) -> None:
    # A parent that was killed holds the writer's lock no more: nothing is committed in its name.
    line.recv(1)
    os._exit(1)


def _attempt(task: Task) -> bytes:
    try:
        import_module("fountain_common.migrations").carry_out(task)
    except Exception as error:  # noqa: BLE001 - it belongs to the parent
        # The frames are here, and do not travel.
        get_logger().error("migration_failed", exc_info=error)
        return _packed(error)
    return b""


def _packed(error: Exception) -> bytes:
    stated = RuntimeError(f"{type(error).__name__}: {error}")
    try:
        return pickle.dumps((stated, pickle.dumps(error)))
    except Exception:  # noqa: BLE001 - whatever an error holds
        return pickle.dumps((stated, b""))


def _unpacked(answer: bytes) -> Exception:
    stated, packed = cast("tuple[Exception, bytes]", pickle.loads(answer))  # noqa: S301 - from our own child
    try:
        return cast("Exception", pickle.loads(packed))  # noqa: S301
    except Exception:  # noqa: BLE001 - a class that is known to the migration alone
        return stated


def _send(line: socket.socket, message: bytes) -> None:
    line.sendall(len(message).to_bytes(_LENGTH) + message)


def _receive(line: socket.socket) -> bytes | None:
    """Return a whole message; None if the other end has gone before."""
    with suppress(OSError), line.makefile("rb") as stream:
        length = stream.read(_LENGTH)
        message = stream.read(int.from_bytes(length))
        if len(length) == _LENGTH and len(message) == int.from_bytes(length):
            return message
    return None


def _how(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"signal {-code}" if code < 0 else f"exit code {code}"

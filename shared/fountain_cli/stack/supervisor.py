"""The process manager of the local runtime: its configuration, and a line to it (supervisor 4.3)."""

import hashlib
import os
import tempfile
import xmlrpc.client
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from supervisor.xmlrpc import Faults, SupervisorTransport  # type: ignore[import-untyped]

_LONGEST_SOCKET_PATH = 100
CONFIGURATION_REFUSED = 78
"""A service's exit status for a wrong setting: starting it again would not help."""

_EXITS = 3
"""Who has exited so often before he was healthy once is not waited for any longer."""


@dataclass(frozen=True)
class Program:
    """One process that is kept running."""

    name: str
    command: tuple[str, ...]
    directory: Path
    environment: Mapping[str, str]
    log: Path
    grace_seconds: int = 20


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") + '"'


def program_section(program: Program) -> str:
    """Write the section of one program. It is started again when it dies, unless it refuses its settings."""
    environment = ",".join(f"{name}={_quoted(value)}" for name, value in sorted(program.environment.items()))
    return "\n".join(
        (
            f"[program:{program.name}]",
            f"command={' '.join(_quoted(word) for word in program.command)}",
            f"directory={str(program.directory).replace('%', '%%')}",
            f"environment={environment}",
            "autorestart=unexpected",
            f"exitcodes={CONFIGURATION_REFUSED}",
            "startsecs=1",
            "startretries=1000",
            "stopasgroup=false",
            "killasgroup=true",
            f"stopwaitsecs={program.grace_seconds}",
            f"stdout_logfile={str(program.log).replace('%', '%%')}",
            "redirect_stderr=true",
            "stdout_logfile_maxbytes=10MB",
            "stdout_logfile_backups=2",
            "",
        )
    )


def configuration(programs: Iterable[Program], *, run: Path, socket: Path) -> str:
    """Write the whole configuration.

    Args:
        programs: what is to run.
        run: the folder for the manager's own pid and log.
        socket: where it listens for commands; only this user may.
    """
    escaped = str(run).replace("%", "%%")
    head = "\n".join(
        (
            "; Written anew at every start.",
            "[supervisord]",
            f"pidfile={escaped}/supervisord.pid",
            f"logfile={escaped}/supervisord.log",
            "logfile_maxbytes=1MB",
            "logfile_backups=1",
            "umask=077",
            "minfds=1024",
            "[unix_http_server]",
            f"file={str(socket).replace('%', '%%')}",
            "chmod=0600",
            "[rpcinterface:supervisor]",
            "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
            "",
        )
    )
    return head + "\n" + "\n".join(program_section(program) for program in programs)


def hopeless(log: str, process: str) -> bool:
    """Say whether a process keeps exiting, by what the manager has logged since the start (pure)."""
    exits = [line for line in log.splitlines() if f" exited: {process} (" in line]
    refused = f"(exit status {CONFIGURATION_REFUSED};"
    return len(exits) >= _EXITS or any(refused in line for line in exits) or f" gave up: {process} " in log


def socket_path(run: Path) -> Path:
    """Return where the manager listens: beside its state, or in a short path if that one is too long."""
    beside = run / "supervisor.sock"
    if len(str(beside)) <= _LONGEST_SOCKET_PATH:
        return beside
    digest = hashlib.sha256(str(run).encode()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"fountain-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(
            f"{folder} belongs to somebody else; set TMPDIR or a shorter FOUNTAIN_STATE_DIR."
        )
    return folder / f"{digest}.sock"


class Supervisor:
    """A line to the manager behind this socket."""

    def __init__(self, socket: Path) -> None:
        self._transport = SupervisorTransport(None, None, f"unix://{socket}")
        # The address is not used: the transport goes to the socket.
        self._proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=self._transport)

    def call(self, method: str, *arguments: object) -> Any:
        """Call a method of supervisor's `supervisor.*` interface; OSError where no manager answers."""
        try:
            return getattr(self._proxy.supervisor, method)(*arguments)
        finally:
            self._transport.close()

    def tell_to_stop(self, process: str) -> None:
        """Tell a process to end, and do not wait; one that has ended since it was last looked at has."""
        try:
            self.call("stopProcess", process, False)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != Faults.NOT_RUNNING:
                raise

    def answers(self) -> bool:
        """Say whether a manager is there."""
        try:
            return bool(self.call("getState"))
        except (OSError, xmlrpc.client.Error):
            return False

    def processes(self) -> dict[str, dict[str, Any]]:
        """Return what the manager knows of each process, by name: `pid`, `statename`, `exitstatus`."""
        found = cast("list[dict[str, Any]]", self.call("getAllProcessInfo"))
        return {process["name"]: process for process in found}

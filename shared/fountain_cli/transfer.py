"""A backup on its way between a file of this person and the program beside the database.

It goes through the pipes of the program: so it needs no folder that both can write to, belongs to whoever
asked for it, and is under its name only when all of it is there.
"""

import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, BinaryIO

from fountain_cli.exits import CommandError
from fountain_cli.stack import Errand

_PIECE = 1024 * 1024

Progress = Callable[[int], None]
"""Is told how many bytes have gone so far."""


def fetch(errand: Errand, passphrase: str, target: Path, progress: Progress) -> dict[str, Any]:
    """Write what the program sends into a file that is not there yet; return the program's report.

    Raises:
        CommandError: the program failed, or not all arrived. There is no file then.
        OSError: it cannot be written here; there is no file either.
    """
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)  # mode 0600
    partial = Path(name)
    try:
        with os.fdopen(handle, "wb") as file, _running(errand) as (program, said):
            _send(program, [f"{passphrase}\n".encode()])
            digest, size = hashlib.sha256(), 0
            assert program.stdout is not None  # noqa: S101 - it is a pipe
            while piece := program.stdout.read(_PIECE):
                file.write(piece)
                digest.update(piece)
                size += len(piece)
                progress(size)
            report = _report(program, said)
            if (report.get("bytes"), report.get("sha256")) != (size, digest.hexdigest()):
                raise CommandError("The backup did not arrive whole. Nothing was written; try again.")
            file.flush()
            os.fsync(file.fileno())
        partial.rename(target)
    finally:
        partial.unlink(missing_ok=True)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return report


def bring(errand: Errand, passphrase: str, source: BinaryIO, progress: Progress) -> dict[str, Any]:
    """Send a file to the program; return the program's report.

    Raises:
        CommandError: the program failed.
    """

    def pieces() -> Iterator[bytes]:
        yield f"{passphrase}\n".encode()
        size = 0
        while piece := source.read(_PIECE):
            yield piece
            size += len(piece)
            progress(size)

    with _running(errand, stdout=subprocess.DEVNULL) as (program, said):
        _send(program, pieces())
        return _report(program, said)


@contextmanager
def _running(
    errand: Errand, stdout: int = subprocess.PIPE
) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    with (
        # What it says goes to a file: a pipe that nobody empties meanwhile would stop it.
        tempfile.TemporaryFile() as said,
        subprocess.Popen(  # noqa: S603
            errand.command,
            cwd=errand.directory,
            env=errand.environment,
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=said,
        ) as program,
    ):
        try:
            yield program, said
        except BaseException:
            program.terminate()
            raise


def _send(program: subprocess.Popen[bytes], pieces: Iterable[bytes]) -> None:
    """Write to the program, which may refuse before it has read everything."""
    assert program.stdin is not None  # noqa: S101 - it is a pipe
    with suppress(BrokenPipeError):
        for piece in pieces:
            program.stdin.write(piece)
    with suppress(BrokenPipeError):
        program.stdin.close()


def _report(program: subprocess.Popen[bytes], said: IO[bytes]) -> dict[str, Any]:
    status = program.wait()
    said.seek(0)
    lines = [line for line in said.read().decode(errors="replace").splitlines() if line.strip()]
    if status:
        raise CommandError("\n".join(lines[-5:]) or f"The program beside the database ended with {status}.")
    for line in reversed(lines):
        with suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict):
                return found
    raise CommandError("The program beside the database did not say what it did.")

"""Child processes of a benchmark: started on free ports, waited for, and ended by pid."""

import contextlib
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path


class NotRun(Exception):
    """A row that this machine cannot measure, with the reason. It is reported, never guessed."""


class Broken(Exception):
    """What was to be measured did not keep its promise, such as an event that was lost: a floor missed."""


def wait_until(check: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    """Poll `check` until it holds; raise `NotRun` naming `what` when `seconds` have passed."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if check():
            return
        time.sleep(0.05)
    raise NotRun(f"{what} did not come up within {seconds:.0f} s")


def answers(url: str, statuses: tuple[int, ...] = (200,)) -> bool:
    """Whether `url` answers with one of `statuses`; certificates are not looked at (loopback only)."""
    context = ssl._create_unverified_context() if url.startswith("https") else None
    try:
        with urllib.request.urlopen(url, timeout=1, context=context) as response:
            return response.status in statuses
    except urllib.error.HTTPError as error:
        return error.code in statuses
    except OSError:
        return False


@contextlib.contextmanager
def child(
    command: list[str], *, log: Path, env: dict[str, str] | None = None, cwd: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `command` with its output in `log` until the block ends."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=env, cwd=cwd)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

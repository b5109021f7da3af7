"""A platform of its own for a run, beside a user's: free ports, its own names, gone afterwards."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fountain_cli.stack import ComposeStack, LocalStack, Ports, Stack, StackError
from fountain_cli.stack.choice import engine_answers
from fountain_cli.stack.layout import EDGE, repository, services

from chaos.run import SETTINGS
from chaos.scene import CONSUMER

PROJECT = "fountain-chaos"
REPLICAS = 3


def chosen(runtime: str | None) -> str:
    """Return the runtime that was asked for, or the one that `make up` would take.

    Raises:
        StackError: containers were asked for and no engine answers.
    """
    if runtime == "local":
        return "local"
    if engine_answers():
        return "docker"
    if runtime == "docker":
        raise StackError("No Docker engine with Compose answers. Start it, or use runtime=local.")
    return "local"


@contextmanager
def own_stack(runtime: str) -> Iterator[ComposeStack | LocalStack]:
    """Start a platform for one run and remove it in the end, whatever happens.

    Raises:
        StackError: another run in this runtime is going on, or the platform does not start.
    """
    folder = repository() / ".fountain" / "chaos"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    stack = _stack(runtime, folder)
    with started(stack):
        yield stack


@contextmanager
def started(stack: ComposeStack | LocalStack) -> Iterator[None]:
    """Run a platform that begins empty and is used by one run at a time; remove it in the end.

    Its project or its folder bears the same name in each run, so that a run that was killed leaves nothing
    for ever: the next one removes it.

    Raises:
        StackError: another run has it, or it does not start.
    """
    path, name = _lock(stack)
    # Not through a link: anybody may put one into a common folder.
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError(f"Another run has the platform {name}. Wait for its end, or stop it.") from None
        stack.stop(remove=True)
        try:
            stack.start()
            yield
        finally:
            stack.stop(remove=True)


def _lock(stack: ComposeStack | LocalStack) -> tuple[Path, str]:
    """Return the file that only one run may hold, and what its platform is called.

    All clones of a machine have one engine, and their runs the same project there.
    """
    if isinstance(stack, ComposeStack):
        return Path(tempfile.gettempdir()) / f"{stack.project}-{os.getuid()}.lock", stack.project
    folder = stack.state.folder
    return folder.with_name(f"{folder.name}.lock"), str(folder)


def _stack(runtime: str, folder: Path) -> ComposeStack | LocalStack:
    ports = Ports.free(services(repository()))
    if runtime == "local":
        return LocalStack(folder / "local", ports, {CONSUMER: REPLICAS}, settings=SETTINGS)
    return ComposeStack(
        PROJECT,
        http_port=ports.http,
        https_port=ports.https,
        network=PROJECT,
        replicas={CONSUMER: REPLICAS},
        files=("compose.yaml", "tests/compose.yaml"),
        settings=SETTINGS,
    )


def keep_logs(stack: Stack, folder: Path) -> None:
    """Write down what every service has logged, before the platform is removed."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in (*(service.name for service in services(repository())), EDGE):
        path = folder / f"{name}.log"
        path.write_text(stack.logs(name))
        os.chmod(path, 0o600)

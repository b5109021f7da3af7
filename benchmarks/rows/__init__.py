"""The rows, in the order of the table; one module a subject.

A row names its budgets and measures them in a `Run`, which holds what rows share: rounds, and one platform.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from fountain_cli.api import Api
from fountain_cli.stack import LocalStack
from fountain_cli.stack.layout import repository, services
from fountain_cli.stack.ports import Ports

from benchmarks.measure import Budget, Result

REPLICAS = 3


@dataclass
class Run:
    """One run: a folder, rounds a row, seconds of load a round, and a platform started on demand."""

    folder: Path
    rounds: int
    seconds: float
    closing: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @cached_property
    def stack(self) -> LocalStack:
        """The platform as local processes at free ports, with three instances of the example consumer."""
        ports = Ports.free(services(repository()))
        stack = LocalStack(self.folder / "platform", ports, {"example-consumer": REPLICAS})
        self.closing.callback(stack.stop)
        stack.start()
        return stack

    @cached_property
    def api(self) -> Api:
        """The platform's interfaces, as its administrator."""
        return self.closing.enter_context(Api(self.stack.admin_key(), self.stack.client))

    def bearer(self, service: str | None = None) -> dict[str, str]:
        """The header of an administrator's token."""
        return {"Authorization": f"Bearer {self.api.token(service)}"}

    def peer_folder(self, name: str) -> Path:
        """A new folder for a peer."""
        number = len(list(self.folder.glob(f"{name}-*")))
        return self.folder / f"{name}-{number}"


@dataclass(frozen=True)
class Row:
    """What is measured: its budgets, the peer, and how."""

    name: str
    peer: str
    budgets: tuple[Budget, ...]
    measure: Callable[[Run], Iterator[Result]]


def all_rows() -> tuple[Row, ...]:
    """Every row, in the order of the table."""
    from benchmarks.rows import events, growth, inside, library, lookup, revocation, secrets, start

    return (
        *library.ROWS,
        *secrets.ROWS,
        *lookup.ROWS,
        *inside.ROWS,
        *events.ROWS,
        *revocation.ROWS,
        *start.ROWS,
        *growth.ROWS,
    )

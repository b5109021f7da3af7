"""What somebody wants to change about a secret."""

from collections.abc import Callable
from dataclasses import dataclass, field

from fountain_common.auth import Caller

from secrets_manager.idempotency import IdempotencyKey
from secrets_manager.recording import Record
from secrets_manager.values import Values


@dataclass(frozen=True)
class Intent:
    """A change that a caller asks for (None: the service itself), and under which conditions."""

    caller: Caller | None
    operation: str = "rotate"
    key: IdempotencyKey | None = None
    if_match: str | None = None
    immediate: bool = False

    @property
    def by(self) -> str:
        """Who asks."""
        return "secrets-manager" if self.caller is None else self.caller.subject


@dataclass(frozen=True)
class Wish:
    """A rotation that is asked for: of what, to which values (how much of them is given), and what records
    it.
    """

    service_name: str
    intent: Intent
    change: Callable[[Values], Values] = field(repr=False)
    record: Record = field(repr=False)
    given_bytes: int = 0

    @property
    def alone(self) -> frozenset[object]:
        """What no two wishes of one transaction have in common: each must see what the other did."""
        key = self.intent.key
        return frozenset({self.service_name, None if key is None else (key.caller, key.key)} - {None})

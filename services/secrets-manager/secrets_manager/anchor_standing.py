"""How an anchor that is kept elsewhere stands to the history in the database. Pure.

An anchor outside of this machine is of use for as long as it is there. So none is put in its place that says
less: not behind a history that it contradicts, or that ends before it.
"""

from dataclasses import dataclass

from secrets_manager.audit_verify import KnownHead
from secrets_manager.epochs import Epoch


@dataclass(frozen=True, slots=True)
class Remembered:
    """An anchor as it was read, of which epoch, and when it was signed in seconds since 1970.

    What is no anchor at all was never signed, and is of no epoch.
    """

    known: KnownHead
    epoch: str = ""
    at: float = float("inf")


@dataclass(frozen=True, slots=True)
class Doubt:
    """What contradicts the history in the database: who remembers what."""

    source: str
    seq: int
    reason: str

    def __str__(self) -> str:
        return f"{self.source} {self.reason}"


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether an anchor is of another history, which ended before this one began, and whether it contradicts
    this one. Neither: it is part of this history, or there is none.
    """

    past: bool = False
    doubt: Doubt | None = None


def standing(remembered: Remembered, epoch: Epoch, head: int, found: bytes | None) -> Standing:
    """Compare.

    Args:
        remembered: the anchor.
        epoch: of the database, and when it began.
        head: the newest record in the database.
        found: the hash of the record that the anchor is of; None if that is not there.
    """
    known = remembered.known
    if remembered.epoch != epoch.name and remembered.at < epoch.began_at:
        return Standing(past=True)
    seq = known.head.seq
    if not known.genuine:
        reason = "is not an anchor of this audit"
    elif seq > head:
        reason = f"remembers record {seq}, and the newest here is {head}: an older database was put back"
    elif found is None:
        reason = f"remembers record {seq}, which is neither here nor was it pruned after it was anchored"
    elif found != known.head.hash:
        reason = f"remembers another record {seq} than there is: an older database was put back"
    else:
        return Standing()
    return Standing(doubt=Doubt(known.source, seq, reason))

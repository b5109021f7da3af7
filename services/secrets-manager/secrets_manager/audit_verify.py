"""Finding what was done to the audit, and naming the rows. Pure: rows, heads and anchors are passed in.

edited      its content, or its hash, is not what was written
inserted    it was not written here
removed     rows are missing between two others
reordered   it was written in another place
truncated   rows are missing at the end, which the head or an anchor remembers
anchor      an anchor's signature is wrong, or it remembers another record in this place
head        the stored head was not written here
rows        identities, keys or grants are not those that the newest record about them left (row_state.py)
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from secrets_manager.audit_chain import ChainKey, Head, Record, record_hash

_MAX_PROBLEMS: Final = 100
_MAX_CANDIDATES: Final = 500


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with the rows from `first` to `last`."""

    kind: str
    first: int
    last: int
    detail: str


@dataclass(frozen=True, slots=True)
class KnownHead:
    """A head that is remembered somewhere, and whether what vouches for it holds (a code or a signature)."""

    source: str
    head: Head
    genuine: bool


@dataclass(slots=True)
class Report:
    """What verification found. `intact` is the one word that counts.

    `next` is where to go on behind; None when the end was reached.
    """

    records: int = 0
    first: int = 0
    head: Head = field(default_factory=lambda: Head(0, b""))
    findings: list[Finding] = field(default_factory=list)
    more: bool = False
    heads_checked: int = 0
    next: int | None = None

    @property
    def intact(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


class Verification:
    """One pass over the rows, in the order of `seq`.

    Args:
        key: tells genuine records from others.
        start: what the oldest row follows: `Head(0, GENESIS)`, or the end of the last pruned segment.
        known: remembered heads, from the database and from outside of it.
        broken: the row at the start is not whole itself, so that a link to it says nothing.
    """

    def __init__(
        self, key: ChainKey, start: Head, known: Iterable[KnownHead], *, broken: bool = False
    ) -> None:
        self._key = key
        self._last = start  # the newest record that was written here, as far as can be told
        self._position = start.seq
        self._known = sorted(known, key=lambda known: known.head.seq)
        self._next_known = 0
        self._compared = 0  # heads that were compared and are not kept any more
        self._broken = broken  # the record before was not whole, so that a link to it says nothing
        self._forged: Record | None = None
        self._misplaced: list[Record] = []
        self._start = start
        self._report = Report(first=start.seq + 1, head=start)

    @classmethod
    def behind(cls, key: ChainKey, record: Record, known: Iterable[KnownHead]) -> "Verification":
        """Begin behind a record that was gone over before."""
        whole = key.made(record) and record_hash(record.seq, record.entry, record.previous) == record.hash
        return cls(key, Head(record.seq, record.hash), known, broken=not whole)

    @property
    def position(self) -> int:
        """Where the last row lay."""
        return self._position

    def remember(self, known: Iterable[KnownHead]) -> None:
        """Take further heads, of rows that are still to come; those that were compared may be forgotten."""
        here = [one for one in self._known[: self._next_known] if one.head.seq == self._last.seq]
        self._compared += self._next_known - len(here)
        ahead = sorted([*self._known[self._next_known :], *known], key=lambda one: one.head.seq)
        self._known, self._next_known = [*here, *ahead], len(here)

    def feed(self, record: Record) -> None:
        """Take the next row."""
        self._report.records += 1
        if record.seq > self._position + 1:
            self._note("removed", self._position + 1, record.seq - 1, "rows are missing")
            self._broken = True
        self._settle_forged(record)
        self._position = record.seq
        self._check_known(record)
        if not self._key.made(record):
            self._forged = record
            return
        if record_hash(record.seq, record.entry, record.previous) != record.hash:
            self._keep_misplaced(record)
            self._last, self._broken = Head(record.seq, record.hash), True
            return
        if record.previous != self._last.hash and not self._broken:
            self._note("edited", record.seq, record.seq, "it does not follow the row before it")
        self._last = Head(record.seq, record.hash)
        self._broken = False

    def pause(self, following: Record) -> Report:
        """Say what was found so far, before this row, behind which it goes on another time."""
        self._settle_forged(following)
        self._settle_misplaced()
        self._report.next = self._position
        return self._told()

    def finish(self) -> Report:
        """Say what was found, at the end."""
        self._settle_forged(None)
        self._settle_misplaced()
        for known in self._known[self._next_known :]:
            self._judge_beyond(known)
        self._next_known = len(self._known)
        return self._told()

    def _told(self) -> Report:
        self._report.head = self._last
        self._report.heads_checked = self._compared + self._next_known
        self._report.findings.sort(key=lambda finding: (finding.first, finding.kind))
        return self._report

    def _settle_forged(self, following: Record | None) -> None:
        """A row that was not written here took another's place, or was put between two.

        The next row tells.
        """
        forged, self._forged = self._forged, None
        if forged is None:
            return
        remembered = {
            known.head.hash for known in self._known if known.genuine and known.head.seq == self._last.seq
        }
        closes = following.previous == self._last.hash if following else self._last.hash in remembered
        if closes:
            self._note("inserted", forged.seq, forged.seq, "it was not written by the secrets manager")
        else:
            self._note("edited", forged.seq, forged.seq, "its hash was not made by the secrets manager")
            self._broken = True

    def _keep_misplaced(self, record: Record) -> None:
        """Keep a row until all places are known where it may have been; so many that memory has an end."""
        if len(self._misplaced) < _MAX_CANDIDATES:
            self._misplaced.append(record)
        else:
            self._note("edited", record.seq, record.seq, "its content or its place is not what was written")

    def _settle_misplaced(self) -> None:
        candidates = {record.seq for record in self._misplaced}
        for record in self._misplaced:
            places = candidates | {record.seq - 1, record.seq + 1}
            origin = [
                place for place in places if record_hash(place, record.entry, record.previous) == record.hash
            ]
            if origin:
                self._note("reordered", record.seq, record.seq, f"it was written as {origin[0]}")
            else:
                self._note("edited", record.seq, record.seq, "its content is not what was written")

    def _check_known(self, record: Record) -> None:
        while self._next_known < len(self._known) and self._known[self._next_known].head.seq <= record.seq:
            known = self._known[self._next_known]
            self._next_known += 1
            if not known.genuine:
                self._note_not_genuine(known)
            elif known.head.seq == record.seq and known.head.hash != record.hash:
                self._note(
                    "anchor", record.seq, record.seq, f"{known.source} remembers another record in this place"
                )

    def _judge_beyond(self, known: KnownHead) -> None:
        if not known.genuine:
            self._note_not_genuine(known)
        elif known.head.seq > self._position:
            self._note("truncated", self._position + 1, known.head.seq, f"{known.source} remembers them")

    def _note_not_genuine(self, known: KnownHead) -> None:
        kind = "head" if known.source == "head" else "anchor"
        self._note(
            kind, known.head.seq, known.head.seq, f"{known.source} was not made by the secrets manager"
        )

    def _note(self, kind: str, first: int, last: int, detail: str) -> None:
        if len(self._report.findings) < _MAX_PROBLEMS:
            self._report.findings.append(Finding(kind, first, last, detail))
        else:
            self._report.more = True

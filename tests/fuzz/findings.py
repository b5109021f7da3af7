"""What a run has asked, and what it has found."""

from collections import Counter
from dataclasses import dataclass, field

from wire import Answer, Request

MAX_SHOWN = 300
"""Characters of a body in a finding."""


class Tally:
    """Counts requests and answers, by service and caller."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self._fine: dict[tuple[str, str], set[bool]] = {}
        self._empty: set[str] = set()
        self.findings = 0

    def add(
        self, service: str, operation: str, caller: str, status: int, *, called_well: bool = False
    ) -> None:
        """Count an answer; `called_well` is one to a request that was written by hand."""
        self._counts[service, caller, f"{status // 100}xx"] += 1
        fine = self._fine.setdefault((service, operation), set())
        if status < 400:
            fine.add(called_well)

    def never_fine(self) -> list[str]:
        """Return the operations whose success nobody has seen, so that its schema was not compared."""
        return self._named(set())

    def never_by_chance(self) -> list[str]:
        """Return those whose success was only seen because they were called well."""
        return self._named({True})

    def _named(self, seen: set[bool]) -> list[str]:
        return sorted(
            f"{operation} at {service}" for (service, operation), fine in self._fine.items() if fine == seen
        )

    def add_empty(self, service: str, operation: str, mode: str) -> None:
        """Note that nothing of a mode could be generated for an operation."""
        self._empty.add(f"{operation} at {service} ({mode})")

    def empty(self) -> list[str]:
        """Return the operations for which nothing was generated, and of which mode."""
        return sorted(self._empty)

    def services(self) -> list[str]:
        return sorted({service for service, _, _ in self._counts})

    def count(self, service: str, caller: str, kind: str = "") -> int:
        return sum(
            number
            for (of, by, what), number in self._counts.items()
            if (of, by) == (service, caller) and kind in ("", what)
        )

    def line(self, service: str, caller: str) -> str:
        """Such as `120 (31 fine)`."""
        return f"{self.count(service, caller)} ({self.count(service, caller, '2xx')} fine)"

    def total(self) -> int:
        return sum(self._counts.values())


@dataclass
class Findings:
    """The first example of everything that is wrong, by what it is."""

    found: dict[tuple[str, str], str] = field(default_factory=dict)

    def add(self, operation: str, what: str, caller: str, request: Request, answer: Answer) -> None:
        self.found.setdefault((operation, what), _told(caller, request, answer))

    def text(self) -> str:
        return "\n\n".join(f"{where}: {what}\n{example}" for (where, what), example in self.found.items())


def _told(caller: str, request: Request, answer: Answer) -> str:
    hidden = (b"authorization", b"x-api-key")
    headers = [(name, b"..." if name.lower() in hidden else value[:80]) for name, value in request.headers]
    return (
        f"  {caller}: {request.method} {request.target[:MAX_SHOWN]}\n  {headers}\n"
        f"  {b''.join(request.chunks)[:MAX_SHOWN]!r}\n"
        f"  answer: {answer.status} {answer.header('content-type')} {answer.body[:MAX_SHOWN]!r}\n"
        f"{answer.raised}"
    )

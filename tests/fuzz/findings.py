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
        self._fine: dict[tuple[str, str], bool] = {}
        self.findings = 0

    def add(self, service: str, operation: str, caller: str, status: int) -> None:
        self._counts[service, caller, f"{status // 100}xx"] += 1
        self._fine[service, operation] = status < 400 or self._fine.get((service, operation), False)

    def never_fine(self) -> list[str]:
        """Answer the operations whose success nobody has seen, so that its schema was not compared."""
        return sorted(
            f"{operation} at {service}" for (service, operation), fine in self._fine.items() if not fine
        )

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

"""What each service keeps: one more of them, and whether it has one."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx2
from steward import Steward

REFUSED = 503
FOUND, ABSENT = 200, 404


@dataclass(frozen=True)
class Kind:
    """A thing that a service keeps: the path and body of a request that adds the one of a mark, and whether
    the service has that one.
    """

    one: Callable[[str], tuple[str, dict[str, Any]]]
    has: Callable[[Steward, str], bool]


def _listed(service: str, path: str) -> Callable[[Steward, str], bool]:
    def has(steward: Steward, mark: str) -> bool:
        answer = steward.ask("GET", service, path)
        assert answer.status_code == FOUND, answer.text
        return mark in answer.text

    return has


def _has_factor(steward: Steward, mark: str) -> bool:
    answer = steward.ask("GET", "two-factor", f"/factors/{mark}")
    assert answer.status_code in (FOUND, ABSENT), answer.text
    return answer.status_code == FOUND


KEEPING = {
    "secrets-manager": Kind(
        lambda mark: (f"/secrets/{mark}", {"A": "b" * 20}),
        _listed("secrets-manager", "/secrets?limit=500"),
    ),
    "notification": Kind(
        lambda mark: ("/notifications", {"type": "order.placed", "subject": mark}),
        lambda steward, mark: mark in str(steward.events(type="order.placed")),
    ),
    "gateway-lookup": Kind(
        lambda mark: ("/registry", {"service_name": mark, "url": "http://example.com"}),
        _listed("gateway-lookup", "/registry?limit=500"),
    ),
    "two-factor": Kind(lambda mark: ("/factors", {"username": mark}), _has_factor),
    "action": Kind(
        lambda mark: ("/actions", {"description": mark, "characterId": 7}),
        _listed("action", "/actions?limit=500"),
    ),
}


class Store:
    """A service that keeps things.

    Args:
        steward: an administrator.
        service: its name.
    """

    def __init__(self, steward: Steward, service: str) -> None:
        self.steward, self.service, self._kind = steward, service, KEEPING[service]

    def add(self, mark: str) -> httpx2.Response:
        """Ask it to keep one more."""
        path, body = self._kind.one(mark)
        return self.steward.ask("POST", self.service, path, json=body)

    def refuses(self, mark: str) -> None:
        """Ask it to keep one more, which it cannot."""
        assert_refused(self.add(mark))

    def has(self, mark: str) -> bool:
        """Tell whether it has this one."""
        return self._kind.has(self.steward, mark)

    def health(self) -> httpx2.Response:
        """Ask how it is."""
        return self.steward.at(self.service).get("/health")

    def is_unwell(self) -> bool:
        """Tell that it says that nothing can be written."""
        answer = self.health()
        assert answer.status_code == REFUSED, answer.text
        assert answer.json()["checks"]["database"] == "failing", answer.text
        return True

    def is_well(self) -> bool:
        """Tell that it misses nothing."""
        return is_well(self.health())


def is_well(health: httpx2.Response) -> bool:
    """Tell that who says so misses nothing."""
    assert health.status_code == FOUND, health.text
    assert set(health.json()["checks"].values()) == {"ok"}, health.text
    return True


def assert_refused(answer: httpx2.Response) -> None:
    """Make sure that it was said what to do, as all refusals are."""
    assert answer.status_code == REFUSED, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert "try again" in answer.json()["detail"], answer.text


def mark() -> str:
    """Return a name that nobody has."""
    return f"mark-{secrets.token_hex(6)}"

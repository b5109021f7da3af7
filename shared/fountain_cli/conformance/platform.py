"""What stands around a service that is checked: the platform, asked as an administrator, and the runtime."""

from typing import Any, Protocol

import httpx2

from fountain_cli.conformance.missing import NotChecked

_NOT_FOUND = 404


class Ask(Protocol):
    """Sends a request with an administrator's token to a service of the platform."""

    def __call__(self, service: str, method: str, path: str, **options: Any) -> httpx2.Response:
        """Return whatever the service answers."""
        ...


class Keeper(Protocol):
    """The runtime that keeps the service: `fountain_cli.stack.Stack` is one."""

    def logs(self, service: str) -> str:
        """Return what all processes of the service have logged."""
        ...

    def halt(self, service: str) -> None:
        """Stop them in good order."""
        ...

    def resume(self, service: str) -> None:
        """Start them again."""
        ...

    def wait_healthy(self, service: str) -> None:
        """Wait until they are healthy."""
        ...


class Platform:
    """The platform as one service's place in it.

    Args:
        service: its name.
        ask: how the platform's services are asked.
    """

    def __init__(self, service: str, ask: Ask) -> None:
        self.service, self._ask = service, ask

    def get(self, service: str, path: str, **params: Any) -> Any:
        """GET as JSON; None for a 404.

        Raises:
            NotChecked: it cannot be had; says why.
        """
        return self.call(service, "GET", path, params=params)

    def call(self, service: str, method: str, path: str, **options: Any) -> Any:
        """Ask for JSON; None for a 404 and for an empty answer. Raises `NotChecked`."""
        try:
            answer = self._ask(service, method, path, **options)
        except httpx2.HTTPError as error:
            raise NotChecked(f"{service} does not answer ({type(error).__name__})") from None
        if answer.status_code == _NOT_FOUND:
            return None
        if not answer.is_success:
            raise NotChecked(f"{service} answered {answer.status_code} to {method} {path}")
        return answer.json() if answer.content else None

    def instances(self) -> list[dict[str, Any]]:
        """Return the leases that the gateway has for the service, those that have ended not counted."""
        entry = self.get("gateway-lookup", f"/registry/{self.service}")
        return [one for one in (entry or {}).get("instances", []) if one["status"] in ("up", "draining")]

    def newest(self, event_type: str) -> dict[str, Any] | None:
        """Return the newest event of this type about the service; None if there never was one."""
        event: dict[str, Any] | None = self.get(
            "notification", "/notifications/retained", type=event_type, subject=self.service
        )
        return event

    def position(self) -> int:
        """Return the position of the newest event about the service that is in the log."""
        started = self.newest("service.started")
        since = int(started["position"]) if started else 0
        return max((int(event["position"]) for event in self.events_since(since)), default=since)

    def events_since(self, position: int) -> list[dict[str, Any]]:
        """Return the events about the service after a position of the log."""
        found: list[dict[str, Any]] = []
        after: int | None = position
        while after is not None:
            query = {"after": after, "subject": self.service, "limit": 500}
            page = self.get("notification", "/notifications", **query) or {}
            found += page.get("items", [])
            after = page.get("next") if page.get("items") else None
        return found

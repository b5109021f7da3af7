"""Who stores the events that a service publishes."""

from typing import Any, Protocol

from fountain_common.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    PayloadTooLarge,
    Problem,
    TooManyRequests,
    Unavailable,
    Unprocessable,
)
from fountain_common.http import Peers

_PROBLEMS: dict[int, type[Problem]] = {
    kind.status: kind
    for kind in (
        BadRequest,
        Forbidden,
        Conflict,
        PayloadTooLarge,
        Unprocessable,
        TooManyRequests,
    )
}


class TokenNotHonoured(Unavailable):
    """The log does not honour this service's own token, such as one of a new signing key that it has not
    fetched. That is wrong with us, and not with whoever asked us: a 503.
    """


class Publisher(Protocol):
    """Who stores events."""

    async def publish(self, event: dict[str, Any], idempotency_key: str) -> dict[str, Any]:
        """Return the stored event. Raises a `Problem` when it is not stored."""
        ...

    async def publish_all(self, events: bytes) -> None:
        """Store a JSON array of events with ids, in its order. Raises a `Problem` when none is stored."""
        ...


class PeerPublisher:
    """Publishes at the notification service."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers

    async def publish(self, event: dict[str, Any], idempotency_key: str) -> dict[str, Any]:
        """Send `POST /notifications`; see `Publisher`."""
        response = await self._peers.post(
            "notification", "/notifications", json=event, headers={"Idempotency-Key": idempotency_key}
        )
        if response.status_code in (200, 201):
            stored = _document(response)
            if stored:
                return stored
        raise _problem(response)

    async def publish_all(self, events: bytes) -> None:
        """Send `POST /notifications/batch`; see `Publisher`."""
        response = await self._peers.post(
            "notification",
            "/notifications/batch",
            content=events,
            headers={"Content-Type": "application/json"},
        )
        if response.status_code in (404, 405):
            # Older than this library, while both are brought up to date.
            raise BadRequest("This notification service takes one event at a time.")
        if response.status_code != 201:
            raise _problem(response)


def _problem(response: Any) -> Problem:
    kind = _PROBLEMS.get(response.status_code, Unavailable)
    if response.status_code == 401:
        kind = TokenNotHonoured
    return kind(_detail(response) or f"The notification service answered {response.status_code} to an event.")


def _detail(response: Any) -> str:
    return str(_document(response).get("detail") or "")


def _document(response: Any) -> dict[str, Any]:
    try:
        found = response.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}

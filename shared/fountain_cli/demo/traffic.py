"""Clients that sign and open links while a secret rotates, and count what fails."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2

TARGET = "https://example.com/"
_LINK_SECONDS = 60
_OPENED = 307
_PAUSE_SECONDS = 0.1


@dataclass
class Count:
    """What the clients saw."""

    requests: int = 0
    failures: list[str] = field(default_factory=list)


def sign(client: httpx2.Client) -> dict[str, Any]:
    """Have a link signed and return it; the client brings its credentials."""
    answer = client.post("/links", json={"target": TARGET, "ttl_seconds": _LINK_SECONDS})
    answer.raise_for_status()
    link: dict[str, Any] = answer.json()
    return link


def open_link(client: httpx2.Client, link: dict[str, Any]) -> int:
    """Open a link and return the status: 307 leads to the target, 410 is gone."""
    return client.get(f"/links/{link['token']}", follow_redirects=False).status_code


class Traffic:
    """A few clients at work in the background, from entering to leaving.

    Args:
        open_client: answers a client of the service that signs, with credentials.
        clients: how many work at the same time.
    """

    def __init__(self, open_client: Callable[[], httpx2.Client], clients: int = 3) -> None:
        self.count = Count()
        self._open_client = open_client
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(clients)]

    def __enter__(self) -> Count:
        for thread in self._threads:
            thread.start()
        return self.count

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=30)

    def _work(self) -> None:
        """Sign a link, open it, and begin again. Each link is opened at once, so that none may be gone."""
        with self._open_client() as client:
            while not self._stop.wait(_PAUSE_SECONDS):
                try:
                    status = open_link(client, sign(client))
                    failure = None if status == _OPENED else f"a fresh link was answered with {status}"
                except httpx2.HTTPError as error:
                    failure = f"{type(error).__name__}: {error}"
                with self._lock:
                    self.count.requests += 2
                    if failure:
                        self.count.failures.append(failure)

"""An administrator at the edge: what the journeys do to a running platform, in a line each."""

import secrets
import threading
import time
from contextlib import suppress
from typing import Any

import httpx2
from fountain_cli.stack import Stack
from polling import poll_until

CONSUMER = "example-consumer"
REPLICAS = 3
TARGET = "https://example.com/a?b=c"
_TOKEN_SECONDS = 600
_RENEW_SECONDS = 3


class Steward:
    """Holds the administrator's tokens and a client of each service, all through Caddy.

    Args:
        stack: the platform, running.
    """

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._clients: dict[str, httpx2.Client] = {}
        self._tokens: dict[str, tuple[str, float]] = {}

    def at(self, service: str) -> httpx2.Client:
        """Return a client of a service through the edge, with no credential of its own."""
        if service not in self._clients:
            self._clients[service] = self.stack.client(service)
        return self._clients[service]

    def token(self, audience: str) -> str:
        """Return an administrator's token for one service."""
        token, until = self._tokens.get(audience, ("", 0.0))
        if time.monotonic() >= until:
            token, until = (
                self.fetch_token(self.stack.admin_key(), audience),
                time.monotonic() + _TOKEN_SECONDS,
            )
            self._tokens[audience] = (token, until)
        return token

    def forget_tokens(self) -> None:
        """Fetch new ones from now on: those from before are not honoured any more."""
        self._tokens.clear()

    def fetch_token(self, key: str, audience: str) -> str:
        """Exchange an API key for a token, as any caller from outside does."""
        answer = self.at("secrets-manager").post(
            "/auth/token",
            data={"grant_type": "client_credentials", "client_secret": key, "resource": audience},
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def headers(self, audience: str) -> dict[str, str]:
        """Return the header that lets the administrator in at one service."""
        return {"Authorization": f"Bearer {self.token(audience)}"}

    def ask(self, method: str, service: str, path: str, **options: Any) -> httpx2.Response:
        """Send one request as the administrator, through the edge."""
        headers = {**self.headers(service), **options.pop("headers", {})}
        return self.at(service).request(method, path, headers=headers, **options)

    def manager(self, method: str, path: str, **options: Any) -> Any:
        """Send one request to the Secrets Manager and return its document; only 2xx will do."""
        answer = self.ask(method, "secrets-manager", path, **options)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def overlap(self, seconds: float, *, deadline: float = 300, service: str = CONSUMER) -> None:
        """Have versions drain for so many seconds, from the next rotation on."""
        policy = {"overlap_seconds": seconds, "deadline_seconds": deadline}
        self.manager("PUT", f"/secrets/{service}/rotation-policy", json=policy)

    def rotate(self, service: str = CONSUMER, **body: Any) -> dict[str, Any]:
        """Rotate to new generated values; the answer comes with activation, or after 5 seconds."""
        answer: dict[str, Any] = self.manager(
            "POST",
            f"/secrets/{service}/rotate",
            json=body,
            headers={"Idempotency-Key": secrets.token_hex(16)},
        )
        return answer

    def rotation(self, rotation_id: str) -> dict[str, Any]:
        """Look at a rotation."""
        answer: dict[str, Any] = self.manager("GET", f"/rotations/{rotation_id}")
        return answer

    def wait_for_state(self, rotation_id: str, state: str, timeout: float = 30) -> dict[str, Any]:
        """Wait until a rotation is in this state."""

        def seen() -> dict[str, Any] | None:
            rotation = self.rotation(rotation_id)
            assert rotation["state"] == state, rotation
            return rotation

        found = poll_until(seen, f"rotation {rotation_id} is {state}", timeout)
        assert found is not None
        return found

    def active(self, service: str = CONSUMER) -> int:
        """Return the active version of a service's secrets."""
        return int(self.manager("GET", f"/secrets/{service}")["version"])

    def events(self, **query: Any) -> list[dict[str, Any]]:
        """Return all stored events, page by page."""
        found: list[dict[str, Any]] = []
        after = query.pop("after", None)
        while True:
            params = {"limit": 500, **query} | ({} if after is None else {"after": after})
            answer = self.ask("GET", "notification", "/notifications", params=params)
            assert answer.status_code == 200, answer.text
            page = answer.json()
            found += page["items"]
            if not page["items"] or page.get("next") is None:
                return found
            after = page["next"]


class Replica:
    """One instance of the consumer, reached past the edge."""

    def __init__(self, steward: Steward, number: int) -> None:
        self.steward, self.number = steward, number
        self.client = httpx2.Client(base_url=steward.stack.address(CONSUMER, number), timeout=10)

    def ask(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """Send one request as the administrator."""
        return self.client.request(method, path, headers=self.steward.headers(CONSUMER), **options)

    def status(self) -> dict[str, Any]:
        """Return what it says that it holds."""
        answer = self.ask("GET", "/status")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def sign(self) -> str:
        """Have it sign a link."""
        answer = self.ask("POST", "/links", json={"target": TARGET})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["token"])

    def opens(self, token: str) -> int:
        """Return the status with which it opens a link."""
        return self.ask("GET", f"/links/{token}").status_code

    def uses(self, version: int) -> bool:
        """Tell whether it has this version active and has said that it uses it."""
        status = self.status()
        phases = {held["version"]: held["phase"] for held in status["versions"]}
        assert (status["version"], phases.get(version)) == (version, "uses"), status
        return True


class Holdout:
    """A holder of the consumer's secrets that acknowledges only when told: rotations wait for it.

    It is an administrator's instance, which reads through the edge and renews itself like any other holder.
    """

    def __init__(self, steward: Steward) -> None:
        self._steward, self._instance = steward, secrets.token_hex(16)
        self._headers = {"X-Fountain-Instance": self._instance}
        self._stop = threading.Event()
        self._renewals = threading.Thread(target=self._renew, args=[Steward(steward.stack)], daemon=True)

    def _renew(self, own: Steward) -> None:
        while not self._stop.wait(_RENEW_SECONDS):
            # What cannot be reached now is asked again: others kill it while we hold on.
            with suppress(httpx2.HTTPError, AssertionError):
                own.manager("GET", f"/secrets/{CONSUMER}", headers=self._headers)

    def __enter__(self) -> "Holdout":
        self._steward.manager("GET", f"/secrets/{CONSUMER}", headers=self._headers)
        self._renewals.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._renewals.join(30)
        self._steward.manager("DELETE", f"/secrets/{CONSUMER}/holders/{self._instance}")

    def acknowledge(self, version: int, phase: str) -> None:
        """Say that it accepts or uses a version."""
        path = f"/secrets/{CONSUMER}/versions/{version}/ack"
        self._steward.manager("POST", path, json={"phase": phase}, headers=self._headers)

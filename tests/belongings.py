"""What people keep at the services beside secrets: it is made, and used again once the machine is another."""

import time
from typing import Any

import httpx2
import pyotp
from polling import poll_until
from steward import CONSUMER, Steward

from chaos.receivers import Webhook

PERSON = "backup-grace"
CHARACTER = 7
PLACE, URL, HOST = "backup-library", "https://library.example.com", "backup-books"
PLACED = "backup.placed"
_STEP_SECONDS = 30


class Belongings:
    """A second factor, an action, a static entry of the registry, and who is told of events.

    Args:
        steward: who makes them.
        webhook: a receiver besides the consumer; None where this machine's address does not stay.
    """

    def __init__(self, steward: Steward, webhook: Webhook | None) -> None:
        self._webhook = webhook
        self._enrol(steward)
        path = {"description": "Enters", "characterId": CHARACTER}
        self._action = done(steward.ask("POST", "action", "/actions", json=path), 201)
        entry = {"service_name": PLACE, "url": URL, "hosts": [HOST]}
        done(steward.ask("POST", "gateway-lookup", "/registry", json=entry), 201)
        self._receivers: dict[str, dict[str, Any]] = {"backup-service": {"service": CONSUMER}}
        if webhook is not None:
            self._receivers["backup-webhook"] = {"callback_url": webhook.url}
        for name, receiver in self._receivers.items():
            wish = {**receiver, "types": [PLACED]}
            made = done(steward.ask("PUT", "notification", f"/subscriptions/{name}", json=wish), 201)
            if webhook is not None and "callback_url" in receiver:
                webhook.secret = made.json()["signing_secret"]
        self._place_order(steward, "before")

    def _enrol(self, steward: Steward) -> None:
        made = done(steward.ask("POST", "two-factor", "/factors", json={"username": PERSON}), 201).json()
        authenticator = pyotp.parse_uri(made["otpauth_uri"])
        assert isinstance(authenticator, pyotp.TOTP)
        self._authenticator, self._used = authenticator, authenticator.now()
        path, code = f"/factors/{PERSON}/confirm", {"otp_code": self._used}
        self._spare: list[str] = done(steward.ask("POST", "two-factor", path, json=code)).json()[
            "recovery_codes"
        ]
        assert self._verifies(steward, self._spare[0])

    def _verifies(self, steward: Steward, code: str) -> bool:
        body = {"username": PERSON, "otp_code": code}
        return bool(done(steward.ask("POST", "two-factor", "/auth/verify", json=body)).json()["success"])

    def _place_order(self, steward: Steward, subject: str) -> None:
        """Publish an event, and wait until every receiver has said that it has it."""
        event = {"type": PLACED, "subject": subject}
        stored = done(steward.ask("POST", "notification", "/notifications", json=event), 201).json()

        def delivered(name: str) -> bool:
            path = f"/subscriptions/{name}/deliveries?status=delivered"
            found = done(steward.ask("GET", "notification", path)).json()["items"]
            return any(one["event_id"] == stored["id"] for one in found)

        for name in self._receivers:
            poll_until(lambda name=name: delivered(name), f"{name} has the event {subject}")  # type: ignore[misc]

    def use(self, steward: Steward) -> None:
        """Use all of them on the machine that they were brought to, as this administrator."""
        # The next code, which a device whose clock is ahead shows already; and of those that were used, none.
        ahead = self._authenticator.at(int(time.time()) + _STEP_SECONDS)
        codes = (self._used, ahead, self._spare[1], self._spare[0])
        assert [self._verifies(steward, code) for code in codes] == [False, True, True, False]

        path, tag = f"/actions/{self._action.json()['actionId']}", self._action.headers["etag"]
        assert done(steward.ask("GET", "action", path)).json() == self._action.json()
        change = {"comment": "and stays"}
        changed = steward.ask("PATCH", "action", path, json=change, headers={"If-Match": tag})
        assert done(changed).json() == self._action.json() | change | {
            "updatedAt": changed.json()["updatedAt"]
        }
        follows = {"description": "Leaves", "characterId": CHARACTER}
        made = done(steward.ask("POST", "action", "/actions", json=follows), 201).json()
        assert made["sequenceNumber"] == self._action.json()["sequenceNumber"] + 1

        found = done(steward.ask("GET", "gateway-lookup", f"/lookup/{PLACE}")).json()
        assert found["url"] == URL
        entry = done(steward.ask("GET", "gateway-lookup", f"/registry/{PLACE}")).json()
        assert entry["static"] == {"url": URL, "hosts": [HOST]}

        self._place_order(steward, "after")
        if self._webhook is not None:
            assert self._webhook.history.forged == 0
            # What was delivered before is not delivered again.
            assert [one.subject for one in self._webhook.history.delivered] == ["before", "after"]


def done(answer: httpx2.Response, status: int = 200) -> httpx2.Response:
    """Return an answer; only this status will do."""
    assert answer.status_code == status, f"{answer.url}: {answer.status_code} {answer.text}"
    return answer

"""Who is revoked is refused by every service: at once by event, and soon without any."""

import secrets
import time
from typing import Any

import pytest
from fountain_cli.stack.layout import repository, services
from polling import poll_until
from steward import Steward

SERVICES = [service.name for service in services(repository())]
BY_EVENT_SECONDS = 3.0
"""One is promised; a busy machine may take longer. Far less than the ten between two fetches."""
BY_FETCHING_SECONDS = 10.0
"""As promised; they fetch every eight."""


class Person:
    """Somebody with a token for each service."""

    def __init__(self, steward: Steward, name: str) -> None:
        self.steward, self.name = steward, name
        identity = {"name": name, "kind": "person", "roles": ["viewer"], "remote": True}
        steward.manager("POST", "/identities", json=identity)
        self.key = str(steward.manager("POST", f"/identities/{name}/keys", json={})["api_key"])
        self.tokens = {service: steward.fetch_token(self.key, service) for service in SERVICES}

    def revoke(self) -> None:
        self.steward.manager("DELETE", f"/identities/{self.name}")

    def revoke_key(self) -> None:
        self.steward.manager("DELETE", f"/identities/{self.name}/keys/{self.key.split('_')[1]}")

    def change_roles(self) -> None:
        self.steward.manager("PATCH", f"/identities/{self.name}", json={"roles": ["auditor"]})

    def status(self, service: str) -> int:
        """Ask what needs nothing but to be let in: 401 says that he is not."""
        headers = {"Authorization": f"Bearer {self.tokens[service]}"}
        client = self.steward.at(service)
        return client.post("/notifications", json={"type": "e2e.said"}, headers=headers).status_code

    def let_in(self) -> list[str]:
        return [service for service in SERVICES if self.status(service) != 401]

    def refused_within(self, seconds: float) -> None:
        begun = time.monotonic()
        poll_until(lambda: self.let_in() == [], f"{self.name} is refused everywhere", seconds)
        assert time.monotonic() - begun < seconds + 1


@pytest.fixture
def person(steward: Steward) -> Person:
    made = Person(steward, f"e2e-revoked-{secrets.token_hex(4)}")
    assert made.let_in() == SERVICES
    return made


def test_an_identity_that_is_revoked_is_refused_everywhere_at_once(steward: Steward, person: Person) -> None:
    person.revoke()
    person.refused_within(BY_EVENT_SECONDS)


def test_a_key_that_is_revoked_is_refused_everywhere_at_once(steward: Steward, person: Person) -> None:
    person.revoke_key()
    person.refused_within(BY_EVENT_SECONDS)


def test_who_has_other_roles_now_is_refused_everywhere_with_the_old_ones(
    steward: Steward, person: Person
) -> None:
    person.change_roles()
    person.refused_within(BY_EVENT_SECONDS)


@pytest.mark.mainly("local")
def test_without_events_a_revocation_is_honoured_all_the_same(steward: Steward, stack: Any) -> None:
    revoked, keyless, changed = people = [
        Person(steward, f"e2e-revoked-{secrets.token_hex(4)}") for _ in range(3)
    ]
    assert all(person.let_in() == SERVICES for person in people)
    stack.halt("notification")
    others = [service for service in SERVICES if service != "notification"]
    try:
        revoked.revoke()
        keyless.revoke_key()
        changed.change_roles()
        poll_until(
            lambda: {person.status(service) for person in people for service in others} == {401},
            "they are refused everywhere",
            BY_FETCHING_SECONDS,
        )
    finally:
        stack.resume("notification")
        stack.wait_healthy("notification")
    poll_until(
        lambda: {person.status("notification") for person in people} == {401},
        "by the event log too",
        BY_FETCHING_SECONDS,
    )

"""Who is revoked is refused by every instance of every service: at once by event, and soon without any."""

import secrets
import time
from typing import Any

import pytest
from instances import SERVICES, Instance
from polling import poll_until
from steward import Steward

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

    def let_in(self, instances: list[Instance]) -> list[Instance]:
        """Return who still lets him in; through the edge, each answer would be of one of several replicas."""
        return [one for one in instances if one.honours(self.tokens[one.service])]

    def is_refused(self, instances: list[Instance]) -> bool:
        assert (left := self.let_in(instances)) == [], left
        return True

    def refused_within(self, seconds: float, instances: list[Instance]) -> None:
        begun = time.monotonic()
        poll_until(lambda: self.is_refused(instances), f"{self.name} is refused everywhere", seconds)
        assert time.monotonic() - begun < seconds + 1


@pytest.fixture
def person(steward: Steward, instances: list[Instance]) -> Person:
    made = Person(steward, f"e2e-revoked-{secrets.token_hex(4)}")
    assert made.let_in(instances) == instances
    return made


def test_an_identity_that_is_revoked_is_refused_everywhere_at_once(
    person: Person, instances: list[Instance]
) -> None:
    person.revoke()
    person.refused_within(BY_EVENT_SECONDS, instances)


def test_a_key_that_is_revoked_is_refused_everywhere_at_once(
    person: Person, instances: list[Instance]
) -> None:
    person.revoke_key()
    person.refused_within(BY_EVENT_SECONDS, instances)


def test_who_has_other_roles_now_is_refused_everywhere_with_the_old_ones(
    person: Person, instances: list[Instance]
) -> None:
    person.change_roles()
    person.refused_within(BY_EVENT_SECONDS, instances)


@pytest.mark.mainly("local")
def test_without_events_a_revocation_is_honoured_all_the_same(
    steward: Steward, stack: Any, instances: list[Instance]
) -> None:
    revoked, keyless, changed = people = [
        Person(steward, f"e2e-revoked-{secrets.token_hex(4)}") for _ in range(3)
    ]
    assert all(person.let_in(instances) == instances for person in people)
    stack.halt("notification")
    others = [one for one in instances if one.service != "notification"]
    try:
        revoked.revoke()
        keyless.revoke_key()
        changed.change_roles()
        poll_until(
            lambda: all(person.is_refused(others) for person in people),
            "they are refused everywhere",
            BY_FETCHING_SECONDS,
        )
    finally:
        stack.resume("notification")
        stack.wait_healthy("notification")
    # It was started again, and may have another address since.
    returned = [Instance(stack, "notification")]
    poll_until(
        lambda: all(person.is_refused(returned) for person in people),
        "by the event log too",
        BY_FETCHING_SECONDS,
    )
    returned[0].client.close()

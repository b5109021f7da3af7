"""A part that is away slows the others at most; nothing is lost when it comes back."""

import pytest
from polling import poll_until
from steward import CONSUMER, Replica, Steward

RENEWALS_SECONDS = 40


@pytest.mark.mainly("local")
def test_a_rotation_without_notification_arrives_by_renewal_and_its_events_later(
    steward: Steward, replicas: list[Replica]
) -> None:
    steward.overlap(0)
    steward.stack.halt("notification")
    try:
        rotation = steward.rotate()
        for replica in replicas:
            poll_until(
                lambda one=replica: one.uses(rotation["version"]),  # type: ignore[misc]
                "the replica uses a version that no event told of",
                RENEWALS_SECONDS,
            )
        assert replicas[0].opens(replicas[1].sign()) == 307
        steward.wait_for_state(rotation["rotation_id"], "retired")
    finally:
        steward.stack.resume("notification")
        steward.stack.wait_healthy("notification")

    def told() -> bool:
        events = steward.events(type="secret.rotated", subject=CONSUMER)
        return any(event["data"]["rotation_id"] == rotation["rotation_id"] for event in events)

    poll_until(told, "the event of the rotation is stored after all")


@pytest.mark.mainly("local")
def test_without_the_secrets_manager_the_consumers_go_on_and_say_that_they_are_degraded(
    steward: Steward, replicas: list[Replica]
) -> None:
    steward.token(CONSUMER)
    link = replicas[0].sign()
    steward.stack.halt("secrets-manager")
    try:
        for replica in replicas:

            def degraded(one: Replica = replica) -> bool:
                health = one.client.get("/health")
                assert health.status_code == 200
                assert "secrets-manager" in health.json()["degraded"], health.text
                return True

            poll_until(degraded, "the replica says that it is degraded")
            assert replica.opens(link) == 307
            assert replica.opens(replica.sign()) == 307
    finally:
        steward.stack.resume("secrets-manager")
        steward.stack.wait_healthy("secrets-manager")
    for replica in replicas:
        poll_until(
            lambda one=replica: one.client.get("/health").json()["degraded"] == [],  # type: ignore[misc]
            "the replica is well again",
        )


def test_without_the_gateway_the_consumers_go_on_and_find_each_other_again(
    steward: Steward, replicas: list[Replica]
) -> None:
    steward.stack.halt("gateway-lookup")
    try:
        steward.overlap(0)
        rotation = steward.rotate()
        for replica in replicas:
            poll_until(lambda one=replica: one.uses(rotation["version"]), "the replica uses the new version")  # type: ignore[misc]
    finally:
        steward.stack.resume("gateway-lookup")
        steward.stack.wait_healthy("gateway-lookup")
    poll_until(
        lambda: steward.ask("GET", CONSUMER, "/status").status_code == 200,
        "the edge finds the consumers again",
    )

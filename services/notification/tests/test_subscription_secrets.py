"""Signing secrets: replaced, sealed, and kept through rotations of the data key."""

from typing import Any

from fountain_common.testing import World, wait_until
from standardwebhooks import Webhook


def test_while_a_secret_is_replaced_both_sign(start: Any, receiver: Any) -> None:
    running = start()
    old = running.subscribe(callback_url=receiver.url)["signing_secret"]
    with running.client() as client:
        new = client.post("/subscriptions/hook/secret/rotate").json()["signing_secret"]
    running.publish("order.placed")
    wait_until(lambda: receiver.requests, "the delivery")
    headers, body = receiver.requests[0]
    for secret in (old, new):
        Webhook(secret).verify(body, headers)
    assert old != new


def test_signing_secrets_are_stored_sealed_and_follow_a_rotation_of_the_data_key(
    start: Any, receiver: Any
) -> None:
    world = World()
    running = start(world, secrets_renew_seconds=0.1)
    secret = running.subscribe(callback_url=receiver.url)["signing_secret"]

    def sealed() -> bytes:
        engine = running.board.database.engine
        with engine.connect() as connection:
            return connection.exec_driver_sql("SELECT secret FROM subscriptions").scalar_one()

    before = sealed()
    assert secret.encode() not in before
    world.secrets_manager.rotate("notification", DATA_KEY="another key, of which nobody knew before")
    wait_until(lambda: sealed() != before, "it is sealed anew")
    running.publish("order.placed")
    wait_until(lambda: receiver.requests, "the delivery")
    headers, body = receiver.requests[0]
    Webhook(secret).verify(body, headers)


def test_a_data_key_that_was_rotated_while_the_service_was_stopped_loses_no_signing_secret(
    start: Any, receiver: Any
) -> None:
    running = start()
    secret = running.subscribe(callback_url=receiver.url)["signing_secret"]
    running.stop()
    manager = running.world.secrets_manager
    for key in ("the second data key", "the third data key"):
        rotation = manager.stage("notification", DATA_KEY=key)
        rotation.activate()
        rotation.retire_previous()
    again = start(running.world)
    # Sealed anew before it serves: the earlier versions are needed no more.
    manager.destroy("notification", 1)
    manager.destroy("notification", 2)
    again.publish("order.placed")
    wait_until(lambda: receiver.requests, "the delivery")
    headers, body = receiver.requests[0]
    Webhook(secret).verify(body, headers)

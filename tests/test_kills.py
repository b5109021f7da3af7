"""Whatever is killed in the middle of a rotation, the rotation arrives."""

import threading
from typing import Any

import pytest
from polling import poll_until
from steward import CONSUMER, Holdout, Replica, Steward

VICTIMS = ("secrets-manager", "notification", "gateway-lookup", CONSUMER)
CONVERGED_SECONDS = 45


def begin(steward: Steward) -> dict[str, Any]:
    """Begin a rotation and answer it while it is staged: the request itself would wait for activation."""
    version = steward.active() + 1
    threading.Thread(target=lambda: steward_of(steward).rotate(), daemon=True).start()

    def staged() -> dict[str, Any] | None:
        found = steward.manager("GET", "/rotations", params={"service_name": CONSUMER, "limit": 50})["items"]
        return next(
            (one for one in found if (one["service_name"], one["version"]) == (CONSUMER, version)), None
        )

    rotation = poll_until(staged, f"version {version} is staged")
    assert rotation is not None
    return rotation


def steward_of(steward: Steward) -> Steward:
    """Answer another one for another thread, whose request may die with its server."""
    return Steward(steward.stack)


def reached(steward: Steward, replicas: list[Replica], version: int) -> None:
    """Wait until every replica has said that it uses this version."""
    for replica in replicas:
        poll_until(
            lambda one=replica: one.uses(version),
            f"replica {replica.number} uses {version}",
            CONVERGED_SECONDS,
        )  # type: ignore[misc]


def retry(act: Any, description: str) -> None:
    """Do something that may be refused while a service comes back."""

    def done() -> bool:
        act()
        return True

    poll_until(done, description, CONVERGED_SECONDS)


@pytest.mark.parametrize("victim", VICTIMS)
def test_a_kill_while_a_version_is_staged_does_not_lose_the_rotation(
    steward: Steward, replicas: list[Replica], victim: str
) -> None:
    steward.overlap(0)
    with Holdout(steward) as holdout:
        rotation = begin(steward)
        steward.stack.kill(victim)
        steward.stack.wait_healthy(victim)
        found = steward.wait_for_state(rotation["rotation_id"], "staged", CONVERGED_SECONDS)
        assert found["version"] == rotation["version"]
        retry(lambda: holdout.acknowledge(rotation["version"], "accepts"), "the holdout accepts")
        steward.wait_for_state(rotation["rotation_id"], "active", CONVERGED_SECONDS)
        reached(steward, replicas, rotation["version"])
        holdout.acknowledge(rotation["version"], "uses")
        steward.wait_for_state(rotation["rotation_id"], "retired", CONVERGED_SECONDS)


@pytest.mark.parametrize("victim", VICTIMS)
def test_a_kill_before_everybody_uses_a_version_does_not_lose_the_rotation(
    steward: Steward, replicas: list[Replica], victim: str
) -> None:
    steward.overlap(0)
    with Holdout(steward) as holdout:
        rotation = begin(steward)
        holdout.acknowledge(rotation["version"], "accepts")
        steward.wait_for_state(rotation["rotation_id"], "active", CONVERGED_SECONDS)
        steward.stack.kill(victim)
        steward.stack.wait_healthy(victim)
        reached(steward, replicas, rotation["version"])
        assert steward.rotation(rotation["rotation_id"])["state"] == "active"
        retry(lambda: holdout.acknowledge(rotation["version"], "uses"), "the holdout uses it")
        steward.wait_for_state(rotation["rotation_id"], "retired", CONVERGED_SECONDS)

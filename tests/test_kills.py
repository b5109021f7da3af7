"""Whatever is killed in the middle of a rotation, the rotation arrives."""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx2
import pytest
from polling import poll_until
from steward import CONSUMER, Holdout, Replica, Steward

VICTIMS = ("secrets-manager", "notification", "gateway-lookup", CONSUMER)
CONVERGED_SECONDS = 45


def begin(steward: Steward) -> dict[str, Any]:
    """Begin a rotation and return it while it is staged: the request itself waits for activation."""
    version = steward.active() + 1
    threading.Thread(target=rotate_or_be_cut_off, args=[Steward(steward.stack)], daemon=True).start()

    def staged() -> dict[str, Any] | None:
        found = steward.manager("GET", "/rotations", params={"service_name": CONSUMER})["items"]
        return next((one for one in found if one["version"] == version), None)

    rotation = poll_until(staged, f"version {version} is staged")
    assert rotation is not None
    return rotation


def rotate_or_be_cut_off(steward: Steward) -> None:
    """Rotate; the answer may die with its server."""
    with suppress(httpx2.HTTPError, AssertionError):
        steward.rotate()


def until_it_works(act: Callable[[], None], description: str) -> None:
    """Do something that may be refused while a service comes back."""

    def done() -> bool:
        act()
        return True

    poll_until(done, description, CONVERGED_SECONDS)


@pytest.mark.mainly("docker")
@pytest.mark.parametrize("victim", VICTIMS)
def test_a_rotation_survives_a_kill_while_it_is_staged_and_a_kill_while_it_is_active(
    steward: Steward, replicas: list[Replica], victim: str
) -> None:
    steward.overlap(0)
    with Holdout(steward) as holdout:
        rotation = begin(steward)
        version = rotation["version"]

        steward.stack.kill(victim)
        steward.stack.wait_healthy(victim)
        steward.wait_for_state(rotation["rotation_id"], "staged", CONVERGED_SECONDS)
        until_it_works(lambda: holdout.acknowledge(version, "accepts"), "the holdout accepts")
        steward.wait_for_state(rotation["rotation_id"], "active", CONVERGED_SECONDS)

        steward.stack.kill(victim)
        steward.stack.wait_healthy(victim)
        for replica in replicas:
            poll_until(
                lambda one=replica: one.uses(version),  # type: ignore[misc]
                f"replica {replica.number} uses version {version}",
                CONVERGED_SECONDS,
            )
        steward.wait_for_state(rotation["rotation_id"], "active", CONVERGED_SECONDS)
        until_it_works(lambda: holdout.acknowledge(version, "uses"), "the holdout uses it")
        steward.wait_for_state(rotation["rotation_id"], "retired", CONVERGED_SECONDS)

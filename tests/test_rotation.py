"""The main job: a secret rotates under everybody's hands, and nobody notices but those who look."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from polling import poll_until
from steward import CONSUMER, REPLICAS, Replica, Steward

OVERLAP_SECONDS = 4
EVERYWHERE_SECONDS = 2


class CrossOpening:
    """Has every replica sign links and every replica open them, over and over."""

    def __init__(self, replicas: list[Replica]) -> None:
        self.replicas = replicas
        self.opened = 0
        self.refused: list[str] = []
        self._stop = threading.Event()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._round()
            except Exception as error:
                self.refused.append(repr(error))

    def _round(self) -> None:
        for signer in self.replicas:
            token = signer.sign()
            for opener in self.replicas:
                status = opener.opens(token)
                self.opened += 1
                if status != 307:
                    self.refused.append(f"{opener.number} answers {status} to a link of {signer.number}")

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Go on in the background."""
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join(30)


@pytest.fixture
def crossing(steward: Steward) -> Iterator[CrossOpening]:
    """Replicas of its own: a connection is not shared between threads."""
    own = [Replica(steward, number) for number in range(REPLICAS)]
    yield CrossOpening(own)
    for replica in own:
        replica.client.close()


def test_a_rotation_reaches_every_replica_and_no_link_breaks_before_its_version_is_retired(
    steward: Steward, replicas: list[Replica], crossing: CrossOpening
) -> None:
    assert len({replica.status()["instance_id"] for replica in replicas}) == REPLICAS
    steward.overlap(OVERLAP_SECONDS)
    restarts = dict(steward.stack.restarts())
    before = steward.active()
    old_links = [replica.sign() for replica in replicas]

    with crossing.going_on():
        poll_until(lambda: crossing.opened > REPLICAS**2, "links are signed and opened")
        started = time.monotonic()
        rotation = steward.rotate()
        for replica in replicas:
            poll_until(lambda one=replica: one.uses(rotation["version"]), "the replica uses the new version")  # type: ignore[misc]
        took = time.monotonic() - started
        for link in old_links:
            assert [replica.opens(link) for replica in replicas] == [307] * REPLICAS

        assert rotation["version"] == before + 1
        assert took < EVERYWHERE_SECONDS, f"the new version was everywhere after {took:.2f} s"
        holders = {
            holder["instance_id"]: holder["uses"]
            for holder in steward.rotation(rotation["rotation_id"])["holders"]
            if holder["identity"] == CONSUMER
        }
        assert holders.items() >= {one.status()["instance_id"]: before + 1 for one in replicas}.items()
        steward.wait_for_state(rotation["rotation_id"], "retired", OVERLAP_SECONDS + 10)

    for replica in replicas:
        poll_until(lambda one=replica: one.opens(old_links[0]) == 410, "the retired version's link is gone")  # type: ignore[misc]
        assert [replica.opens(link) for link in old_links] == [410] * REPLICAS
    assert crossing.refused == []
    assert dict(steward.stack.restarts()) == restarts


def test_a_link_signed_through_the_edge_opens_through_the_edge(steward: Steward) -> None:
    signed = steward.ask("POST", CONSUMER, "/links", json={"target": "https://example.com/"})
    assert signed.status_code == 201, signed.text
    assert signed.json()["url"] == f"{steward.stack.url(CONSUMER)}/links/{signed.json()['token']}"
    opened = steward.ask("GET", CONSUMER, f"/links/{signed.json()['token']}")
    assert (opened.status_code, opened.headers["location"]) == (307, "https://example.com/")


def test_the_story_of_a_rotation_is_in_the_event_log(steward: Steward) -> None:
    steward.overlap(0)
    rotation = steward.rotate()
    steward.wait_for_state(rotation["rotation_id"], "retired")

    def told() -> list[str]:
        ours = [
            event["type"]
            for event in steward.events(type="secret.*", subject=CONSUMER)
            if event["data"].get("rotation_id") == rotation["rotation_id"]
        ]
        assert ours == ["secret.staged", "secret.rotated", "secret.retired"]
        return ours

    poll_until(told, "staged, rotated and retired were published in order")

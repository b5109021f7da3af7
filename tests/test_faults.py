"""A service whose machine runs out of something says so, loses nothing, and goes on afterwards."""

import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest
from limits import connections, few_files, full_disk, locked_store
from polling import poll_until
from steward import CONSUMER, Replica, Steward

pytestmark = pytest.mark.mainly("local")

IDLE = 60
"""Connections that say nothing."""
SPARE = 12
REFUSED = 503
UNAVAILABLE_SECONDS = 20
"""As long as a write waits for a lock (5 s), on a busy machine."""


class Store:
    """A service that keeps things: one more of them, and whether it has one.

    Args:
        steward: an administrator.
        service: its name.
        one: the method, path and body of a request that adds the thing of that mark.
        held: answers everything that it has, as text.
    """

    def __init__(
        self,
        steward: Steward,
        service: str,
        one: Callable[[str], tuple[str, dict[str, Any]]],
        held: Callable[[Steward], str],
    ) -> None:
        self.steward, self.service, self._one, self._held = steward, service, one, held

    def add(self, mark: str) -> httpx2.Response:
        path, body = self._one(mark)
        return self.steward.ask("POST", self.service, path, json=body)

    def has(self, mark: str) -> bool:
        return mark in self._held(self.steward)

    def health(self) -> httpx2.Response:
        return self.steward.at(self.service).get("/health")

    def is_unwell(self) -> bool:
        answer = self.health()
        assert answer.status_code == REFUSED, answer.text
        assert answer.json()["checks"]["database"] == "failing", answer.text
        return True

    def is_well(self) -> bool:
        answer = self.health()
        assert answer.status_code == 200, answer.text
        assert set(answer.json()["checks"].values()) == {"ok"}, answer.text
        return True


def _asked(service: str, path: str) -> Callable[[Steward], str]:
    def ask(steward: Steward) -> str:
        answer = steward.ask("GET", service, path)
        assert answer.status_code == 200, answer.text
        return answer.text

    return ask


KEEPING: dict[str, tuple[Callable[[str], tuple[str, dict[str, Any]]], Callable[[Steward], str]]] = {
    "secrets-manager": (
        lambda mark: (f"/secrets/{mark}", {"A": "b" * 20}),
        _asked("secrets-manager", "/secrets?limit=500"),
    ),
    "notification": (
        lambda mark: ("/notifications", {"type": "order.placed", "subject": mark}),
        lambda steward: str(steward.events(type="order.placed")),
    ),
    "gateway-lookup": (
        lambda mark: ("/registry", {"service_name": mark, "url": "http://example.com"}),
        _asked("gateway-lookup", "/registry?limit=500"),
    ),
    "action": (
        lambda mark: ("/actions", {"description": mark, "characterId": 7}),
        _asked("action", "/actions?limit=500"),
    ),
}


@pytest.fixture(params=KEEPING)
def store(request: pytest.FixtureRequest, steward: Steward) -> Store:
    return Store(steward, request.param, *KEEPING[request.param])


@pytest.fixture
def same_processes(steward: Steward) -> Iterator[None]:
    """Nothing was started again: what went wrong passed by itself."""
    before = steward.stack.restarts()
    yield
    assert steward.stack.restarts() == before


def mark() -> str:
    return f"mark-{secrets.token_hex(6)}"


def assert_refused(answer: httpx2.Response) -> None:
    assert answer.status_code == REFUSED, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert "try again" in answer.json()["detail"], answer.text


@pytest.mark.usefixtures("same_processes")
def test_on_a_full_disk_a_service_refuses_keeps_what_it_acknowledged_and_goes_on_with_room(
    store: Store,
) -> None:
    before, refused, after = mark(), mark(), mark()
    assert store.add(before).status_code == 201
    with full_disk(store.steward.stack, store.service):  # type: ignore[arg-type]
        assert_refused(store.add(refused))
        poll_until(store.is_unwell, "health says that nothing can be written")
    assert store.add(after).status_code == 201
    poll_until(store.is_well, "health is well again")
    assert [store.has(one) for one in (before, refused, after)] == [True, False, True]


@pytest.mark.usefixtures("same_processes")
def test_while_notification_has_no_room_a_rotation_is_made_and_its_event_waits(
    steward: Steward, replicas: list[Replica]
) -> None:
    steward.overlap(0)
    with full_disk(steward.stack, "notification"):  # type: ignore[arg-type]
        rotation = steward.rotate()
        assert replicas[0].opens(replicas[1].sign()) == 307

    def told() -> bool:
        events = steward.events(type="secret.rotated", subject=CONSUMER)
        return [event["data"]["rotation_id"] for event in events].count(rotation["rotation_id"]) == 1

    poll_until(told, "the event of the rotation is stored once")


@pytest.mark.usefixtures("same_processes")
def test_while_another_process_holds_the_databases_services_refuse_and_then_go_on(
    steward: Steward, replicas: list[Replica]
) -> None:
    stores = [Store(Steward(steward.stack), name, *KEEPING[name]) for name in KEEPING]
    for one in stores:
        one.steward.token(one.service)
    link = replicas[0].sign()
    refused = [mark() for _ in stores]
    with ExitStack() as held, ThreadPoolExecutor(len(stores)) as threads:
        for one in stores:
            held.enter_context(locked_store(steward.stack, one.service))  # type: ignore[arg-type]
        waiting = [threads.submit(one.add, mark) for one, mark in zip(stores, refused, strict=True)]
        assert replicas[1].opens(link) == 307
        for answer in waiting:
            assert_refused(answer.result(UNAVAILABLE_SECONDS))
        for one in stores:
            poll_until(one.is_unwell, f"the health of {one.service} says that nothing can be written")
    for one, absent in zip(stores, refused, strict=True):
        kept = mark()
        assert one.add(kept).status_code == 201
        poll_until(one.is_well, f"{one.service} is well again")
        assert (one.has(kept), one.has(absent)) == (True, False)


@pytest.mark.usefixtures("same_processes")
@pytest.mark.parametrize("service", ["notification", CONSUMER])
def test_out_of_file_descriptors_a_service_serves_who_is_there_and_then_everybody(
    steward: Steward, service: str
) -> None:
    url, ca = steward.stack.address(service), steward.headers(service)
    path = "/status" if service == CONSUMER else "/notifications"
    with httpx2.Client(base_url=url, timeout=10) as present:
        assert present.get(path, headers=ca).status_code == 200
        with few_files(steward.stack, service, SPARE):  # type: ignore[arg-type]
            with ExitStack() as held:
                held.enter_context(connections(url, IDLE))

                def turned_away() -> bool:
                    # What the service had open in passing when it was limited is free by now.
                    held.enter_context(connections(url, 1))
                    with httpx2.Client(base_url=url, timeout=5) as newcomer:
                        try:
                            return newcomer.get("/health").status_code == 0
                        except httpx2.HTTPError:
                            return True

                poll_until(turned_away, "there is no connection left")
                assert present.get(path, headers=ca).status_code == 200
                if service == "notification":
                    event = {"type": "order.placed", "subject": (subject := mark())}
                    assert present.post(path, json=event, headers=ca).status_code == 201

            def served() -> bool:
                with httpx2.Client(base_url=url, timeout=5) as newcomer:
                    return newcomer.get("/health").status_code == 200

            poll_until(served, "newcomers are served again")
    if service == "notification":
        assert [event["subject"] for event in steward.events(type="order.placed")].count(subject) == 1

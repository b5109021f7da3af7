"""A service whose machine runs out of something says so, loses nothing, and goes on afterwards."""

import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest
from fountain_cli.stack.layout import KNOWN
from limits import connections, few_files, full_disk, locked_store
from operations import operations
from polling import poll_until
from steward import CONSUMER, Replica, Steward
from stores import KEEPING, REFUSED, Store, assert_refused, is_well, mark

pytestmark = [pytest.mark.mainly("local"), pytest.mark.usefixtures("same_processes")]

IDLE = 60
"""Connections that say nothing."""
SPARE = 12
UNAVAILABLE_SECONDS = 20
"""As long as a write waits for a lock (5 s), on a busy machine."""
SERVICES = [service.name for service in KNOWN]
PATHS = {
    "secrets-manager": "/secrets",
    "notification": "/notifications",
    "gateway-lookup": "/lookup/notification",
    "two-factor": "/factors/nobody",
    "action": "/actions",
    CONSUMER: "/status",
}
"""What each is asked by who is there already."""


@pytest.fixture(params=KEEPING)
def store(request: pytest.FixtureRequest, steward: Steward) -> Store:
    return Store(steward, request.param)


@pytest.fixture
def same_processes(steward: Steward) -> Iterator[None]:
    """Nothing was started again: what went wrong passed by itself."""
    before = steward.stack.restarts()
    yield
    assert steward.stack.restarts() == before


def test_what_each_service_keeps_and_is_asked_is_known() -> None:
    assert {*KEEPING, CONSUMER} == PATHS.keys() == {*SERVICES}


def test_on_a_full_disk_a_service_refuses_keeps_what_it_acknowledged_and_goes_on_with_room(
    store: Store,
) -> None:
    before, refused, after = mark(), mark(), mark()
    assert store.add(before).status_code == 201
    with full_disk(store.steward.stack, store.service):  # type: ignore[arg-type]
        store.refuses(refused)
        poll_until(store.is_unwell, "health says that nothing can be written")
    assert store.add(after).status_code == 201
    poll_until(store.is_well, "health is well again")
    assert [store.has(one) for one in (before, refused, after)] == [True, False, True]


@pytest.mark.parametrize("service", SERVICES)
def test_on_a_full_disk_every_operation_answers_as_it_says_it_may(steward: Steward, service: str) -> None:
    client, headers = steward.at(service), {**steward.headers(service), "If-Match": "*"}
    document = client.get("/openapi.json").json()
    names = dict.fromkeys(("rotationId", "instanceId", "keyId"), "1" * 32)
    found: dict[str, str] = {}
    statuses: set[int] = set()
    with full_disk(steward.stack, service):  # type: ignore[arg-type]
        for one in operations(service, document):
            if one.name.startswith("stream"):
                continue
            responses = document["paths"][one.path][one.method.lower()]["responses"]
            answer = client.request(
                one.method, one.url(_Names(names)), params=one.query, json=one.body, headers=headers
            )
            statuses.add(answer.status_code)
            fine = str(answer.status_code) in responses and answer.status_code in (*range(500), REFUSED)
            if not fine or (answer.is_error and "json" not in answer.headers["content-type"]):
                found[one.name] = f"{answer.status_code} {answer.headers['content-type']} {answer.text}"
    assert found == {}
    assert (REFUSED in statuses) == (service in KEEPING)
    poll_until(lambda: is_well(client.get("/health")), "it is well again")


class _Names(dict[str, str]):
    """Parameters: numbers are 1, and all else is what is there."""

    def __missing__(self, name: str) -> str:
        return "1" if name in ("version", "number", "actionId", "id") else CONSUMER


def test_on_a_full_disk_who_keeps_nothing_goes_on(steward: Steward, replicas: list[Replica]) -> None:
    with full_disk(steward.stack, CONSUMER):  # type: ignore[arg-type]
        assert replicas[0].opens(replicas[1].sign()) == 307
        assert all(is_well(replica.client.get("/health")) for replica in replicas)


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


def test_while_another_process_holds_the_databases_services_refuse_and_then_go_on(
    steward: Steward, replicas: list[Replica]
) -> None:
    stores = [Store(Steward(steward.stack), name) for name in KEEPING]
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


def _direct(steward: Steward, service: str) -> httpx2.Client:
    """Open a client of one instance, past the edge: one connection, which it keeps."""
    trusted = ssl.create_default_context(cadata=steward.stack.issuer_ca())
    trusted.check_hostname = False  # it is reached by its address
    one = httpx2.Limits(max_connections=1, max_keepalive_connections=1)
    return httpx2.Client(base_url=steward.stack.address(service), verify=trusted, timeout=10, limits=one)


@pytest.mark.parametrize("service", SERVICES)
def test_out_of_file_descriptors_a_service_serves_who_is_there_and_then_everybody(
    steward: Steward, service: str
) -> None:
    headers = steward.headers(service)
    kept = mark()

    def asks_as_ever(present: httpx2.Client) -> None:
        answer = present.get(PATHS[service], headers=headers)
        assert answer.status_code in (200, 404), answer.text

    def is_served() -> bool:
        with _direct(steward, service) as newcomer:
            return newcomer.get("/health").status_code == 200

    def is_turned_away() -> bool:
        try:
            return not is_served()
        except httpx2.HTTPError:
            return True

    with _direct(steward, service) as present:
        asks_as_ever(present)
        with few_files(steward.stack, service, SPARE):  # type: ignore[arg-type]
            url = steward.stack.address(service)
            with ExitStack() as held:
                held.enter_context(connections(url, IDLE))

                def none_is_left() -> bool:
                    # What the service had open in passing when it was limited is free by now.
                    held.enter_context(connections(url, 1))
                    return is_turned_away()

                poll_until(none_is_left, "there is no connection left")
                asks_as_ever(present)
                _keeps(present, service, headers, kept)
            poll_until(is_served, "newcomers are served again")
    if service in KEEPING:
        assert Store(steward, service).has(kept)


def _keeps(present: httpx2.Client, service: str, headers: dict[str, Any], kept: str) -> None:
    """Make sure that who is there can have something kept, too."""
    path, body = (
        KEEPING[service].one(kept) if service in KEEPING else ("/links", {"target": "https://example.com"})
    )
    answer = present.post(path, json=body, headers=headers)
    assert answer.status_code == 201, answer.text

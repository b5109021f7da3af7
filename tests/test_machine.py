"""A machine under a whole platform: its clocks are set, its disk is full. What goes on, and what is said."""

from collections.abc import Iterator

import pytest
from fountain_cli.stack.layout import KNOWN
from machines import COMPILER, Machine
from polling import poll_until
from stacks import SETTINGS
from steward import CONSUMER, TARGET, Steward
from stores import KEEPING, Store, assert_refused, is_well, mark
from test_faults import PATHS

ISSUER = "secrets-manager"
SERVICES = [service.name for service in KNOWN]
OTHERS = [name for name in SERVICES if name != ISSUER]
HOUR = 3600
NOTICED_SECONDS = 45
"""The Secrets Manager is asked every 10 seconds for what would tell the time."""
MOST_TAKEN = 2000
"""A database's journal has room for less."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "machine" in metafunc.fixturenames:
        # A container's clock is its machine's, and its disk that of all.
        runtimes = [one for one in metafunc.config.getoption("--runtime") or ["local"] if one == "local"]
        metafunc.parametrize("machine", runtimes, indirect=True, scope="module")
    if "alone" in metafunc.fixturenames:
        thorough = metafunc.config.getoption("--thorough")
        every = [(name, ahead) for name in SERVICES for ahead in (HOUR, -HOUR)]
        metafunc.parametrize("alone", every if thorough else [(ISSUER, HOUR)], ids=str)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    if COMPILER is None:
        pytest.skip("needs a C compiler (cc), for a clock that can be set")
    made = Machine(tmp_path_factory.mktemp("machine"), SETTINGS)
    try:
        made.start()
        yield made
    finally:
        made.remove()


@pytest.fixture(autouse=True)
def _set_right(machine: Machine) -> Iterator[None]:
    """Every clock is right in the end, and nothing was started again meanwhile."""
    before = machine.restarts()
    try:
        yield
    finally:
        machine.set_clocks(0)
    assert machine.restarts() == before


def refusal(steward: Steward, service: str) -> str:
    """Return why the administrator is refused; empty if he is not."""
    answer = steward.ask("GET", service, PATHS[service])
    if answer.status_code != 401:
        assert answer.status_code in (200, 404), answer.text
        return ""
    assert answer.headers["content-type"] == "application/problem+json"
    return str(answer.json()["detail"])


def degraded(steward: Steward, service: str) -> list[str]:
    answer = steward.at(service).get("/health")
    assert answer.status_code == 200, answer.text
    found: list[str] = answer.json()["degraded"]
    return found


def all_are_well(steward: Steward) -> bool:
    return all(is_well(steward.at(service).get("/health")) for service in SERVICES)


def works(steward: Steward) -> str:
    """Do something of everything; answers the mark of what was added everywhere."""
    added = mark()
    answers = {service: Store(steward, service).add(added) for service in KEEPING}
    assert {service: answer.status_code for service, answer in answers.items()} == dict.fromkeys(KEEPING, 201)
    steward.overlap(0)
    steward.wait_for_state(steward.rotate()["rotation_id"], "retired")
    link = steward.ask("POST", CONSUMER, "/links", json={"target": TARGET})
    assert link.status_code == 201, link.text
    assert steward.ask("GET", CONSUMER, f"/links/{link.json()['token']}").status_code == 307
    assert steward.ask("GET", CONSUMER, "/peers/notification").status_code == 200

    action = str(answers["action"].json()["actionId"])
    poll_until(lambda: steward.events(type="action.created", subject=action), "the action was told of")
    return added


def until_refused(store: Store) -> list[str]:
    """Return the marks of what there was still room for in the files, and the one of what there was not."""
    marks = [mark()]
    while (answer := store.add(marks[-1])).status_code == 201:
        assert len(marks) < MOST_TAKEN
        marks.append(mark())
    assert_refused(answer)
    return marks


def test_on_one_full_disk_all_refuse_at_once_and_go_on_with_room(machine: Machine) -> None:
    if not machine.has_disk:
        pytest.skip("this machine lets nobody but root mount a small disk")
    steward = Steward(machine)
    kept = works(steward)
    stores = [Store(steward, service) for service in KEEPING]
    link = steward.ask("POST", CONSUMER, "/links", json={"target": TARGET}).json()["token"]
    taken: dict[str, list[str]] = {}
    with machine.full():
        for store in stores:
            taken[store.service] = until_refused(store)
            poll_until(store.is_unwell, f"the health of {store.service} says that nothing can be written")
        assert steward.ask("GET", ISSUER, f"/secrets/{CONSUMER}").status_code == 503
        assert steward.ask("GET", CONSUMER, f"/links/{link}").status_code == 307
    more = works(steward)
    poll_until(lambda: all_are_well(steward), "all is well with room")
    for store in stores:
        *acknowledged, refused = taken[store.service]
        assert [one for one in (kept, *acknowledged, more) if not store.has(one)] == [], store.service
        assert not store.has(refused)


def test_whoever_sets_the_clock_an_hour_ahead_or_back_loses_nothing_and_starts_nothing(
    machine: Machine,
) -> None:
    added = [works(Steward(machine))]
    for ahead in (HOUR, 0, -HOUR, 0):
        before = Steward(machine)
        for service in SERVICES:
            before.token(service)
        machine.set_clocks(ahead)
        for service in SERVICES:
            assert refusal(before, service) in ("", "The token has expired.", "The token is not valid yet.")
        now = Steward(machine)
        assert {service: refusal(now, service) for service in SERVICES} == dict.fromkeys(SERVICES, "")
        added.append(works(now))
        poll_until(lambda now=now: all_are_well(now), "all is well by the new time")  # type: ignore[misc]
    now = Steward(machine)
    for service in KEEPING:
        assert [one for one in added if not Store(now, service).has(one)] == [], service
    assert now.manager("GET", "/audit/verify")["intact"]


def test_a_clock_that_differs_from_the_issuer_s_is_named_and_right_again_once_it_is_set(
    machine: Machine, alone: tuple[str, int]
) -> None:
    service, ahead = alone
    suffering = OTHERS if service == ISSUER else [service]
    machine.set_clocks(ahead, service)
    steward = Steward(machine)
    for one in suffering:
        poll_until(lambda one=one: "clock" in degraded(steward, one), f"{one} says so", NOTICED_SECONDS)  # type: ignore[misc]
        where = "behind" if (ahead < 0) != (service == ISSUER) else "ahead of"
        assert f"seconds {where} that of the Secrets Manager" in refusal(steward, one)
    for one in {*SERVICES} - {*suffering}:
        assert refusal(steward, one) == ""
        assert "clock" not in degraded(steward, one)
    machine.set_clocks(0)
    again = Steward(machine)
    poll_until(lambda: all_are_well(again), "all is well by the right time", NOTICED_SECONDS)
    works(again)

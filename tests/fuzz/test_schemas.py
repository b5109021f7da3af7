"""Every operation of every service, asked by its own description: what fits it, and what does not."""

import itertools
import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import requests
import schemathesis
from drawing import for_all
from findings import Findings, Tally
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from judge import complaints
from known import Known
from schemathesis import GenerationMode
from stands import CALLERS, NAMES, Stand
from stories import NOTHING, REFUSED_AT_EDGE, STORIES, Call
from wire import Answer, Request

MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


def operations(service: Stand) -> Iterator[Any]:
    """What there is to ask, in the order of the description."""
    for found in schemathesis.openapi.from_dict(service.document).get_all_operations():
        yield found.ok()


addresses = ((f"127.{n // 62500 % 250}.{n // 250 % 250}.{n % 250 + 1}", 50000) for n in itertools.count())
"""Wrong keys are counted by address."""


def to_request(case: Any, headers: dict[str, str]) -> Request | None:
    """Return the request of a case as bytes; None for one that no HTTP client can send."""
    sent = case.as_transport_kwargs(base_url="http://testserver")
    taken = {
        name: sent[name] for name in ("method", "url", "headers", "params", "data", "json") if name in sent
    }
    taken["headers"] = {**taken["headers"], **headers}
    if headers:
        # Somebody who shows a token and a key is refused at once, and nothing else of the case is looked at.
        taken["headers"] = {name: value for name, value in taken["headers"].items() if name != "X-API-Key"}
    try:
        made = requests.Request(**taken).prepare()
        body = made.body.encode() if isinstance(made.body, str) else bytes(made.body or b"")
        lines = [(_raw(name), _raw(value)) for name, value in made.headers.items()]
    except (UnicodeError, ValueError, requests.RequestException):
        return None
    chunks = (body,) if body else ()
    return Request(str(made.method), made.path_url, lines, chunks, next(addresses))


def _raw(text: str | bytes) -> bytes:
    return text.encode("latin-1") if isinstance(text, str) else text


class Interview:
    """Asks one service, as each of the callers, and writes down what is wrong."""

    def __init__(self, service: Stand, tally: Tally) -> None:
        self.service, self.tally = service, tally
        self.findings, self.known = Findings(), Known()
        self.statuses: defaultdict[str, set[int]] = defaultdict(set)

    def about(
        self, case: Any, luck: list[int], there: dict[str, str], callers: dict[str, dict[str, str]]
    ) -> None:
        """Send a case, as each of these callers."""
        # Most of what is asked for is there, or nobody would get past the first look.
        for name, number in zip(list(case.path_parameters or ()), luck, strict=False):
            if number % 4:
                picked = self.known.pick(number)
                case.path_parameters[name] = there.get(name, picked) if number % 4 > 1 else picked
        for caller in callers:
            if self.ask(case, caller, callers[caller]) is None:
                return

    def ask(
        self, case: Any, caller: str, headers: dict[str, str], *, called_well: bool = False
    ) -> Answer | None:
        """Send a case, and return what came back; None for one that cannot be sent."""
        request = to_request(case, headers)
        if request is None:
            return None
        answer = self.service.ask(request)
        label = case.operation.label
        self.tally.add(self.service.name, label, caller, answer.status, called_well=called_well)
        self.statuses[caller].add(answer.status)
        self.known.learn(answer)
        for what in complaints(case, request, answer, caller):
            self.findings.add(label, what, caller, request, answer)
        return answer

    def close(self) -> None:
        """Fail if anything was wrong."""
        self.tally.findings += len(self.findings.found)
        assert not self.findings.found, self.findings.text()


def called(call: Call, asked: dict[str, Any]) -> Any:
    """Return a call as a case of its operation."""
    path = {name: str(value) for name, value in call.path.items()}
    body = {} if call.body is NOTHING else {"body": call.body, "media_type": "application/json"}
    return asked[call.operation].Case(path_parameters=path, query=call.query, headers=call.headers, **body)


@pytest.mark.parametrize("service", NAMES, indirect=True)
def test_every_operation_succeeds_when_it_is_called_well_and_answers_as_it_says(
    service: Stand, tally: Tally
) -> None:
    if service.name not in STORIES:
        pytest.skip(f"{service.name} has no story in tests/fuzz/stories.py")
    interview = Interview(service, tally)
    asked = {operation.definition.raw["operationId"]: operation for operation in operations(service)}
    # One token for all of it: with one that was just made nobody is known yet, and no shortcut is taken.
    callers = {caller: service.headers_of(caller) for caller in CALLERS}
    story, heard, done, refused = STORIES[service.name](), None, set[str](), ""
    with suppress(StopIteration):
        while not refused:
            call = story.send(heard)
            if call.inside and service.at_edge:
                heard = None
                continue
            case = called(call, asked)
            answer = interview.ask(case, call.caller, callers[call.caller], called_well=True)
            assert answer is not None, call
            refused = "" if answer.is_success else f"{call}: {answer.status} {answer.body!r}"
            heard = answer.json()
            done.add(call.operation)
    interview.close()
    assert not refused, refused
    never = REFUSED_AT_EDGE.keys() & asked.keys() if service.at_edge else set[str]()
    assert asked.keys() - done == never, "an operation that no story calls"


@pytest.mark.parametrize("service", NAMES, indirect=True)
def test_what_is_removed_in_one_round_is_there_again_in_the_next(service: Stand) -> None:
    asked = list(operations(service))
    for operation in asked:
        if operation.method == "delete":
            removed = _ask_about(service, operation, service.furnish())
            assert removed is None or removed.status != 404, operation.label
    there = service.furnish()
    for operation in asked:
        if operation.method == "get" or operation.label == "POST /secrets/{serviceName}/rotate":
            answer = _ask_about(service, operation, there)
            assert answer is None or answer.is_success, (operation.label, answer)


def _ask_about(service: Stand, operation: Any, there: dict[str, str]) -> Answer | None:
    """Ask, as an administrator, about what is there; None where the path or the query names what is not."""
    names = re.findall(r"{(\w+)}", operation.path)
    if not names or not there.keys() >= set(names):
        return None
    case = operation.Case(path_parameters={name: there[name] for name in names})
    request = to_request(case, service.headers_of("admin"))
    return service.ask(request) if request else None


@pytest.mark.parametrize("service", ["secrets-manager"], indirect=True)
def test_somebody_who_may_nothing_is_there_again_after_he_was_revoked(service: Stand) -> None:
    admin = service.headers_of("admin")
    for identity in service.client.get("/identities?limit=500", headers=admin).json()["items"]:
        if not identity["roles"] and not identity["revoked_at"]:
            service.client.delete(f"/identities/{identity['name']}", headers=admin).raise_for_status()
    service.furnish()
    refused = service.client.get("/identities", headers=service.headers_of("powerless"))
    assert refused.status_code == 403, refused.text


@pytest.mark.parametrize("service", NAMES, indirect=True)
def test_a_service_answers_as_it_says_it_does(service: Stand, seed: int, examples: int, tally: Tally) -> None:
    interview = Interview(service, tally)
    for operation in operations(service):
        there = service.furnish()
        callers = {caller: service.headers_of(caller) for caller in CALLERS}

        def ask(case: Any, luck: list[int]) -> None:
            interview.about(case, luck, there, callers)  # noqa: B023 - called before the next turn

        for mode in MODES:
            kinds = (operation.as_strategy(mode), st.lists(st.integers(0, 997), max_size=4))
            try:
                for_all(kinds, seed, examples, ask)
            except Unsatisfiable:
                tally.add_empty(service.name, operation.label, mode.value)
                # Where there is nothing to say, there is nothing that does not fit.
                said = operation.definition.raw.keys() & {"parameters", "requestBody"}
                assert mode is GenerationMode.NEGATIVE, f"nothing fits {operation.label}"
                assert not said, f"everything fits {operation.label}"
    interview.close()
    assert tally.count(service.name, "admin", "2xx")
    assert 403 in interview.statuses["powerless"], "it is somebody, who may do nothing"

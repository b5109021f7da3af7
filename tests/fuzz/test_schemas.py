"""Every operation of every service, asked by its own description: what fits it, and what does not."""

import itertools
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
from wire import Request

MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


def operations(service: Stand) -> Iterator[Any]:
    """What there is to ask, in the order of the description."""
    for found in schemathesis.openapi.from_dict(service.document).get_all_operations():
        yield found.ok()


_addresses = (f"127.{n // 62500 % 250}.{n // 250 % 250}.{n % 250 + 1}" for n in itertools.count())
"""Wrong keys are counted by address."""


def to_request(case: Any, headers: dict[str, str]) -> Request | None:
    """Answer the request of a case as bytes; None for one that no HTTP client can send."""
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
    return Request(str(made.method), made.path_url, lines, chunks, (next(_addresses), 50000))


def _raw(text: str | bytes) -> bytes:
    return text.encode("latin-1") if isinstance(text, str) else text


class Interview:
    """Asks one service, as each of the callers, and writes down what is wrong."""

    def __init__(self, service: Stand, tally: Tally) -> None:
        self.service, self.tally = service, tally
        self.findings, self.known = Findings(), Known()
        self.statuses: defaultdict[str, set[int]] = defaultdict(set)

    def about(self, case: Any, luck: list[int], callers: dict[str, dict[str, str]]) -> None:
        """Send a case."""
        # Most of what is asked for is there, or nobody would get past the first look.
        for name, number in zip(list(case.path_parameters or ()), luck, strict=False):
            if number % 4:
                case.path_parameters[name] = self.known.pick(number)
        for caller, headers in callers.items():
            request = to_request(case, headers)
            if request is None:
                return
            answer = self.service.ask(request)
            self.tally.add(self.service.name, case.operation.label, caller, answer.status)
            self.statuses[caller].add(answer.status)
            self.known.learn(answer)
            for what in complaints(case, request, answer, caller):
                self.findings.add(case.operation.label, what, caller, request, answer)


@pytest.mark.parametrize("service", NAMES, indirect=True)
def test_a_service_answers_as_it_says_it_does(service: Stand, seed: int, examples: int, tally: Tally) -> None:
    interview = Interview(service, tally)
    for operation in operations(service):
        service.furnish()
        callers = {caller: service.headers_of(caller) for caller in CALLERS}
        for mode in MODES:
            kinds = (operation.as_strategy(mode), st.lists(st.integers(0, 997), max_size=4))
            # There may be nothing that does not fit.
            with suppress(Unsatisfiable):
                for_all(kinds, seed, examples, lambda case, luck: interview.about(case, luck, callers))  # noqa: B023
    tally.findings += len(interview.findings.found)
    assert not interview.findings.found, interview.findings.text()
    assert tally.count(service.name, "admin", "2xx")
    assert 403 in interview.statuses["powerless"], "it is somebody, who may do nothing"

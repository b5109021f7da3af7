"""What counts as a finding: answers that no service here gives, made up."""

import json
import ssl
from http.client import BadStatusLine, RemoteDisconnected
from typing import Any

import edge_answers
import pytest
import schemathesis
from echoes import INPUT, SECRET
from judge import complaints
from running import MOST_BYTES, hung_up_on
from wire import Answer, Headers, Request

PROBLEM, ID = (b"content-type", b"application/problem+json"), (b"x-request-id", b"abc")
PASSED_ON = (edge_answers.ON_ALL.encode(), b"max-age=1")
WORDS = "The edge got no answer from this service. Try again in a moment."


def of(operation: str = "putThing") -> schemathesis.Case:
    """Return a case of an operation whose every answer is described."""
    described = {"content": {"application/problem+json": {"schema": {"type": "object"}}}, "description": "d"}
    one = {"operationId": operation, "responses": {"default": described}}
    document = {
        "openapi": "3.0.3",
        "info": {"title": "t", "version": "1"},
        "paths": {"/things": {"put": one}},
    }
    [found] = schemathesis.openapi.from_dict(document).get_all_operations()
    return found.ok().Case()


def problem(sent: int, /, *more: tuple[bytes, bytes], **members: Any) -> Answer:
    said = {"type": "about:blank", "title": "T", "status": sent, "detail": "d", "instance": "/things"}
    body = json.dumps({**said, "request_id": "abc", **members}).encode()
    return Answer(sent, [PROBLEM, *more], body)


def said_of(answer: Answer, request: Request | None = None, operation: str = "putThing") -> list[str]:
    return list(complaints(of(operation), request or Request("PUT", "/things"), answer, "admin"))


@pytest.mark.parametrize(
    ("answer", "by_edge"),
    [
        (problem(502, PASSED_ON, instance="", detail=WORDS), True),
        (problem(404, PASSED_ON, instance="", detail="The edge serves nothing at this path."), True),
        (Answer(400, [(b"content-type", b"text/plain; charset=utf-8")], b"400 Bad Request"), True),
        (Answer(431), True),
        (Answer(501), True),
        (problem(502, PASSED_ON, instance=""), False),
        (problem(502, PASSED_ON, detail=WORDS), False),
        (problem(502, PASSED_ON, instance="", detail=WORDS, status=503), False),
        (problem(502, PASSED_ON, ID, instance="", detail=WORDS), False),
        (problem(502, PASSED_ON, instance="", detail=WORDS, near=[]), False),
        (problem(404, PASSED_ON), False),
        (Answer(200, [PASSED_ON], b'{"instance":"",'), False),
        (Answer(400, [PASSED_ON], b"Invalid HTTP request received."), False),
        (Answer(502, [PASSED_ON, PROBLEM], b"no JSON"), False),
        (Answer(502, [PASSED_ON, PROBLEM], b"[]"), False),
        (Answer(200), False),
        (Answer(500), False),
    ],
)
def test_the_edges_own_answers_are_known_by_what_it_alone_says(answer: Answer, by_edge: bool) -> None:
    assert edge_answers.says(answer) is by_edge


def test_all_that_the_edge_says_of_itself_is_known() -> None:
    assert {WORDS, "The edge cannot pass this request on."} <= edge_answers.DETAILS
    assert len(edge_answers.DETAILS) == 4


def test_a_service_that_leaves_out_the_request_id_is_found() -> None:
    assert said_of(problem(404)) == ["404 without X-Request-ID"]
    assert said_of(problem(404, ID)) == []
    unread = Answer(400, by_edge=True)
    assert said_of(unread) == []


AUTHORIZATION: Headers = [(b"Authorization", b"Bearer " + SECRET.encode())]
CLEAN = Request("PUT", "/things", [], (b'{"name": "' + SECRET.encode() + b'"}',))
OF_A_SECRET = b'{"A": "of-a-person\\"s choice"}'


@pytest.mark.parametrize(
    ("request_", "operation", "repeats"),
    [
        (Request("PUT", "/things", AUTHORIZATION), "putThing", SECRET),
        (Request("PUT", "/things", [(b"x-api-key", b"fnt_abcdefghijkl")]), "putThing", "fnt_abcdefghijkl"),
        (Request("PUT", f"/things?access_token={SECRET}"), "putThing", SECRET),
        (Request("PUT", "/things", [], (b'{"newSecrets": {"A": ["0123456789ab"]}}',)), "x", "0123456789ab"),
        (Request("PUT", "/things", [], (b"a=b&client_secret=0123456789ab",)), "putThing", "0123456789ab"),
        (Request("PUT", "/things", [], (OF_A_SECRET,)), "replaceSecretsForService", 'of-a-person"s choice'),
        (CLEAN, "putThing", SECRET),
    ],
)
def test_a_refusal_that_repeats_a_secret_is_found(request_: Request, operation: str, repeats: str) -> None:
    for answer in (
        problem(422, ID, detail=f"{repeats} is wrong"),
        problem(422, ID, errors=[{"type": "t", "loc": [repeats], "msg": "m"}]),
    ):
        assert said_of(answer, request_, operation) == ["422 repeats a secret that was sent"]
    assert said_of(problem(422, ID), request_, operation) == []
    assert said_of(problem(200, ID, detail=repeats), request_, operation) == []


def test_what_is_no_secret_may_be_named_and_so_may_the_path() -> None:
    named = Request("PUT", "/things", [], (b'{"name": "0123456789ab"}',))
    assert said_of(problem(404, ID, detail="There is no 0123456789ab."), named) == []
    asked = Request("PUT", f"/things?password={SECRET}")
    assert said_of(problem(404, ID, instance=f"/{SECRET}"), asked) == []


def test_a_validation_error_that_repeats_what_was_sent_is_found() -> None:
    sent = Request("PUT", "/things", [], (b'{"name": "' + INPUT.encode() + b'"}',))
    error = {"type": "t", "loc": ["body", "name"], "msg": f"{INPUT} is no number"}
    assert said_of(problem(422, ID, errors=[error]), sent) == ["422 repeats what was not valid"]
    assert said_of(problem(422, ID, errors=[{**error, "msg": "no number"}]), sent) == []


def test_only_a_connection_that_the_edge_broke_off_stands_for_its_refusal_of_what_is_too_long() -> None:
    short, long = (Request("POST", "/x", [], (b"x" * size,)) for size in (1000, MOST_BYTES + 1))
    for error in (ConnectionResetError(), BrokenPipeError(), RemoteDisconnected(), ssl.SSLEOFError()):
        assert hung_up_on(long, error)
        assert not hung_up_on(short, error)
    for error in (TimeoutError(), BadStatusLine("x"), OSError("x")):
        assert not hung_up_on(long, error)

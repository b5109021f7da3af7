"""Rules 9 and 10: request ids, errors as problems, limits."""

from collections.abc import Callable, Iterator
from itertools import islice

import httpx2

from fountain_cli.conformance.findings import Found
from fountain_cli.conformance.missing import NotChecked
from fountain_cli.conformance.target import Operation, Target, is_public

_MEMBERS = ("type", "title", "status", "detail", "instance", "request_id")
_LARGE = 2 * 1024 * 1024
_TRIES = 5
_MARKER = "conformance-marker-7f3a"


def request_ids(target: Target) -> Found:
    """A good X-Request-ID comes back, a bad one is replaced, a missing one is made; on errors too."""
    asked = [("GET", "/health"), ("GET", "/no-such-path-here"), ("DELETE", "/health")]
    guarded = (
        one for one in target.operations() if not one.public and not is_public(one.template, target.name)
    )
    asked += [(one.method.upper(), one.path()) for one in islice(guarded, 1)]
    for method, path in asked:
        given = "conformance-7f3a2c"
        if target.ask(method, path, headers={"X-Request-ID": given}).headers.get("x-request-id") != given:
            yield f"{method} {path}", "does not return the X-Request-ID that it got", "accept and return it"
        if not target.ask(method, path).headers.get("x-request-id"):
            yield f"{method} {path}", "makes no X-Request-ID where none was sent", "make one"
    bad = 'x" onload=<script> ' + "a" * 300
    if target.ask("GET", "/health", headers={"X-Request-ID": bad}).headers.get("x-request-id") == bad:
        yield "GET /health", "returns an X-Request-ID unchecked", "accept only short plain ids"


def problems(target: Target) -> Found:
    """Every error is an RFC 9457 problem: for no such path, a wrong method, an unreadable body."""
    cases = (("GET", "/no-such-path-here", 404), ("DELETE", "/health", 405))
    for method, path, status in cases:
        answer = target.ask(method, path)
        if answer.status_code != status:
            yield f"{method} {path}", f"answers {answer.status_code}", f"answer {status}"
        yield from _not_a_problem(f"{method} {path}", answer)


def bodies(target: Target) -> Found:
    """An unreadable body is 400, a malformed one 422 without what was sent, an unknown field 422."""
    token, operation = target.admin, takes_json(target)
    place, method, path = operation.place, operation.method.upper(), operation.path()
    json = {"Content-Type": "application/json"}
    broken = target.ask(method, path, token=token, content=b'{"a":', headers=json)
    if broken.status_code != 400:
        yield place, f"answers {broken.status_code} to an unparsable body", "answer 400"
    yield from _not_a_problem(place, broken)
    for sent in ({_MARKER: _MARKER}, [_MARKER], _MARKER):
        answer = target.ask(method, path, token=token, json=sent)
        if answer.status_code != 422:
            yield place, f"answers {answer.status_code} to a body of another form", "answer 422"
            continue
        formless = list(_not_a_problem(place, answer))
        yield from formless
        said = {} if formless else answer.json()
        if any(set(error) - {"type", "loc", "msg"} for error in said.get("errors", [])):
            yield place, "its 422 has more than type, loc and msg", "leave the input out"


def limits(target: Target) -> Found:
    """A body over the limit is 413, with and without a Content-Length."""
    token, operation = target.admin, takes_json(target)
    for how, content in (("a body", _whole), ("a chunked body", _in_pieces)):
        try:
            status = _status_of_large(target, operation, token, content)
        except httpx2.TimeoutException:
            yield operation.place, f"gives no answer to {how} of 2 MiB", "answer 413"
            continue
        if status is None:
            yield (
                operation.place,
                f"breaks the connection off at {how} of 2 MiB",
                "answer 413, and close after that",
            )
        elif status != 413:
            yield operation.place, f"answers {status} to {how} of 2 MiB", "answer 413"


def _whole() -> bytes:
    return b" " * _LARGE


def _in_pieces() -> Iterator[bytes]:
    return (b" " * 65536 for _ in range(_LARGE // 65536))


def _status_of_large(
    target: Target, operation: Operation, token: str, content: Callable[[], bytes | Iterator[bytes]]
) -> int | None:
    """The answer's status; None where the connection broke before there was one, each time anew.

    A 413 that comes while the body is still sent can be lost with the connection: one break is no proof.
    """
    # What is left of a refused body must not be taken for the next request on the connection.
    headers = {"Content-Type": "application/json", "Connection": "close"}
    path, method = operation.path(), operation.method.upper()
    for _ in range(_TRIES):
        try:
            return target.ask(method, path, token=token, headers=headers, content=content()).status_code
        except httpx2.TimeoutException:
            raise
        except httpx2.TransportError:
            continue
    return None


def takes_json(target: Target) -> Operation:
    """An operation with a strict JSON body: what is not valid cannot change anything by accident.

    Raises `NotChecked` where there is none.
    """
    for operation in target.guarded():
        body = target.resolved(operation.spec.get("requestBody", {}))
        schema = body.get("content", {}).get("application/json", {}).get("schema")
        if schema is None:
            continue
        if target.resolved(schema).get("additionalProperties") is False and body.get("required"):
            return operation
    raise NotChecked("no operation takes a JSON body that allows no unknown field")


def _not_a_problem(place: str, answer: httpx2.Response) -> Found:
    if answer.headers.get("content-type", "").split(";")[0] != "application/problem+json":
        yield (
            place,
            f"its {answer.status_code} is not application/problem+json",
            "answer a problem (RFC 9457)",
        )
        return
    body = answer.json()
    missing = [name for name in _MEMBERS if name not in body]
    if missing:
        yield place, f"its {answer.status_code} lacks {', '.join(missing)}", "add the members"
    elif answer.headers.get("x-request-id", body["request_id"]) != body["request_id"]:
        yield (
            place,
            f"its {answer.status_code} has another request_id in the body than in X-Request-ID",
            "give the request one id",
        )

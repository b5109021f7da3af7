"""Whether a refusal repeats what must not come back: what is secret, and what a validation error is about."""

import json
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote

import orjson
from wire import Answer, Request

INPUT = "1nput-that-no-validation-error-repeats"
"""A value that fits nowhere."""
SECRET = "s3cret-that-no-refusal-repeats"
"""A value of a secret, or a credential."""
NAMES = frozenset(
    {
        "access_token",
        "api_key",
        "client_assertion",
        "client_secret",
        "newSecrets",
        "otp_code",
        "password",
        "subject_token",
    }
)
"""Of fields and parameters whose values are secret, with all that is in them."""
HEADERS = ("authorization", "x-api-key", "x-fountain-lease")
ALL_SECRET = frozenset({"createSecretsForService", "replaceSecretsForService"})
"""Operations whose bodies are values of secrets and nothing else."""
_SHORTEST = 12
"""What is shorter may be in an answer by chance."""


def repeated(operation: str, request: Request, answer: Answer) -> Iterator[str]:
    """Return what is wrong with a refusal: nothing if it repeats nothing."""
    if answer.status < HTTPStatus.BAD_REQUEST:
        return
    said = _said(answer)
    if any(form in said for value in _secrets(operation, request) for form in _forms(value)):
        yield f"{answer.status} repeats a secret that was sent"
    if INPUT in said and _errors(answer) is not None:
        yield f"{answer.status} repeats what was not valid"


def _secrets(operation: str, request: Request) -> set[str]:
    """Return the secret values of a request that can be told from what else is in it."""
    path, _, query = request.target.partition("?")
    found = {value for name, value in parse_qsl(query, errors="replace") if name in NAMES}
    for name, value in request.headers:
        if name.decode("latin-1").lower() in HEADERS:
            found |= {value.decode("latin-1"), value.decode("latin-1").rpartition(" ")[2]}
    found |= set(_in_body(operation, b"".join(request.chunks)))
    return {value for value in found if len(value) >= _SHORTEST and value not in unquote(path)}


def _in_body(operation: str, body: bytes) -> Iterator[str]:
    if SECRET.encode() in body:
        yield SECRET  # whatever else is wrong with it
    try:
        yield from _values(orjson.loads(body), secret=operation in ALL_SECRET)
    except (ValueError, RecursionError):
        form = parse_qsl(body.decode("latin-1"), errors="replace")
        yield from (value for name, value in form if name in NAMES)


def _values(thing: Any, *, secret: bool) -> Iterator[str]:
    if isinstance(thing, Mapping):
        for name, value in thing.items():
            yield from _values(value, secret=secret or name in NAMES)
    elif isinstance(thing, list):
        for value in thing:
            yield from _values(value, secret=secret)
    elif secret and isinstance(thing, str):
        yield thing


def _forms(value: str) -> set[str]:
    """A value as it is, and as it looks within JSON."""
    return {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}


def _said(answer: Answer) -> str:
    """All of an answer but for `instance`, which is the path that was asked for."""
    problem = _problem(answer)
    body = answer.body if problem is None else orjson.dumps({**problem, "instance": ""})
    headers = b"\n".join(value for _, value in answer.headers)
    return (headers + b"\n" + body).decode(errors="replace")


def _errors(answer: Answer) -> Any:
    return (_problem(answer) or {}).get("errors")


def _problem(answer: Answer) -> dict[str, Any] | None:
    try:
        found = orjson.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None

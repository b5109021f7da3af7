"""Rule 5: who gets in. Every operation is called without a token, a powerless one, a foreign one."""

from typing import Any

import httpx2

from fountain_cli.conformance.findings import Found
from fountain_cli.conformance.missing import NotChecked
from fountain_cli.conformance.target import Operation, Target, is_public

_CREDENTIALS = ("access_token", "api_key", "token")


def without_token(target: Target) -> Found:
    """Nobody gets in without a credential, except where it is meant to be open."""
    for operation in target.operations():
        if operation.public and not is_public(operation.template, target.name):
            yield operation.place, "is public", "ask for a credential"
    for operation in target.guarded():
        answer = _called(target, operation, None)
        if answer.status_code != 401:
            yield operation.place, f"answers {answer.status_code} without a token", "answer 401"
        elif not answer.headers.get("www-authenticate", "").lower().startswith("bearer"):
            yield (
                operation.place,
                "its 401 does not say which credential it wants",
                "send WWW-Authenticate: Bearer",
            )


def forged_token(target: Target) -> Found:
    """A token that nobody signed is none."""
    unsigned = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.eyJzdWIiOiJhZG1pbiIsInJvbGVzIjpbImFkbWluIl19."
    for operation in target.guarded():
        for token in (unsigned, "not-a-token"):
            status = _called(target, operation, token).status_code
            if status != 401:
                yield operation.place, f"answers {status} to a forged token", "answer 401"
                break


def forged_key(target: Target) -> Found:
    """An API key that nobody made is none."""
    forged = {"X-API-Key": f"fnt_{'0' * 12}_{'A' * 43}"}
    for operation in target.guarded():
        answer = _called(target, operation, None, headers=forged)
        # Whoever shows many may be told to wait.
        throttled = answer.status_code == 429 and "Retry-After" in answer.headers
        if answer.status_code != 401 and not throttled:
            yield operation.place, f"answers {answer.status_code} to a forged API key", "answer 401"


def foreign_token(target: Target) -> Found:
    """A token for another service is refused."""
    if target.tokens.foreign is None:
        raise NotChecked("no token for another service was given")
    for operation in target.guarded():
        status = _called(target, operation, target.tokens.foreign).status_code
        if status != 401:
            yield (
                operation.place,
                f"answers {status} to a token for another service",
                "check the audience, and answer 401",
            )


def powerless_token(target: Target) -> Found:
    """A token without permissions is known and gets nowhere."""
    if target.tokens.powerless is None:
        raise NotChecked("no token without permissions was given")
    for operation in target.guarded():
        answer = _called(target, operation, target.tokens.powerless)
        if answer.status_code != 403:
            said = f"answers {answer.status_code} to a token without permissions"
            yield operation.place, said, "ask for a permission, and answer 403"
        elif "permission" not in answer.text:
            yield operation.place, "its 403 does not name the missing permission", "name it"


def credentials_in_urls(target: Target) -> Found:
    """A credential in a URL, which ends up in logs, is refused: where everybody may ask, and by an operation.

    The operation is asked with a good token where there is one: the credential must not pass beside it.
    """
    asked: list[tuple[str, str, str, str | None]] = [("GET /health", "GET", "/health", None)]
    asked += [
        (one.place, one.method.upper(), one.path(), target.tokens.admin) for one in target.guarded()[:1]
    ]
    for place, method, path, token in asked:
        for name in _CREDENTIALS:
            status = target.ask(method, f"{path}?{name}=abcdef", token=token).status_code
            if status != 400:
                yield f"{place}?{name}=", f"answers {status}", "refuse credentials in URLs with 400"


def _called(target: Target, operation: Operation, token: str | None, **more: Any) -> httpx2.Response:
    # A body of the right type, so that it is the credential that is judged and not the form.
    body: dict[str, Any] = {"json": {}} if "requestBody" in operation.spec else {}
    return target.ask(operation.method.upper(), operation.path(), token=token, **body, **more)

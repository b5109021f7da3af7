"""Rule 3.5: who gets in. Every operation is called without a token, a powerless one, a foreign one."""

from collections.abc import Iterator
from typing import Any

import httpx2

from fountain_cli.conformance.target import Operation, Target

Found = Iterator[tuple[str, str, str]]
# What the design names as public, besides what every service has.
_PUBLIC = {
    "/",
    "/health",
    "/docs",
    "/openapi.json",
    "/metrics",
    "/auth/token",
    "/.well-known/jwks.json",
    "/.well-known/oauth-authorization-server",
    "/.well-known/revocations",
    "/lookup/{serviceName}",
    "/apis",
}
_CREDENTIALS = ("access_token", "api_key", "token")


def without_token(target: Target) -> Found:
    """Nobody gets in without a credential, except where the design says so."""
    for operation in target.operations():
        if operation.template in _PUBLIC or operation.template.startswith("/docs/"):
            continue
        if operation.public:
            yield operation.place, "is public", "ask for a credential"
            continue
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
    for operation in _guarded(target):
        for token in (unsigned, "not-a-token"):
            status = _called(target, operation, token).status_code
            if status != 401:
                yield operation.place, f"answers {status} to a forged token", "answer 401"
                break


def foreign_token(target: Target) -> Found:
    """A token for another service is refused."""
    if target.tokens.foreign is None:
        return
    for operation in _guarded(target):
        status = _called(target, operation, target.tokens.foreign).status_code
        if status != 401:
            yield (
                operation.place,
                f"answers {status} to a token for another service",
                "check the audience; 401",
            )


def powerless_token(target: Target) -> Found:
    """A token without permissions is known and gets nowhere."""
    if target.tokens.powerless is None:
        return
    for operation in _guarded(target):
        answer = _called(target, operation, target.tokens.powerless)
        if answer.status_code != 403:
            said = f"answers {answer.status_code} to a token without permissions"
            yield operation.place, said, "ask for a permission; 403"
        elif "permission" not in answer.text:
            yield operation.place, "its 403 does not name the missing permission", "name it"


def credentials_in_urls(target: Target) -> Found:
    """A credential in a URL, which ends up in logs, is refused."""
    for name in _CREDENTIALS:
        status = target.ask("GET", f"/health?{name}=abcdef").status_code
        if status != 400:
            yield f"GET /health?{name}=", f"answers {status}", "refuse credentials in URLs with 400"


def _guarded(target: Target) -> Iterator[Operation]:
    for operation in target.operations():
        if not operation.public and operation.template not in _PUBLIC:
            yield operation


def _called(target: Target, operation: Operation, token: str | None) -> httpx2.Response:
    # A body of the right type, so that it is the credential that is judged and not the form.
    body: dict[str, Any] = {"json": {}} if "requestBody" in operation.spec else {}
    return target.ask(operation.method.upper(), operation.path(), token=token, **body)

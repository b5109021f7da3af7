"""The description of an application as OpenAPI 3.0.3, complete with errors and security."""

from collections.abc import Iterable
from typing import Any

import orjson
from fastapi import FastAPI

from fountain_common.errors import MEDIA_TYPE, title_of
from fountain_common.openapi_303 import to_openapi_3_0_3
from fountain_common.schemas import Problem

MAX_TEXT = 300
MAX_PARAMETER_TEXT = 700
ERRORS = (400, 401, 403, 413, 422, 500)
CALLER_ERRORS = (429, 503)
"""Further ones where the caller must be known: too many wrong keys, or nobody there to ask about a key."""
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
SECURITY_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "An access token from POST /auth/token of the Secrets Manager, made for this service.",
    },
    "apiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "An API key whose audiences name this service; the service exchanges it for a token.",
    },
}


def operations(document: dict[str, Any]) -> Iterable[tuple[str, str, dict[str, Any]]]:
    """Return path, method and operation, of all operations."""
    for path, item in document.get("paths", {}).items():
        for method in _METHODS:
            if method in item:
                yield path, method, item[method]


def complete(document: dict[str, Any], public_paths: Iterable[str]) -> dict[str, Any]:
    """Add to a fresh document what is true of every operation: its errors and who may call it."""
    public = frozenset(public_paths)
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= problem.pop("$defs")
    schemas["Problem"] = problem
    components["securitySchemes"] = {**components.get("securitySchemes", {}), **SECURITY_SCHEMES}
    document["security"] = [{"bearer": []}, {"apiKey": []}]
    for path, _, operation in operations(document):
        responses = operation.setdefault("responses", {})
        if MEDIA_TYPE not in responses.get("422", {}).get("content", {}):
            responses.pop("422", None)  # FastAPI's own shape, which no service here answers
        for status in ERRORS if path in public else (*ERRORS, *CALLER_ERRORS):
            responses.setdefault(str(status), _problem(status))
        operation.pop("security", None)
        if path in public:
            operation["security"] = []
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    return document


def _problem(status: int) -> dict[str, Any]:
    return {
        "description": title_of(status),
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def violations(document: dict[str, Any]) -> list[str]:
    """Return a sentence for everything that a description owes and this one lacks."""
    found: list[str] = []
    seen: set[str] = set()
    if document.get("openapi") != "3.0.3":
        found.append("The document does not say 3.0.3.")
    for path, method, operation in operations(document):
        where = f"{method.upper()} {path}"
        identifier = operation.get("operationId", "")
        if not identifier or not identifier[0].islower() or not identifier.isalnum():
            found.append(f"{where}: the operationId {identifier!r} is not camelCase.")
        if identifier in seen:
            found.append(f"{where}: the operationId {identifier!r} is used twice.")
        seen.add(identifier)
        found += [
            f"{where}: the {name} must have 1 to {MAX_TEXT} characters."
            for name in ("summary", "description")
            if not 0 < len(operation.get(name, "")) <= MAX_TEXT
        ]
        found += [
            f"{where}: parameter {parameter.get('name')} has more than {MAX_PARAMETER_TEXT} characters."
            for parameter in operation.get("parameters", ())
            if len(parameter.get("description", "")) > MAX_PARAMETER_TEXT
        ]
        found += [
            f"{where}: {status} is not declared."
            for status in ERRORS
            if str(status) not in operation["responses"]
        ]
    return found


def install(app: FastAPI, public_paths: Iterable[str]) -> None:
    """Make `app.openapi()` answer the 3.0.3 document, and `app.state.openapi_bytes()` the same as JSON."""
    public = tuple(public_paths)
    generate = app.openapi
    made: dict[str, Any] = {}
    encoded: list[bytes] = []

    def openapi() -> dict[str, Any]:
        if not made:
            made.update(to_openapi_3_0_3(complete(generate(), public)))
        return made

    def openapi_bytes() -> bytes:
        if not encoded:
            encoded.append(orjson.dumps(openapi()))
        return encoded[0]

    app.openapi = openapi  # type: ignore[method-assign]
    app.state.openapi_bytes = openapi_bytes

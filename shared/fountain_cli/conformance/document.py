"""Rule 4: what the OpenAPI document says, by an independent validator and by our limits."""

import re
from collections import Counter

from fountain_cli.conformance.findings import Found
from fountain_cli.conformance.target import Operation, Target

_CAMEL = re.compile(r"[a-z][a-zA-Z0-9]*")
_MOST = 10
_TEXT, _PARAMETER_TEXT = 300, 700
_ERRORS = ("400", "401", "403", "422")
_NEEDED = {"/": "getLandingPage", "/health": "getHealthStatus"}


def valid(target: Target) -> Found:
    """The document says 3.0.3 and is valid 3.0.3."""
    said = target.openapi.get("openapi")
    if said != "3.0.3":
        yield "openapi.json", f"says openapi {said!r}", 'say "3.0.3", and mean it'
        return
    from openapi_spec_validator import OpenAPIV30SpecValidator

    try:
        errors = list(OpenAPIV30SpecValidator(target.openapi).iter_errors())[:_MOST]
    except Exception as reason:  # noqa: BLE001 - a document so far off that the validator itself stumbles
        yield "openapi.json", f"cannot be validated ({reason})"[:200], "make the document valid OpenAPI 3.0.3"
        return
    for error in errors:
        place = "/".join(str(step) for step in error.absolute_path) or "its root"
        yield f"openapi.json at {place}", error.message[:200], "make the document valid OpenAPI 3.0.3"


def operation_ids(target: Target) -> Found:
    """Every operation has an operationId of its own, in camel case; the fixed ones have their names."""
    ids = Counter(operation.spec.get("operationId") for operation in target.operations())
    for operation in target.operations():
        name = operation.spec.get("operationId")
        if not name:
            yield operation.place, "has no operationId", "give it one in camelCase"
        elif not _CAMEL.fullmatch(name):
            yield operation.place, f"has the operationId {name!r}", "write it in camelCase"
        elif ids[name] > 1:
            yield operation.place, f"shares the operationId {name} with another", "give each its own"
    by_place = {(operation.method, operation.template): operation.spec for operation in target.operations()}
    for path, wanted in _NEEDED.items():
        if by_place.get(("get", path), {}).get("operationId") != wanted:
            yield f"GET {path}", f"does not have the operationId {wanted}", f"document it as {wanted}"


def texts(target: Target) -> Found:
    """Every operation has a summary and a description; all texts are within the limits."""
    description = target.openapi.get("info", {}).get("description", "")
    if len(description) > _TEXT:
        yield (
            "openapi.json info",
            f"has a description of {len(description)} characters",
            f"shorten it to {_TEXT}",
        )
    for operation in target.operations():
        for field in ("summary", "description"):
            text = operation.spec.get(field, "")
            if not text:
                yield operation.place, f"has no {field}", f"add one of at most {_TEXT} characters"
            elif len(text) > _TEXT:
                yield operation.place, f"has a {field} of {len(text)} characters", f"shorten it to {_TEXT}"
        for parameter in operation.parameters:
            length = len(parameter.get("description", ""))
            if length > _PARAMETER_TEXT:
                place = f"{operation.place} parameter {parameter.get('name')}"
                yield place, f"has a description of {length} characters", f"shorten it to {_PARAMETER_TEXT}"


def declared_errors(target: Target) -> Found:
    """Errors and security schemes are declared, the errors as problems."""
    if not target.openapi.get("components", {}).get("securitySchemes"):
        yield (
            "openapi.json components",
            "declares no security scheme",
            "declare the bearer token and the API key",
        )
    for operation in target.guarded():
        if not (operation.spec.get("security") or target.openapi.get("security")):
            yield operation.place, "does not say which credential it needs", "declare its security"
        yield from _undeclared(target, operation)


def _undeclared(target: Target, operation: Operation) -> Found:
    responses = operation.spec.get("responses", {})
    for status in _ERRORS:
        response = target.resolved(responses.get(status, responses.get("default", {})))
        if not response:
            yield operation.place, f"does not declare {status}", "declare it as application/problem+json"
        elif "application/problem+json" not in response.get("content", {}):
            yield (
                operation.place,
                f"declares {status} in another form",
                "declare it as application/problem+json",
            )

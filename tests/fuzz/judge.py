"""Whether an answer is one that the service's own description allows."""

from collections.abc import Iterator
from http import HTTPStatus
from urllib.parse import unquote

import requests
from echoes import repeated
from schemathesis import Case
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.core.transport import Response
from schemathesis.openapi.checks import JsonSchemaError
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from wire import Answer, Request

CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def complaints(case: Case, request: Request, answer: Answer, caller: str) -> Iterator[str]:
    """Return what is wrong; nothing if all is well."""
    if answer.raised:
        yield "the application let an exception out: " + answer.raised.strip().splitlines()[-1]
    elif answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        yield f"{answer.status}"
    if answer.by_edge:
        return  # of what it does not pass on no service's description speaks
    if not answer.raised and not answer.header("x-request-id"):
        yield f"{answer.status} without X-Request-ID"
    yield from repeated(case.operation.definition.raw.get("operationId", ""), request, answer)
    if unquote(request.target.partition("?")[0]).count("/") != case.operation.path.count("/"):
        return  # a slash in a parameter leads to another operation, or to none
    public = case.operation.definition.raw.get("security") == []
    if caller == "none" and not public and answer.status < HTTPStatus.BAD_REQUEST:
        yield f"{answer.status} without a token"
    try:
        case.validate_response(_response(request, answer), checks=[*CHECKS[: 2 if answer.streams else None]])
    except FailureGroup as group:
        yield from map(_said, group.exceptions)
    except Failure as failure:
        yield _said(failure)


def _said(failure: BaseException) -> str:
    if isinstance(failure, JsonSchemaError):
        return f"{failure.title}: {failure.validation_message} at {failure.instance_path}"
    if isinstance(failure, Failure):
        return f"{failure.title}: {' '.join(failure.message.split())}"
    return repr(failure)


def _response(request: Request, answer: Answer) -> Response:
    sent = requests.Request(request.method, "http://testserver" + request.target).prepare()
    return Response(answer.status, answer.named(), answer.body, sent, 0.0, verify=False)

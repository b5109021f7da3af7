"""Rule 6: events are received at `POST /notifications`, in each form, from those who may deliver."""

import secrets
from datetime import UTC, datetime
from typing import Any

from fountain_cli.conformance.findings import Found
from fountain_cli.conformance.missing import NotChecked
from fountain_cli.conformance.target import Operation, Target

_PATH = "/notifications"
_PLACE = f"POST {_PATH}"
_RECEIVE, _PUBLISH = "receiveNotification", "publishNotification"
_PUBLISHER = "notification"
# A type and a subject that no handler waits for.
_TYPE, _SUBJECT = "conformance.probe", "conformance-probe"


def forms() -> dict[str, dict[str, Any]]:
    """Every form of payload that there is, by what it is called."""
    now = datetime.now(UTC).isoformat()
    event = {"specversion": "1.0", "id": secrets.token_hex(16), "source": "conformance", "type": _TYPE}
    return {
        "a CloudEvent": {**event, "subject": _SUBJECT, "time": now, "data": {"probe": True}},
        "a type with data": {"type": _TYPE, "subject": _SUBJECT, "data": {"probe": True}},
        "a message": {"message": "A probe of the conformance check.", "subject": _SUBJECT},
        "a notice of a rotation": {"serviceName": _SUBJECT, "rotationTime": now, "version": 1},
    }


MALFORMED: dict[str, Any] = {
    "an object that is no event": {"conformance": "probe"},
    "a type that is a number": {"type": 5},
    "a type that is none": {"type": "not a type"},
    "a message with an unknown field": {"message": "a", "conformance": "probe"},
    "a list": [],
}


def documented(target: Target) -> Found:
    """The operation is there, under its name."""
    operation = _operation(target)
    if operation is None:
        yield _PLACE, "is missing", f"receive events, operationId {_RECEIVE}"
        return
    allowed = {"": {_RECEIVE, _PUBLISH}, _PUBLISHER: {_PUBLISH}}.get(target.name, {_RECEIVE})
    if operation.spec.get("operationId") not in allowed:
        yield _PLACE, "has another operationId", f"name it {' or '.join(sorted(allowed))}"


def received(target: Target) -> Found:
    """Every form is taken once its handlers have run; what is none is refused with 422."""
    status = _wanted(target)
    for name, body in forms().items():
        answer = target.ask("POST", _PATH, token=target.admin, json=body)
        if answer.status_code != status:
            yield _PLACE, f"answers {answer.status_code} to {name}", f"take it, and answer {status}"
        elif status == 200 and not _says_received(answer):
            yield (
                _PLACE,
                f"does not say that {name} was received",
                'answer {"message":"Notification received; ..."}',
            )
    for name, body in MALFORMED.items():
        answer = target.ask("POST", _PATH, token=target.admin, json=body)
        if answer.status_code != 422:
            yield _PLACE, f"answers {answer.status_code} to {name}", "answer 422"


def deliverers(target: Target) -> Found:
    """Who may not deliver cannot have handlers run, however well-formed the event."""
    _wanted(target)
    event = forms()["a type with data"]
    status = target.ask("POST", _PATH, json=event).status_code
    if status != 401:
        yield _PLACE, f"answers {status} to an event without a token", "answer 401"
    if target.tokens.powerless is None:
        raise NotChecked("no token without permissions was given")
    status = target.ask("POST", _PATH, token=target.tokens.powerless, json=event).status_code
    if status != 403:
        yield (
            _PLACE,
            f"answers {status} to one who may not deliver",
            "ask for notifications:deliver, and answer 403",
        )


def _operation(target: Target) -> Operation | None:
    found = (one for one in target.operations() if (one.method, one.template) == ("post", _PATH))
    return next(found, None)


def _wanted(target: Target) -> int:
    operation = _operation(target)
    if operation is None:
        raise NotChecked(f"there is no {_PLACE} in the OpenAPI document")
    return 201 if operation.spec.get("operationId") == _PUBLISH else 200


def _says_received(answer: Any) -> bool:
    try:
        body = answer.json()
    except ValueError:
        return False
    return isinstance(body, dict) and str(body.get("message", "")).startswith("Notification received")

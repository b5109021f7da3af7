"""Rule 9: logs on stdout, one JSON object a line, with the request's id."""

import json
import secrets
from typing import Any

from fountain_cli.conformance.findings import Found
from fountain_cli.conformance.missing import NotChecked
from fountain_cli.conformance.target import Target

_FIELDS = ("timestamp", "level", "service", "instance", "event")
_LAST_LINES = 2000
_WRITTEN_SECONDS = 5.0
_PLACE = "the log"
_TRACE = "0af7651916cd43dd8448eb211c80319c"


def lines(target: Target) -> Found:
    """Every line is one JSON object with the fields that all services share."""
    _asked_with_id(target)
    for number, line in enumerate(written(target).splitlines()[-_LAST_LINES:], 1):
        entry = _entry(line)
        # What a line says is not repeated here: it may be what should not have been logged.
        if entry is None:
            yield _PLACE, f"line {number} of the latest is not a JSON object", "log one object a line"
            return
        missing = [name for name in _FIELDS if name not in entry]
        if missing:
            said = f"line {number} of the last ({str(entry.get('event'))[:60]}) lacks {', '.join(missing)}"
            yield _PLACE, said, "add the fields"
            return


def request_lines(target: Target) -> Found:
    """The line of a request has its id, and the trace that the caller began (W3C Trace Context)."""
    request_id = _asked_with_id(target)

    def found() -> dict[str, Any] | None:
        entries = (_entry(line) for line in written(target).splitlines() if request_id in line)
        return next((entry for entry in entries if entry and entry.get("request_id") == request_id), None)

    entry = target.eventually(found, _WRITTEN_SECONDS)
    if entry is None:
        yield _PLACE, "has no line with the id of a request", "log each request with its request_id"
    elif not entry.get("trace_id"):
        yield _PLACE, "has no trace_id in the line of a request", "log the id of the W3C traceparent"
    elif entry["trace_id"] != _TRACE:
        said = "has another trace_id in the line of a request than its traceparent"
        yield _PLACE, said, "continue the trace that the caller began"


def written(target: Target) -> str:
    """What the service has logged. Raises `NotChecked`."""
    if target.keeper is None or not target.name:
        raise NotChecked("the runtime that has its logs is not within reach")
    return target.keeper.logs(target.name)


def _asked_with_id(target: Target) -> str:
    """Send a request that is worth a line in the log, and return its id."""
    written(target)
    request_id = f"conformance-{secrets.token_hex(8)}"
    headers = {"X-Request-ID": request_id, "traceparent": f"00-{_TRACE}-b7ad6b7169203331-01"}
    target.ask("GET", "/no-such-path-here", headers=headers)
    return request_id


def _entry(line: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None

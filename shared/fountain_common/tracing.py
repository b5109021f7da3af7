"""W3C Trace Context: read it, make it, pass it on (https://www.w3.org/TR/trace-context/).

OpenTelemetry is off unless a service is configured for it; the trace id goes through the logs all the same.
"""

import re
import secrets
from typing import Any, NamedTuple

from opentelemetry import trace

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)


class TraceParent(NamedTuple):
    """Where a request stands in a trace: ids in hex, flags as one byte (1 is "sampled")."""

    trace_id: str
    parent_id: str
    flags: int = 0

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.parent_id}-{self.flags:02x}"

    def child(self) -> "TraceParent":
        """Return the same trace with a parent id of our own, for a call to a peer."""
        return TraceParent(self.trace_id, secrets.token_hex(8), self.flags)


def parse_traceparent(header: str) -> TraceParent | None:
    """Read a `traceparent` header; None for one that is malformed, which the standard says to ignore."""
    match = _TRACEPARENT.fullmatch(header.strip())
    if match is None:
        return None
    version, trace_id, parent_id, flags, rest = match.groups()
    if version == "ff" or (version == "00" and rest) or not int(trace_id, 16) or not int(parent_id, 16):
        return None
    # Only "sampled" is known to us; the standard says to set flags that are not known to zero.
    return TraceParent(trace_id, parent_id, int(flags, 16) & 1)


def enter_span() -> TraceParent | None:
    """Return where OpenTelemetry's current span stands; None without one.

    Its path and query are emptied, as they can hold credentials; `http.route` tells where the request went.
    """
    span = trace.get_current_span()
    context = span.get_span_context()
    if not context.is_valid:
        return None
    span.set_attributes({"url.path": "", "url.query": ""})
    return TraceParent(f"{context.trace_id:032x}", f"{context.span_id:016x}", int(context.trace_flags) & 1)


def telemetry_config(enabled: bool) -> dict[str, Any]:
    """Return what FastAPI's own telemetry takes: spans of requests alone, and none unless enabled."""
    return {
        "tracing": enabled,
        "metrics": False,
        "logs": False,
        "operation_spans": False,
        "auto_configure": enabled,
        "exclude": None,
    }

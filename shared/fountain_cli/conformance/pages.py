"""Rules 1 to 4: the landing page, health, metrics and the documentation's page."""

import re
from datetime import datetime
from html import unescape
from typing import Any

from fountain_cli.conformance.findings import Found
from fountain_cli.conformance.target import Target

_HEALTH = {
    "service": str,
    "version": str,
    "timestamp": str,
    "uptime_seconds": (int, float),
    "checks": (dict, list),
    "degraded": list,
}
# A script with a body of its own, or a handler among the attributes of a tag; what the text of the page says
# outside of tags, and the values of attributes, are neither.
_INLINE = re.compile(
    r"<script(?![^>]*\bsrc=)[^>]*>\s*\S"
    r"""|<[a-z](?:"[^"]*"|'[^']*'|[^'">])*?\son\w+\s*=""",
    re.IGNORECASE,
)
# What has no place in an answer for everybody, each with its name.
_UNSAID = (
    ("an address", re.compile(r"\b\w+://|\b(?:\d{1,3}\.){3}\d{1,3}\b")),
    (
        "a stack trace",
        re.compile(r"Traceback \(|\bFile \\?\"[^\"]+\\?\", line \d+|\bat [\w.$]+\([\w.]+:\d+\)"),
    ),
    (
        "a key or token",
        re.compile(r"\bfnt_[a-z0-9]{12,16}_|\beyJ[\w-]{8,}\.|-----BEGIN ", re.IGNORECASE),
    ),
)


def landing(target: Target) -> Found:
    """`GET /` is a page with name, version, description and the two links."""
    answer = target.ask("GET", "/")
    if answer.status_code != 200 or not answer.headers.get("content-type", "").startswith("text/html"):
        seen = f"{answer.status_code} {answer.headers.get('content-type', 'without a type')}"
        yield "GET /", f"answers {seen}", "answer 200 with an HTML page"
        return
    page, info = unescape(answer.text), target.openapi.get("info", {})
    for what in ("title", "version", "description"):
        if not info.get(what):
            yield "openapi.json info", f"has no {what}", f"give the application a {what}"
        elif str(info[what]) not in page:
            yield (
                "GET /",
                f"does not show the {what} {str(info[what])[:60]!r}",
                f"show the application's {what}",
            )
    for link in ("/docs", "/health"):
        if f'href="{link}"' not in page:
            yield "GET /", f"has no link to {link}", f'add <a href="{link}">'
    if _INLINE.search(answer.text):
        yield (
            "GET /",
            "has script in the page itself",
            "move it into a file, so that the page works under a strict policy",
        )


def health(target: Target) -> Found:
    """`GET /health` tells in one shape whether the service can do its job."""
    answer = target.ask("GET", "/health")
    expected = {200: "healthy", 503: "unhealthy"}.get(answer.status_code)
    if expected is None:
        yield "GET /health", f"answers {answer.status_code}", "answer 200 when healthy, 503 when not"
        return
    body = _object(answer)
    if body is None:
        yield "GET /health", "is not a JSON object", "answer an object"
        return
    if body.get("status") != expected:
        yield "GET /health", f"says {body.get('status')!r} with {answer.status_code}", f'say "{expected}"'
    for name, kind in _HEALTH.items():
        if not isinstance(body.get(name), kind):  # type: ignore[arg-type]
            yield "GET /health", f"has no {name} of the right type", f"add {name}"
    for what, pattern in _UNSAID:
        if pattern.search(answer.text):
            yield "GET /health", f"shows {what}", "name what is wrong without it"
    if not _is_moment(body.get("timestamp")):
        yield "GET /health", "timestamp is not a moment with a time zone", "write it by RFC 3339"


def metrics(target: Target) -> Found:
    """`GET /metrics` speaks Prometheus inside, and does not exist at the edge."""
    if not target.inside:
        status = target.ask("GET", "/metrics").status_code
        if status != 404:
            yield "GET /metrics", f"answers {status} at the edge", "hide it there"
    client = target.past_the_edge
    answer = client.get("/metrics")
    if answer.status_code != 200 or not answer.headers.get("content-type", "").startswith(
        ("text/plain", "application/openmetrics-text")
    ):
        yield "GET /metrics", f"answers {answer.status_code}", "answer 200 in Prometheus' text format"
        return
    client.get("/conformance-probe-path")
    if "conformance-probe-path" in client.get("/metrics").text:
        yield (
            "GET /metrics",
            "has raw paths as labels",
            "label with the route's template, one label for what has none",
        )


def documentation(target: Target) -> Found:
    """`GET /docs` works without a CDN and under a policy that allows no inline script."""
    answer = target.ask("GET", "/docs")
    if answer.status_code != 200:
        yield "GET /docs", f"answers {answer.status_code}", "serve Swagger UI there"
        return
    policy = answer.headers.get("content-security-policy", "")
    directives = dict(part.strip().partition(" ")[::2] for part in policy.split(";") if part.strip())
    scripts = directives.get("script-src", directives.get("default-src", ""))
    if not scripts or "'unsafe-inline'" in scripts or "'unsafe-eval'" in scripts:
        yield (
            "GET /docs",
            "has no Content-Security-Policy that forbids inline scripts",
            "send script-src 'self'",
        )
    for source in re.findall(r'(?:src|href)="([^"]+)"', answer.text):
        if re.match(r"(https?:)?//", source):
            yield "GET /docs", f"loads {source}", "serve every asset from the service itself"
        elif source.startswith("/") and target.ask("GET", source).status_code != 200:
            yield "GET /docs", f"its asset {source} does not answer", "serve it"
    if _INLINE.search(answer.text):
        yield "GET /docs", "has script in the page itself", "move it into a file"


def _object(answer: Any) -> dict[str, Any] | None:
    try:
        body = answer.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _is_moment(value: object) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False

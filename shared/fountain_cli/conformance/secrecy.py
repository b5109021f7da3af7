"""Rule 11: what was sent, and what is secret, comes back nowhere."""

import secrets
from collections.abc import Iterator
from typing import Any

import httpx2

from fountain_cli.conformance.findings import Found
from fountain_cli.conformance.logs import written
from fountain_cli.conformance.manners import takes_json
from fountain_cli.conformance.missing import NotChecked
from fountain_cli.conformance.rotation import rotated
from fountain_cli.conformance.target import Target

_ERROR = 400
_WRITTEN_SECONDS = 2.0
_PAGES = ("/", "/health", "/metrics", "/openapi.json")
_SHORTEST = 8


def errors(target: Target) -> Found:
    """No error, metric or page repeats what came in a header, the path, the query or the body."""
    for place, marker, answer in _sent(target):
        if answer.status_code >= _ERROR and marker in _said(answer):
            yield place, f"its {answer.status_code} repeats it", "say what is wrong without what was sent"
        for path in _repeating(target, {place: marker}):
            yield path, f"shows what was sent in {place}", "leave out what callers send"


def logs(target: Target) -> Found:
    """No log repeats it either."""
    written(target)
    markers = {place: marker for place, marker, _ in _sent(target)}
    target.eventually(lambda: any(marker in written(target) for marker in markers.values()), _WRITTEN_SECONDS)
    text = written(target)
    for place, marker in markers.items():
        if marker in text:
            yield (
                "the log",
                f"repeats what was sent in {place}",
                "log templates, and no header, query or body",
            )


def values(target: Target) -> Found:
    """The values of a rotation are in no page, metric, event or log."""
    seen = target.once(rotated)
    needles = {name: value for name, value in seen.values.items() if len(value) >= _SHORTEST}
    for path in _repeating(target, needles):
        yield path, "shows a secret value", "never show secrets"
    if any(value in str(event) for event in seen.events for value in needles.values()):
        yield "the event log", "has a secret value in an event", "name secrets in events, never their values"
    text = written(target)
    for name, value in needles.items():
        if value in text:
            yield "the log", f"has the value of {name}", "never log secrets"


def _sent(target: Target) -> Iterator[tuple[str, str, httpx2.Response]]:
    """Send a marker in every place where a caller can put one: where, what, and the answer."""

    def marker() -> str:
        return f"marker{secrets.token_hex(12)}"

    guarded = target.guarded()
    if not guarded:
        raise NotChecked("no operation needs a credential")
    method, path = guarded[0].method.upper(), guarded[0].path()
    for place, form in (("Authorization", "Bearer {}"), ("X-API-Key", "{}"), ("X-Conformance", "{}")):
        sent = marker()
        yield f"the header {place}", sent, target.ask(method, path, headers={place: form.format(sent)})
    sent = marker()
    yield "a path", sent, target.ask("GET", f"/no-such-path-here/{sent}")
    for place, query in (("a query", "conformance"), ("a credential in the query", "access_token")):
        sent = marker()
        yield place, sent, target.ask("GET", f"/no-such-path-here?{query}={sent}")
    yield from _bodies(target, marker)


def _bodies(target: Target, marker: Any) -> Iterator[tuple[str, str, httpx2.Response]]:
    if target.tokens.admin is None:
        raise NotChecked("bodies: no token for this service was given")
    operation = takes_json(target)
    method, path = operation.method.upper(), operation.path()
    json = {"Content-Type": "application/json"}
    for place, form in (("a body", '{{"conformance":"{}"}}'), ("a broken body", '{{"conformance":"{}')):
        sent = marker()
        content = form.format(sent).encode()
        yield place, sent, target.ask(method, path, token=target.admin, content=content, headers=json)


def _said(answer: httpx2.Response) -> str:
    """The answer but for `instance`, which is the path that was asked for (RFC 9457)."""
    try:
        body = answer.json()
    except ValueError:
        return answer.text
    return str({**body, "instance": ""}) if isinstance(body, dict) else str(body)


def _repeating(target: Target, needles: dict[str, str]) -> Iterator[str]:
    for path in _PAGES:
        hidden = path == "/metrics" and not target.inside
        if hidden and target.direct is None:
            continue
        text = (target.past_the_edge if hidden else target.client).get(path).text
        if any(value in text for value in needles.values()):
            yield f"GET {path}"

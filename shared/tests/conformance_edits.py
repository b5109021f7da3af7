"""Ways to change what a service answers so that it breaks a rule."""

import json
from collections.abc import Callable
from typing import Any

import httpx2
from conformance_service import Edit


def answer(status: int, body: object, kind: str = "application/json", **headers: str) -> httpx2.Response:
    content = body if isinstance(body, str) else json.dumps(body)
    return httpx2.Response(status, content=content.encode(), headers={"content-type": kind, **headers})


def on(path: str, change: Callable[[httpx2.Response], httpx2.Response], method: str = "GET") -> Edit:
    def edit(request: httpx2.Request, given: httpx2.Response) -> httpx2.Response:
        meant = (request.method, request.url.path, given.status_code) == (method, path, 200)
        return change(given) if meant else given

    return edit


def documented(change: Callable[[dict[str, Any]], None]) -> Edit:
    def rewrite(given: httpx2.Response) -> httpx2.Response:
        document = given.json()
        change(document)
        return answer(200, document)

    return on("/openapi.json", rewrite)


def of_put(change: Callable[[dict[str, Any]], None]) -> Edit:
    return documented(lambda document: change(document["paths"]["/things/{name}"]["put"]))


def without(name: str) -> Callable[[httpx2.Response], httpx2.Response]:
    return lambda given: answer(200, {key: value for key, value in given.json().items() if key != name})


def let_in(status: int, *, whom: Callable[[httpx2.Request], bool]) -> Edit:
    def edit(request: httpx2.Request, given: httpx2.Response) -> httpx2.Response:
        if request.url.path.startswith("/things") and whom(request):
            return answer(status, {"permission": "x"}, "application/problem+json")
        return given

    return edit


def headerless(name: str) -> Edit:
    def edit(_: httpx2.Request, given: httpx2.Response) -> httpx2.Response:
        given.headers.pop(name, None)
        return given

    return edit


def plain_errors(_: httpx2.Request, given: httpx2.Response) -> httpx2.Response:
    return answer(given.status_code, "no", "text/plain") if given.status_code in (404, 405) else given


def telling_input(request: httpx2.Request, given: httpx2.Response) -> httpx2.Response:
    if given.status_code == 422:
        body = given.json()
        body["errors"] = [{**error, "input": "secret"} for error in body.get("errors", [])]
        return answer(422, body, "application/problem+json")
    return given


def plain_refusals(_: httpx2.Request, given: httpx2.Response) -> httpx2.Response:
    return answer(422, "no", "text/plain") if given.status_code == 422 else given


def never_done(request: httpx2.Request, given: httpx2.Response) -> httpx2.Response:
    if given.status_code == 413:
        raise httpx2.ReadTimeout("no answer", request=request)
    return given


def unlimited(_: httpx2.Request, given: httpx2.Response) -> httpx2.Response:
    return answer(422, {}, "application/problem+json") if given.status_code == 413 else given


def urls_with_credentials(request: httpx2.Request, given: httpx2.Response) -> httpx2.Response:
    return answer(200, {}) if request.url.query and given.status_code == 400 else given


def operations_with_credentials(request: httpx2.Request, given: httpx2.Response) -> httpx2.Response:
    beside = request.url.query and request.url.path.startswith(("/things", "/notifications"))
    return answer(200, {}) if beside and given.status_code == 400 else given


def breaking_off(request: httpx2.Request, given: httpx2.Response) -> httpx2.Response:
    if given.status_code == 413:
        raise httpx2.ReadError("reset", request=request)
    return given


def two_ids(_: httpx2.Request, given: httpx2.Response) -> httpx2.Response:
    if given.status_code not in (404, 405):
        return given
    body = {**given.json(), "request_id": "another"}
    return answer(given.status_code, body, "application/problem+json")


def nameless_refusals(_: httpx2.Request, given: httpx2.Response) -> httpx2.Response:
    if given.status_code == 401:
        given.headers.pop("x-request-id", None)
    return given


def forged_key_at_put(request: httpx2.Request, given: httpx2.Response) -> httpx2.Response:
    return answer(200, {}) if request.method == "PUT" and "x-api-key" in request.headers else given


def unwell(said: str) -> Edit:
    return on("/health", lambda given: answer(200, {**given.json(), "checks": {"database": said}}))


def page_with(text: str, path: str = "/") -> Edit:
    def rewrite(given: httpx2.Response) -> httpx2.Response:
        page = given.text.replace("</body>", f"{text}</body>")
        assert page != given.text
        return httpx2.Response(200, content=page.encode(), headers=given.headers)

    return on(path, rewrite)


def cdn(given: httpx2.Response) -> httpx2.Response:
    page = '<html><script src="https://cdn.example/ui.js"></script>'
    return answer(200, page, "text/html", **{"content-security-policy": "script-src 'self'"})


def repeating(request: httpx2.Request, given: httpx2.Response) -> httpx2.Response:
    """An error that quotes the header, the query or the path that it does not like."""
    if given.status_code not in (401, 404):
        return given
    sent = " ".join((*request.headers.values(), str(request.url)))
    kept = {name: value for name, value in given.headers.items() if name == "www-authenticate"}
    return answer(given.status_code, {**given.json(), "detail": sent}, "application/problem+json", **kept)


def delivery(whom: Callable[[httpx2.Request], bool], status: int) -> Edit:
    """Answers deliveries of some kind with a status."""

    def edit(request: httpx2.Request, given: httpx2.Response) -> httpx2.Response:
        if request.method == "POST" and request.url.path == "/notifications" and whom(request):
            return answer(status, {"message": "Notification received; fine."})
        return given

    return edit


def taking_any_event(request: httpx2.Request, given: httpx2.Response) -> httpx2.Response:
    meant = request.url.path == "/notifications" and b'"nonsense"' not in request.content
    malformed = given.status_code == 422 and b"marker" not in request.content
    return answer(200, {"message": "Notification received; fine."}) if meant and malformed else given

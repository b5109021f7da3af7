"""The conformance suite finds nothing in a service of the house, and finds each rule that one breaks."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from conformance_service import Edit, Tampering, things
from fountain_cli.conformance import RULES, Outcome, Target, Tokens, check
from fountain_common.settings import ServiceSettings
from fountain_common.testing import ServiceClient, service_client


@pytest.fixture(scope="module")
def service() -> Iterator[ServiceClient]:
    settings = ServiceSettings(_env_file=None, service_name="things")
    with service_client(things(settings), roles=None) as client:
        yield client


def by_url(
    service: ServiceClient, edit: Edit = lambda _, answer: answer, **tokens: str | None
) -> list[Outcome]:
    """What the check says of a service of which it knows the URL alone."""
    world = service.world
    given: dict[str, str | None] = {
        "admin": world.tokens.token("root", ["admin"], "things"),
        "powerless": world.tokens.token("nobody", [], "things"),
        "foreign": world.tokens.token("root", ["admin"], "other-things"),
    }
    with httpx2.Client(transport=Tampering(service, edit), base_url="http://things") as client:
        return check(Target(client, Tokens(**{**given, **tokens})))


def broken(outcomes: list[Outcome]) -> set[str]:
    return {outcome.title for outcome in outcomes if outcome.findings}


def unchecked(outcomes: list[Outcome]) -> dict[str, str]:
    return {outcome.title: outcome.not_checked for outcome in outcomes if outcome.not_checked}


# What cannot be seen of a service from outside, each with a word of the reason.
OUT_OF_SIGHT = {
    "layout": "sources",
    "registered with a lease": "platform",
    "deregistered when stopped": "platform",
    "says that it started": "platform",
    "says that it stops": "platform",
    "says how it is": "platform",
    "logs as JSON": "logs",
    "requests in the log": "logs",
    "logs repeat nothing": "logs",
    "rotation honoured": "--rotate",
    "values stay secret": "--rotate",
}


def test_a_service_of_the_house_keeps_every_rule_that_can_be_seen(service: ServiceClient) -> None:
    outcomes = by_url(service)
    assert broken(outcomes) == set()
    assert unchecked(outcomes).keys() == OUT_OF_SIGHT.keys()


def test_what_is_out_of_sight_is_said_to_be_and_never_called_kept(service: ServiceClient) -> None:
    outcomes = by_url(service)
    for title, reason in unchecked(outcomes).items():
        assert OUT_OF_SIGHT[title] in reason
    assert not {outcome.title for outcome in outcomes if outcome.kept} & OUT_OF_SIGHT.keys()


@pytest.mark.parametrize(
    ("kind", "titles"),
    [
        ("admin", {"events received in every form", "bodies", "body limit", "errors repeat nothing"}),
        ("powerless", {"no entry without a permission", "events from deliverers alone"}),
        ("foreign", {"no entry with a token for another service"}),
    ],
)
def test_without_a_token_the_rules_that_need_it_are_not_checked(
    service: ServiceClient, kind: str, titles: set[str]
) -> None:
    missed = unchecked(by_url(service, **{kind: None}))
    assert missed.keys() - OUT_OF_SIGHT.keys() == titles
    assert all("token" in missed[title] for title in titles)


def test_without_a_document_nothing_is_said_about_operations(service: ServiceClient) -> None:
    outcomes = by_url(service, on("/openapi.json", lambda given: answer(404, {})))
    assert "valid OpenAPI 3.0.3" in broken(outcomes)
    assert "no entry without a token" in unchecked(outcomes)


@pytest.mark.parametrize(
    "paths", [[], {"/things": None}, {"/things": {"get": {"parameters": [{"in": "path"}]}}}]
)
def test_a_document_of_another_form_is_found_and_ends_nothing(service: ServiceClient, paths: object) -> None:
    outcomes = by_url(service, documented(lambda document: document.update(paths=paths)))
    assert len(outcomes) == len(RULES)
    assert "valid OpenAPI 3.0.3" in broken(outcomes)


@pytest.mark.parametrize(("name", "found"), [("things", True), ("gateway-lookup", False)])
def test_what_one_service_shows_to_everybody_another_does_not(
    service: ServiceClient, name: str, found: bool
) -> None:
    def open_to_all(document: dict[str, Any]) -> None:
        document["paths"]["/apis"] = {"get": {"operationId": "getApis", "security": []}}

    with httpx2.Client(
        transport=Tampering(service, documented(open_to_all)), base_url="http://things"
    ) as client:
        rules = [rule for rule in RULES if rule.title == "no entry without a token"]
        (outcome,) = check(Target(client, name=name), rules)
    assert [finding.place for finding in outcome.findings] == (["GET /apis"] if found else [])


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


BROKEN: dict[str, tuple[str, Edit]] = {
    "no title on the landing page": (
        "landing page",
        on("/", lambda given: answer(200, "<html>hello", "text/html")),
    ),
    "no landing page": ("landing page", on("/", lambda given: answer(404, {}))),
    "health without degraded": ("health", on("/health", without("degraded"))),
    "health that contradicts itself": ("health", on("/health", lambda given: answer(503, given.json()))),
    "health in local time": (
        "health",
        on("/health", lambda given: answer(200, {**given.json(), "timestamp": "2026-01-01T00:00:00"})),
    ),
    "no metrics": ("metrics", on("/metrics", lambda given: answer(404, {}))),
    "metrics of raw paths": (
        "metrics",
        on("/metrics", lambda given: answer(200, "/conformance-probe-path", "text/plain")),
    ),
    "another version of OpenAPI": (
        "valid OpenAPI 3.0.3",
        documented(lambda document: document.update(openapi="3.1.0")),
    ),
    "an invalid document": (
        "valid OpenAPI 3.0.3",
        documented(lambda document: document["components"].update(headers=[])),
    ),
    "an operationId in snake case": (
        "operationIds",
        of_put(lambda spec: spec.update(operationId="put_thing")),
    ),
    "an operationId twice": ("operationIds", of_put(lambda spec: spec.update(operationId="getHealthStatus"))),
    "another name for health": (
        "operationIds",
        documented(lambda document: document["paths"]["/health"]["get"].update(operationId="health")),
    ),
    "no description": ("texts", of_put(lambda spec: spec.pop("description"))),
    "a long description": ("texts", of_put(lambda spec: spec.update(description="a" * 301))),
    "a long text of a parameter": (
        "texts",
        of_put(lambda spec: spec["parameters"][0].update(description="a" * 701)),
    ),
    "undeclared errors": (
        "declared errors and security",
        of_put(lambda spec: spec["responses"].pop("422")),
    ),
    "no security scheme": (
        "declared errors and security",
        documented(lambda document: document["components"].pop("securitySchemes")),
    ),
    "documentation from elsewhere": ("documentation page", on("/docs", cdn)),
    "documentation without a policy": (
        "documentation page",
        on("/docs", lambda given: answer(200, given.text, "text/html")),
    ),
    "an open operation": (
        "no entry without a token",
        let_in(200, whom=lambda request: not {"authorization", "x-api-key"} & request.headers.keys()),
    ),
    "a public operation": ("no entry without a token", of_put(lambda spec: spec.update(security=[]))),
    "no WWW-Authenticate": ("no entry without a token", headerless("www-authenticate")),
    "forged tokens": (
        "no entry with a forged token",
        let_in(403, whom=lambda request: request.headers.get("authorization") == "Bearer not-a-token"),
    ),
    "forged keys": (
        "no entry with a forged API key",
        delivery(lambda request: "fnt_" in request.headers.get("x-api-key", ""), 200),
    ),
    "credentials in URLs": ("no credentials in URLs", urls_with_credentials),
    "credentials in URLs of operations": ("no credentials in URLs", operations_with_credentials),
    "forged keys at one operation": ("no entry with a forged API key", forged_key_at_put),
    "an address in health": ("health", unwell("no route to 10.1.2.3")),
    "a URL in health": ("health", unwell("postgresql://db/x")),
    "a trace in health": ("health", unwell("Traceback (most recent call last)")),
    "a place in the source in health": ("health", unwell('File "/app/main.py", line 12, in f')),
    "a key in health": ("health", unwell("fnt_abcdefghijkl_xyz")),
    "script in the landing page": ("landing page", page_with("<script>go()</script>")),
    "a handler in the landing page": ("landing page", page_with('<a title="a > b" onclick="go()">x</a>')),
    "refusals without a request id": ("request ids", nameless_refusals),
    "errors with two ids": ("errors as problems", two_ids),
    "connections that break at the limit": ("body limit", breaking_off),
    "no receiver of events": (
        "a place for events",
        documented(lambda document: document["paths"].pop("/notifications")),
    ),
    "events that are not taken": (
        "events received in every form",
        delivery(lambda request: b"serviceName" in request.content, 422),
    ),
    "events that are none and taken": ("events received in every form", taking_any_event),
    "events from everybody": (
        "events from deliverers alone",
        delivery(lambda request: b"conformance.probe" in request.content, 200),
    ),
    "no request id": ("request ids", headerless("x-request-id")),
    "plain errors": ("errors as problems", plain_errors),
    "errors that tell what was sent": ("bodies", telling_input),
    "malformed bodies refused in plain text": ("bodies", plain_refusals),
    "no limit for bodies": ("body limit", unlimited),
    "no end of reading": ("body limit", never_done),
    "errors that quote": ("errors repeat nothing", repeating),
}


@pytest.mark.parametrize(("title", "edit"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_rule_is_found_and_named(service: ServiceClient, title: str, edit: Edit) -> None:
    outcomes = by_url(service, edit)
    # A document that breaks one of our rules may break OpenAPI's own with it, as an operationId twice does.
    assert title in broken(outcomes) <= {title, "valid OpenAPI 3.0.3"}
    findings = [finding for outcome in outcomes for finding in outcome.findings]
    assert all(finding.place and finding.problem and finding.remedy for finding in findings)


@pytest.mark.parametrize("text", ["<p>Here one = 1.</p>", "<p title='set onset = 2'>and once=3</p>"])
def test_what_the_text_of_a_page_says_is_no_script(service: ServiceClient, text: str) -> None:
    assert broken(by_url(service, page_with(text))) == set()


def test_a_limit_whose_answer_is_lost_once_is_kept(service: ServiceClient) -> None:
    lost: list[httpx2.Request] = []

    def losing_one(request: httpx2.Request, given: httpx2.Response) -> httpx2.Response:
        if given.status_code == 413 and not lost:
            lost.append(request)
            raise httpx2.ReadError("reset", request=request)
        return given

    assert broken(by_url(service, losing_one)) == set()
    assert lost


@pytest.mark.parametrize(
    ("kind", "title"),
    [
        ("powerless", "no entry without a permission"),
        ("foreign", "no entry with a token for another service"),
    ],
)
def test_a_token_that_should_not_do_is_noticed(service: ServiceClient, kind: str, title: str) -> None:
    good = service.world.tokens.token("root", ["admin"], "things")
    assert title in broken(by_url(service, **{kind: good}))


def test_every_rule_that_can_be_seen_is_broken_by_some_test() -> None:
    by_tokens = {"no entry without a permission", "no entry with a token for another service"}
    seen = {rule.title for rule in RULES} - OUT_OF_SIGHT.keys()
    assert seen == {title for title, _ in BROKEN.values()} | by_tokens


def test_a_service_that_is_away_is_one_finding() -> None:
    def refuse(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused", request=request)

    with httpx2.Client(transport=httpx2.MockTransport(refuse), base_url="http://things") as client:
        outcomes = check(Target(client))
    (found,) = [finding for outcome in outcomes for finding in outcome.findings]
    assert "does not answer" in found.problem
    assert not any(outcome.kept for outcome in outcomes)

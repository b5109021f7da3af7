"""The conformance suite finds nothing in a service of the house, and finds each rule that one breaks."""

import json
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import httpx2
import pytest
from fastapi import APIRouter
from fountain_cli.conformance import RULES, Finding, Target, Tokens, check
from fountain_common import create_service
from fountain_common.auth import Caller, requires
from fountain_common.schemas import StrictModel
from fountain_common.settings import ServiceSettings
from fountain_common.testing import ServiceClient, service_client

Edit = Callable[[httpx2.Request, httpx2.Response], httpx2.Response]
router = APIRouter()


class Thing(StrictModel):
    """A thing."""

    name: str


class Settings(ServiceSettings):
    """Of the service under test."""

    service_name: str = "things"


@router.put("/things/{name}", summary="Put a thing")
async def put_thing(name: str, body: Thing, _: Annotated[Caller, requires("things:write")]) -> Thing:
    """Keep a thing under a name."""
    return body


@pytest.fixture(scope="module")
def service() -> Iterator[ServiceClient]:
    description = "Keeps things & tells of <b>them</b>."
    app = create_service(
        Settings(), title="Things", description=description, version="1.2.3", routers=[router]
    )
    with service_client(app, roles=None) as client:
        yield client


class Tampering(httpx2.BaseTransport):
    """Passes requests on to the service and changes what comes back."""

    def __init__(self, service: ServiceClient, edit: Edit) -> None:
        self._service, self._edit = service, edit

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        headers = {name: value for name, value in request.headers.items() if name != "transfer-encoding"}
        content = request.read()
        answer = self._service.request(
            request.method,
            str(request.url.raw_path, "ascii"),
            content=content,
            headers=headers,
            follow_redirects=False,
        )
        edited = self._edit(request, answer)
        if edited is not answer and "x-request-id" in answer.headers:
            edited.headers["x-request-id"] = answer.headers["x-request-id"]
        return edited


def findings(service: ServiceClient, edit: Edit = lambda _, answer: answer) -> list[Finding]:
    world = service.world
    tokens = Tokens(
        admin=world.tokens.token("root", ["admin"], "things"),
        powerless=world.tokens.token("nobody", [], "things"),
        foreign=world.tokens.token("root", ["admin"], "other-things"),
    )
    with httpx2.Client(transport=Tampering(service, edit), base_url="http://things") as client:
        return check(Target(client, tokens))


def test_a_service_of_the_house_keeps_every_rule(service: ServiceClient) -> None:
    assert findings(service) == []


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


def let_in(status: int, *, whom: Callable[[str | None], bool]) -> Edit:
    def edit(request: httpx2.Request, given: httpx2.Response) -> httpx2.Response:
        if request.url.path.startswith("/things") and whom(request.headers.get("authorization")):
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


def unlimited(_: httpx2.Request, given: httpx2.Response) -> httpx2.Response:
    return answer(422, {}, "application/problem+json") if given.status_code == 413 else given


def urls_with_credentials(request: httpx2.Request, given: httpx2.Response) -> httpx2.Response:
    return answer(200, {}) if request.url.query and given.status_code == 400 else given


def cdn(given: httpx2.Response) -> httpx2.Response:
    page = '<html><script src="https://cdn.example/ui.js"></script>'
    return answer(200, page, "text/html", **{"content-security-policy": "script-src 'self'"})


BROKEN: dict[str, tuple[str, Edit]] = {
    "no title on the landing page": ("3.1", on("/", lambda given: answer(200, "<html>hello", "text/html"))),
    "no landing page": ("3.1", on("/", lambda given: answer(404, {}))),
    "health without degraded": ("3.2", on("/health", without("degraded"))),
    "health that contradicts itself": ("3.2", on("/health", lambda given: answer(503, given.json()))),
    "health in local time": (
        "3.2",
        on("/health", lambda given: answer(200, {**given.json(), "timestamp": "2026-01-01T00:00:00"})),
    ),
    "no metrics": ("3.3", on("/metrics", lambda given: answer(404, {}))),
    "metrics of raw paths": (
        "3.3",
        on("/metrics", lambda given: answer(200, "/conformance-probe-path", "text/plain")),
    ),
    "another version of OpenAPI": ("3.4", documented(lambda document: document.update(openapi="3.1.0"))),
    "an invalid document": ("3.4", documented(lambda document: document["components"].update(schemas=[]))),
    "an operationId in snake case": ("3.4", of_put(lambda spec: spec.update(operationId="put_thing"))),
    "an operationId twice": ("3.4", of_put(lambda spec: spec.update(operationId="getHealthStatus"))),
    "another name for health": (
        "3.4",
        documented(lambda document: document["paths"]["/health"]["get"].update(operationId="health")),
    ),
    "no description": ("3.4", of_put(lambda spec: spec.pop("description"))),
    "a long description": ("3.4", of_put(lambda spec: spec.update(description="a" * 301))),
    "a long text of a parameter": (
        "3.4",
        of_put(lambda spec: spec["parameters"][0].update(description="a" * 701)),
    ),
    "undeclared errors": ("3.4", of_put(lambda spec: spec["responses"].pop("422"))),
    "no security scheme": ("3.4", documented(lambda document: document["components"].pop("securitySchemes"))),
    "documentation from elsewhere": ("3.4", on("/docs", cdn)),
    "documentation without a policy": (
        "3.4",
        on("/docs", lambda given: answer(200, given.text, "text/html")),
    ),
    "an open operation": ("3.5", let_in(200, whom=lambda sent: sent is None)),
    "a public operation": ("3.5", of_put(lambda spec: spec.update(security=[]))),
    "no WWW-Authenticate": ("3.5", headerless("www-authenticate")),
    "forged tokens": ("3.5", let_in(403, whom=lambda sent: sent == "Bearer not-a-token")),
    "credentials in URLs": ("3.5", urls_with_credentials),
    "no receiver of events": ("3.6", documented(lambda document: document["paths"].pop("/notifications"))),
    "no request id": ("3.9", headerless("x-request-id")),
    "plain errors": ("3.10", plain_errors),
    "errors that tell what was sent": ("3.10", telling_input),
    "no limit for bodies": ("3.10", unlimited),
}


@pytest.mark.parametrize(("rule", "edit"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_rule_is_found_and_named(service: ServiceClient, rule: str, edit: Edit) -> None:
    found = findings(service, edit)
    assert {finding.rule for finding in found} == {rule}
    assert all(finding.place and finding.problem and finding.remedy for finding in found)


@pytest.mark.parametrize("kind", ["powerless", "foreign"])
def test_a_token_that_should_not_do_is_noticed(service: ServiceClient, kind: str) -> None:
    world = service.world
    good = world.tokens.token("root", ["admin"], "things")
    tokens = Tokens(admin=good, **{kind: good})
    with httpx2.Client(
        transport=Tampering(service, lambda _, given: given), base_url="http://things"
    ) as client:
        assert {finding.rule for finding in check(Target(client, tokens))} == {"3.5"}


def test_every_rule_is_broken_by_some_test() -> None:
    assert {rule.number for rule in RULES} == {rule for rule, _ in BROKEN.values()}


def test_a_service_that_is_away_is_one_finding() -> None:
    def refuse(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused", request=request)

    with httpx2.Client(transport=httpx2.MockTransport(refuse), base_url="http://things") as client:
        (found,) = check(Target(client))
    assert "does not answer" in found.problem

"""Each rule that can be seen from outside is broken here in some way, and each of these is found."""

from collections.abc import Iterator

import pytest
from conformance_by_url import OUT_OF_SIGHT, broken, by_url, served
from conformance_edits import (
    answer,
    breaking_off,
    cdn,
    delivery,
    documented,
    forged_key_at_put,
    headerless,
    let_in,
    nameless_refusals,
    never_done,
    of_put,
    on,
    operations_with_credentials,
    page_with,
    plain_errors,
    plain_refusals,
    repeating,
    taking_any_event,
    telling_input,
    two_ids,
    unlimited,
    unwell,
    urls_with_credentials,
    without,
)
from conformance_service import Edit
from fountain_cli.conformance import RULES
from fountain_common.testing import ServiceClient


@pytest.fixture(scope="module")
def service() -> Iterator[ServiceClient]:
    with served() as client:
        yield client


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

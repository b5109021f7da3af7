"""The conformance suite finds nothing in a service of the house, and calls kept only what it has seen."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from conformance_by_url import OUT_OF_SIGHT, broken, by_url, served, unchecked
from conformance_edits import answer, documented, on, page_with
from conformance_service import Tampering
from fountain_cli.conformance import RULES, Target, check
from fountain_common.testing import ServiceClient


@pytest.fixture(scope="module")
def service() -> Iterator[ServiceClient]:
    with served() as client:
        yield client


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


def test_a_service_that_is_away_is_one_finding() -> None:
    def refuse(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused", request=request)

    with httpx2.Client(transport=httpx2.MockTransport(refuse), base_url="http://things") as client:
        outcomes = check(Target(client))
    (found,) = [finding for outcome in outcomes for finding in outcome.findings]
    assert "does not answer" in found.problem
    assert not any(outcome.kept for outcome in outcomes)

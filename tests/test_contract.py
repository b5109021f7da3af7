"""What every service keeps (design, sections 2, 3 and 5), asked of each through the edge and past it."""

import ssl
from collections.abc import Iterator

import httpx2
import pytest
from fountain_cli.conformance import RULES, Platform, Rule, Target, Tokens
from fountain_cli.stack.layout import repository, services
from fountain_common.names import PLATFORM
from steward import Steward

SERVICES = [service.name for service in services(repository())]
_STOPPED = {"deregistered when stopped", "says that it stops"}
_ROTATED = {"rotation honoured", "values stay secret"}
_WITHOUT_SECRETS = {"secrets-manager", "gateway-lookup"}


@pytest.fixture(scope="module")
def powerless(steward: Steward) -> str:
    """The key of an identity that nobody gave a role."""
    steward.manager(
        "POST", "/identities", json={"name": "e2e-nobody", "kind": "person", "roles": [], "remote": True}
    )
    return str(steward.manager("POST", "/identities/e2e-nobody/keys", json={})["api_key"])


@pytest.fixture(scope="module")
def done() -> dict[str, dict[object, object]]:
    """What was done to each service, so that all rules look at one restart and one rotation."""
    return {service: {} for service in SERVICES}


@pytest.fixture
def direct(steward: Steward, service: str) -> Iterator[httpx2.Client]:
    """A client of one instance, past the edge."""
    address = steward.stack.address(service)
    trusted = ssl.create_default_context(cadata=steward.stack.issuer_ca())
    trusted.check_hostname = False  # it is reached by its address
    with httpx2.Client(base_url=address, verify=trusted, timeout=10) as client:
        yield client


@pytest.mark.mainly("compose")
@pytest.mark.parametrize("rule", RULES, ids=[f"{rule.number} {rule.title}" for rule in RULES])
@pytest.mark.parametrize("service", SERVICES)
def test_a_service_keeps_the_contract(
    steward: Steward,
    direct: httpx2.Client,
    powerless: str,
    done: dict[str, dict[object, object]],
    service: str,
    rule: Rule,
) -> None:
    tokens = Tokens(
        admin=steward.token(service),
        powerless=steward.fetch_token(powerless, service),
        foreign=steward.token("somebody-else"),
    )
    target = Target(
        steward.at(service),
        tokens,
        inside=False,
        direct=direct,
        name=service,
        platform=Platform(service, lambda of, method, path, **more: steward.ask(method, of, path, **more)),
        keeper=steward.stack,
        may_restart=True,
        may_rotate=True,
        sources=repository(),
        _done=done[service],
    )
    outcome = rule.outcome(target)
    said = "\n".join(f"{found.place}: {found.problem}; {found.remedy}" for found in outcome.findings)
    assert not outcome.findings, said
    assert bool(outcome.not_checked) == _does_not_apply(service, rule), outcome.not_checked


def _does_not_apply(service: str, rule: Rule) -> bool:
    """Tell where a rule is rightly not checked: nowhere else may it be left out."""
    return (rule.title in _STOPPED and service in PLATFORM) or (
        rule.title in _ROTATED and service in _WITHOUT_SECRETS
    )

"""What every service keeps (design, section 3), asked of each through the edge."""

import pytest
from fountain_cli.conformance import RULES, Rule, Target, Tokens
from fountain_cli.stack.layout import repository, services
from steward import Steward

SERVICES = [service.name for service in services(repository())]


@pytest.fixture(scope="module")
def powerless(steward: Steward) -> str:
    """The key of an identity that nobody gave a role."""
    steward.manager(
        "POST", "/identities", json={"name": "e2e-nobody", "kind": "person", "roles": [], "remote": True}
    )
    return str(steward.manager("POST", "/identities/e2e-nobody/keys", json={})["api_key"])


@pytest.mark.parametrize("rule", RULES, ids=[f"{rule.number} {rule.title}" for rule in RULES])
@pytest.mark.parametrize("service", SERVICES)
def test_a_service_keeps_the_contract(steward: Steward, powerless: str, service: str, rule: Rule) -> None:
    tokens = Tokens(
        admin=steward.token(service),
        powerless=steward.fetch_token(powerless, service),
        foreign=steward.token("somebody-else"),
    )
    findings = rule.findings(Target(steward.at(service), tokens, inside=False))
    assert not findings, "\n".join(f"{found.place}: {found.problem}; {found.remedy}" for found in findings)

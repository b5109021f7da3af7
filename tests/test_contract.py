"""What every service keeps, asked of each through the edge and past it."""

import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from fountain_cli.conformance import RULES, Platform, Rule, Target, Tokens
from fountain_cli.stack import ComposeStack, LocalStack
from fountain_cli.stack.layout import KNOWN, repository, services
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


@pytest.mark.mainly("docker")
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


@pytest.mark.mainly("local")
def test_the_check_of_all_names_every_service_and_finds_nothing(
    stack: LocalStack | ComposeStack, tmp_path: Path
) -> None:
    own = {name: value for name, value in os.environ.items() if not name.startswith("FOUNTAIN_")}
    own |= {"PYTHONPATH": str(repository() / "shared"), "XDG_CONFIG_HOME": str(tmp_path)}
    if isinstance(stack, LocalStack):
        own |= {"FOUNTAIN_RUNTIME": "local", "FOUNTAIN_STATE_DIR": str(stack.state.folder)}
    else:
        own |= {"FOUNTAIN_RUNTIME": "docker", "COMPOSE_PROJECT_NAME": stack.project}
    command = [sys.executable, "-m", "fountain_cli", "check", "--all", "--json"]
    done = subprocess.run(
        command, cwd=repository(), env=own, check=False, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report.keys() >= {service.name for service in KNOWN}
    assert [service for service, one in report.items() if one["findings"] or not one["kept"]] == []


def _does_not_apply(service: str, rule: Rule) -> bool:
    """Tell where a rule is rightly not checked: nowhere else may it be left out."""
    return (rule.title in _STOPPED and service in PLATFORM) or (
        rule.title in _ROTATED and service in _WITHOUT_SECRETS
    )

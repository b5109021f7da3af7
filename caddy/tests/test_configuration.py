"""What the Caddyfile means, read from the JSON that Caddy makes of it."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from edge import CADDY, CADDY_FOLDER, make_authority


def caddy(command: str, environment: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    assert CADDY is not None
    home = {
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder / "data"),
        "XDG_CONFIG_HOME": str(folder / "config"),
    }
    arguments = [CADDY, command, "--config", str(CADDY_FOLDER / "Caddyfile"), "--adapter", "caddyfile"]
    return subprocess.run(
        arguments,
        env={"PATH": os.environ["PATH"], **home, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def adapted(tmp_path: Path, **environment: str) -> dict[str, Any]:
    outcome = caddy("adapt", environment, tmp_path)
    assert outcome.returncode == 0, outcome.stderr
    document: dict[str, Any] = json.loads(outcome.stdout)
    return document


def every(value: object, handler: str) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if value.get("handler") == handler:
            yield value
        for item in value.values():
            yield from every(item, handler)
    elif isinstance(value, list):
        for item in value:
            yield from every(item, handler)


PRODUCTION = {
    "FOUNTAIN_TLS": "acme",
    "FOUNTAIN_DOMAIN": "fountain.coach",
    "FOUNTAIN_ACME_EMAIL": "ops@fountain.coach",
}


@pytest.mark.parametrize("environment", [{}, {"FOUNTAIN_PUBLIC_HTTPS_PORT": "8443"}, PRODUCTION])
def test_the_configuration_is_valid(tmp_path: Path, environment: dict[str, str]) -> None:
    make_authority(tmp_path)
    outcome = caddy("validate", {"FOUNTAIN_TRUST_DIR": str(tmp_path), **environment}, tmp_path)
    assert outcome.returncode == 0, outcome.stderr


def test_it_is_formatted() -> None:
    assert CADDY is not None
    for path in CADDY_FOLDER.glob("*addy*"):
        if path.is_file() and path.suffix in ("", ".caddy") and path.name != "Dockerfile":
            outcome = subprocess.run(
                [CADDY, "fmt", "--diff", str(path)], capture_output=True, text=True, check=False
            )
            assert outcome.returncode == 0, outcome.stdout


def test_there_is_no_way_to_administer_it(tmp_path: Path) -> None:
    admin = adapted(tmp_path)["admin"]
    assert admin["disabled"] is True
    assert admin["config"]["persist"] is False


def test_named_sites_are_issued_beforehand_and_the_wildcard_on_demand(tmp_path: Path) -> None:
    document = adapted(tmp_path)
    tls = document["apps"]["tls"]
    named = {
        f"{name}fountain.localhost" for name in ("", "gateway-lookup.", "secrets-manager.", "notification.")
    }
    assert set(tls["certificates"]["automate"]) >= named
    on_demand = [policy for policy in tls["automation"]["policies"] if policy.get("on_demand")]
    assert [policy["subjects"] for policy in on_demand] == [["*.fountain.localhost"]]
    endpoint = tls["automation"]["on_demand"]["permission"]["endpoint"]
    assert endpoint == "http://gateway-lookup:8000/internal/tls-ask"


def test_production_asks_a_public_authority_and_the_local_runtime_its_own(tmp_path: Path) -> None:
    def issuers(document: dict[str, Any]) -> set[str]:
        policies = document["apps"]["tls"]["automation"]["policies"]
        return {issuer["module"] for policy in policies for issuer in policy.get("issuers", ())}

    assert issuers(adapted(tmp_path)) == {"internal"}
    production = adapted(tmp_path, **PRODUCTION)
    assert issuers(production) == {"acme"}
    assert "ops@fountain.coach" in json.dumps(production)


def test_no_timeout_cuts_a_stream(tmp_path: Path) -> None:
    for server in adapted(tmp_path)["apps"]["http"]["servers"].values():
        assert not {"write_timeout", "read_timeout"} & server.keys()
    assert adapted(tmp_path)["apps"]["http"]["grace_period"] == 5_000_000_000


def test_every_proxy_waits_for_an_upstream_that_starts(tmp_path: Path) -> None:
    proxies = list(every(adapted(tmp_path), "reverse_proxy"))
    assert len(proxies) >= 5
    for proxy in proxies:
        assert proxy["load_balancing"]["try_duration"] >= 5_000_000_000
        assert "passive" not in proxy.get("health_checks", {})


def test_the_secrets_manager_is_verified_by_its_own_name(tmp_path: Path) -> None:
    proxies = every(adapted(tmp_path), "reverse_proxy")
    [tls] = [proxy["transport"]["tls"] for proxy in proxies if "tls" in proxy["transport"]]
    assert tls["server_name"] == "secrets-manager"
    assert tls["ca"] == {"provider": "file", "pem_files": ["/trust/ca.pem"]}
    assert "insecure_skip_verify" not in tls


def test_each_site_says_that_a_request_came_through_the_edge(tmp_path: Path) -> None:
    for proxy in every(adapted(tmp_path), "reverse_proxy"):
        headers = proxy["headers"]["request"]
        asks_gateway = proxy.get("rewrite", {}).get("method") == "GET"
        assert headers.get("set", {}).get("X-Fountain-Edge") == (None if asks_gateway else ["1"])
    deleted = [
        h["request"]["delete"]
        for h in every(adapted(tmp_path), "headers")
        if "delete" in h.get("request", {})
    ]
    assert sum("X-Fountain-Edge" in names for names in deleted) == 4

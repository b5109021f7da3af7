"""A real Prometheus, under an identity of its own, finds every service through the gateway."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
import yaml
from fountain_cli.stack.layout import repository
from fountain_cli.stack.layout import services as services_of
from fountain_common.ports import free_port
from polling import poll_until
from steward import CONSUMER, REPLICAS, Steward

FOLDER = repository() / "observability"
PROMETHEUS = shutil.which("prometheus")
pytestmark = pytest.mark.skipif(PROMETHEUS is None, reason="needs Debian's prometheus")
NOT_OURS = {"up", "prometheus_sd_http_failures_total"}


class Prometheus:
    """A process beside the platform: the repository's configuration, this stack's addresses."""

    def __init__(self, steward: Steward, folder: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        with suppress(AssertionError):  # a test before this one made it
            steward.manager(
                "POST", "/identities", json={"name": "prometheus", "kind": "service", "roles": ["service"]}
            )
        key = steward.manager("POST", "/identities/prometheus/keys", json={})["api_key"]
        (folder / "api-key").write_text(key)
        (folder / "ca.pem").write_text(steward.stack.issuer_ca())
        text = (FOLDER / "prometheus.yml").read_text()
        for standing, here in {
            "http://gateway-lookup:8000": steward.stack.address("gateway-lookup"),
            "https://secrets-manager:8000": steward.stack.address("secrets-manager"),
            "/run/fountain/identity": str(folder),
            "/etc/prometheus/rules.yml": str(FOLDER / "rules.yml"),
            "127.0.0.1:9090": urlsplit(self.url).netloc,
            "15s": "1s",
            "scrape_timeout: 10s": "scrape_timeout: 1s",
        }.items():
            assert standing in text
            text = text.replace(standing, here)
        (folder / "prometheus.yml").write_text(text)
        command = [
            str(PROMETHEUS),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address={urlsplit(self.url).netloc}",
        ]
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env={"PATH": os.environ["PATH"]})

    def get(self, path: str, **params: str) -> Any:
        """Return the data of one question to its interface."""
        answer = httpx2.get(f"{self.url}/api/v1/{path}", params=params, trust_env=False)
        return answer.raise_for_status().json()["data"]


@pytest.fixture
def prometheus(steward: Steward) -> Iterator[Prometheus]:
    with tempfile.TemporaryDirectory() as folder:
        prometheus = Prometheus(steward, Path(folder))
        yield prometheus
        prometheus.process.terminate()
        prometheus.process.wait(10)


def test_every_instance_is_up_and_every_metric_that_an_alert_is_about_is_there(
    steward: Steward, prometheus: Prometheus
) -> None:
    services = {service.name for service in services_of(repository())}

    def all_up() -> list[dict[str, Any]]:
        targets = prometheus.get("targets", state="active")["activeTargets"]
        # Entries that other journeys made have nobody behind them.
        found: list[dict[str, Any]] = [
            target
            for target in targets
            if target["labels"]["job"] == "fountain" and target["labels"]["service"] in services
        ]
        assert {target["labels"]["service"] for target in found} == services
        assert [target for target in found if target["health"] != "up"] == []
        # One that an earlier journey killed is a target until its lease has run out.
        assert sum(target["labels"]["service"] == CONSUMER for target in found) == REPLICAS
        return found

    found = poll_until(all_up, "every service is an `up` target", 60)
    assert {target["labels"]["service"] for target in found if target["scrapeUrl"].startswith("https")} == {
        "secrets-manager"
    }

    rules = yaml.safe_load((FOLDER / "rules.yml").read_text())
    expressions = " ".join(rule["expr"] for group in rules["groups"] for rule in group["rules"])
    wanted = set(re.findall(r"\b(?:fountain|http)_\w+|\bup\b", expressions)) - {"fountain_instance"}
    assert len(wanted) > 5

    def named() -> bool:
        assert wanted - NOT_OURS <= set(prometheus.get("label/__name__/values"))
        return True

    # Some are about subscriptions, and are told where there is one.
    subscription = {"service": CONSUMER, "types": ["nothing.of.the.kind"]}
    assert steward.ask("PUT", "notification", "/subscriptions/scraped", json=subscription).is_success
    try:
        poll_until(named, "every metric of the rules is scraped")
    finally:
        steward.ask("DELETE", "notification", "/subscriptions/scraped")

    def evaluated() -> bool:
        groups = prometheus.get("rules")["groups"]
        assert {rule["health"] for group in groups for rule in group["rules"]} == {"ok"}
        return True

    poll_until(evaluated, "every rule can be evaluated")

"""Prometheus itself: the rules by promtool, and a real one that finds what registers."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import orjson
import pytest
import yaml
from edge import Stub, make_authority, until
from fountain_common.ports import free_port
from fountain_common.testing import token_for
from neighbourhood import DOMAIN, Neighbourhood

FOLDER = Path(__file__).parent.parent
ROOT = FOLDER.parent
PROMETHEUS, PROMTOOL = shutil.which("prometheus"), shutil.which("promtool")
pytestmark = pytest.mark.skipif(None in (PROMETHEUS, PROMTOOL), reason="needs Debian's prometheus")


def promtool(*arguments: object) -> None:
    outcome = subprocess.run(
        [str(PROMTOOL), *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=FOLDER,
        timeout=60,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


def test_the_rules_are_valid() -> None:
    promtool("check", "rules", "rules.yml")


def test_each_alert_fires_for_what_it_is_about_and_not_otherwise() -> None:
    promtool("test", "rules", "tests/rules_test.yml")


def test_the_identity_of_prometheus_is_one_more_among_the_services() -> None:
    def services(path: str) -> str:
        document = yaml.safe_load((ROOT / path).read_text())
        return str(document["services"]["secrets-manager"]["environment"]["FOUNTAIN_SERVICES"])

    assert services("compose.observability.yaml") == services("compose.yaml") + " prometheus"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Neighbourhood, Path, int]]:
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        identity = tmp_path / "identity"
        identity.mkdir()
        issuer = Stub("secrets-manager", tls=make_authority(identity))
        token = token_for(
            "prometheus", ["service"], "gateway-lookup", iss=f"https://secrets-manager.{DOMAIN}"
        )
        answer = orjson.dumps({"access_token": token, "token_type": "Bearer", "expires_in": 900})
        issuer.answer = lambda seen: (200, {"Content-Type": "application/json"}, answer)
        issuer.start()
        stack.callback(issuer.stop)
        (identity / "api-key").write_text("fnt_0123456789ab_x")
        place = Neighbourhood(stack, patch.setenv, tmp_path)
        port = free_port()
        replaced = {
            r"http://gateway-lookup:8000": place.url,
            r"secrets-manager:8000": f"127.0.0.1:{issuer.port}",
            r"/run/fountain/identity": str(identity),
            r"/etc/prometheus/rules.yml": str(FOLDER / "rules.yml"),
            r"127\.0\.0\.1:9090": f"127.0.0.1:{port}",
            r"15s": "1s",
            r"scrape_timeout: 10s": "scrape_timeout: 1s",
        }
        text = (FOLDER / "prometheus.yml").read_text()
        for pattern, value in replaced.items():
            text = re.sub(pattern, value, text)
        (tmp_path / "prometheus.yml").write_text(text)
        yield place, tmp_path, port


def test_the_configuration_is_valid(place: tuple[Neighbourhood, Path, int]) -> None:
    promtool("check", "config", place[1] / "prometheus.yml")


def test_a_service_that_registers_is_scraped(place: tuple[Neighbourhood, Path, int]) -> None:
    neighbourhood, folder, port = place
    for name in ("shop", "action"):
        neighbourhood.neighbour(name, name.title(), "A service.")
    command = [
        str(PROMETHEUS),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={"PATH": os.environ["PATH"]})

    def up() -> set[str]:
        query = {"query": 'up{job="fountain"} == 1'}
        answer = httpx2.get(f"http://127.0.0.1:{port}/api/v1/query", params=query, trust_env=False)
        # It answers 503 until it has read its own log.
        found = answer.json()["data"]["result"] if answer.is_success else []
        return {one["metric"]["service"] for one in found}

    try:
        until(lambda: up() >= {"shop", "action", "gateway-lookup"}, "every service is scraped", 30)
    finally:
        process.terminate()
        process.wait(10)

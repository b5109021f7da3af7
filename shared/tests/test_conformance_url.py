"""`fountain check URL`: a service that knows nothing of this house's library, over a real connection."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest
from foreign_service import NAME, Notes
from fountain_cli.conformance import Outcome, Target, Tokens, check
from fountain_cli.exits import FAILED, USAGE
from fountain_cli.main import app
from fountain_cli.reach import may_be_given_tokens, through_edge
from fountain_common.testing import TokenMaker
from typer.testing import CliRunner

MAKER = TokenMaker()


@contextmanager
def running(kind: type[Notes] = Notes) -> Iterator[str]:
    """Serve it at a free port; answers its URL."""
    handler = type("Handler", (kind,), {"key": MAKER.key.public_key(), "issuer": MAKER.issuer})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def checked(url: str) -> list[Outcome]:
    tokens = Tokens(
        admin=MAKER.token("root", ["admin"], NAME),
        powerless=MAKER.token("nobody", [], NAME),
        foreign=MAKER.token("root", ["admin"], "elsewhere"),
    )
    with httpx2.Client(base_url=url, timeout=10) as client:
        return check(Target(client, tokens))


def test_a_service_without_the_library_keeps_every_rule_that_can_be_seen() -> None:
    with running() as url:
        outcomes = checked(url)
    assert [finding for outcome in outcomes for finding in outcome.findings] == []
    assert {outcome.rule for outcome in outcomes if outcome.kept} >= {
        str(n) for n in (1, 2, 3, 4, 5, 6, 9, 10)
    }


class LetsEverybodyIn(Notes):
    def authorise(self, permission: str) -> None:
        """Nobody is asked."""


class TakesForeignTokens(Notes):
    def authorise(self, permission: str) -> None:
        if (
            "eyJ" not in self.headers.get("Authorization", "")
            or "bGciOiJub25l" in self.headers["Authorization"]
        ):
            super().authorise(permission)


class SaysLittle(Notes):
    def health(self) -> dict[str, Any]:
        return {"status": "UP"}


class ReadsEverything(Notes):
    def _limit(self, size: int) -> None:
        """There is none."""


class TakesNoMessages(Notes):
    def receive(self) -> tuple[str, str]:
        kind, text = super().receive()
        return kind, text.replace("Notification received", "OK")


@pytest.mark.parametrize(
    ("kind", "rules"),
    [
        (LetsEverybodyIn, {"5", "6", "11"}),
        (TakesForeignTokens, {"5", "6"}),
        (SaysLittle, {"2"}),
        (ReadsEverything, {"10"}),
        (TakesNoMessages, {"6"}),
    ],
)
def test_one_that_breaks_a_rule_is_found_out(kind: type[Notes], rules: set[str]) -> None:
    with running(kind) as url:
        broken = {finding.rule for outcome in checked(url) for finding in outcome.findings}
    assert broken
    assert broken <= rules


@pytest.fixture
def fountain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The command, with a token for the service in a file."""
    token = tmp_path / "token"
    token.write_text(MAKER.token("root", ["admin"], NAME) + "\n")
    monkeypatch.setenv("FOUNTAIN_CHECK_TOKEN_FILE", str(token))
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


def test_the_command_says_what_was_kept_and_what_was_not_checked(fountain: Callable[..., Any]) -> None:
    with running() as url:
        done = fountain("check", url, "--json")
        shown = fountain("check", url)
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)[url]
    assert report["findings"] == []
    missed = {one["title"]: one["why"] for one in report["not_checked"]}
    assert "registered with a lease" in missed
    assert "no token without permissions" in missed["no entry without a permission"]
    assert not missed.keys() & {one["title"] for one in report["kept"]}
    assert "not checked: rule 7, registered with a lease: " in shown.stderr
    assert " rules kept, " in shown.stderr


def test_the_command_names_rule_place_and_remedy_and_fails(fountain: Callable[..., Any]) -> None:
    with running(SaysLittle) as url:
        done = fountain("check", url)
    assert done.exit_code == FAILED
    assert "GET /health" in done.stdout
    assert "docs/rules.md" in done.stdout + done.stderr
    assert "add degraded" in done.stdout


@pytest.mark.parametrize(
    "more",
    [["--rotate"], ["--restart"], ["--as", "notification"], ["--as", "a", "--restart"], ["--send-token"]],
)
def test_what_a_url_cannot_have_done_is_refused(fountain: Callable[..., Any], more: list[str]) -> None:
    done = fountain("check", "http://127.0.0.1:1", *more)
    assert done.exception is not None
    assert getattr(done.exception, "status", None) == USAGE or done.exit_code == USAGE


@pytest.mark.parametrize("domain", ["fountain.example", "fountain.example:8443"])
@pytest.mark.parametrize(
    ("host", "there"), [("stories.fountain.example:8443", True), ("stories.example:8443", False)]
)
def test_a_name_below_the_domain_is_reached_through_the_edge(
    monkeypatch: pytest.MonkeyPatch, domain: str, host: str, there: bool
) -> None:
    monkeypatch.setenv("FOUNTAIN_DOMAIN", domain)
    assert through_edge(f"https://{host}/", None) is there


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9000",
        "http://[::1]:9000/",
        "http://stories.localhost:9000",
        "https://stories.fountain.example",
        "https://fountain.example:8443/",
    ],
)
def test_what_is_here_or_below_the_domain_may_have_tokens(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("FOUNTAIN_DOMAIN", "fountain.example")
    assert may_be_given_tokens(url, None)


@pytest.mark.parametrize(
    "url",
    [
        "https://stories.example",
        "https://notfountain.example",
        "https://fountain.example.evil.example",
        "https://127.0.0.1@evil.example",
        "https://127.0.0.1.evil.example",
        "https://evil.example/.fountain.example",
        "https://evil.example#.fountain.example",
        "http://stories.fountain.example",
        "http://10.0.0.1:9000",
    ],
)
@pytest.mark.parametrize("domain", ["fountain.example", ""])
def test_anybody_elsewhere_is_sent_no_token_unless_told_to(
    fountain: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, url: str, domain: str
) -> None:
    monkeypatch.setenv("FOUNTAIN_DOMAIN", domain)
    assert not may_be_given_tokens(url, None)
    if domain:
        done = fountain("check", url, "--as", "stories")
        assert getattr(done.exception, "status", None) == USAGE
        assert "--send-token" in str(done.exception)

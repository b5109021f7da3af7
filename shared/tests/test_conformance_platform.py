"""The rules that need more than a URL: kept by a service of the house, and each found where it is broken."""

import io
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
from conformance_around import NAME, Around
from fountain_cli.conformance import RULES, Outcome, Platform, Target, Tokens, check
from fountain_cli.conformance.presence import _all_renewed
from fountain_common import logging as fountain_logging
from fountain_common.settings import ServiceSettings
from fountain_common.testing import wait_until

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def log() -> Iterator[io.StringIO]:
    log = io.StringIO()
    yield log
    fountain_logging.configure(ServiceSettings(_env_file=None, service_name=NAME))


@pytest.fixture
def around(log: io.StringIO, tmp_path: Path) -> Iterator[Around]:
    log.seek(0)
    log.truncate()

    settings = ServiceSettings(_env_file=None, service_name=NAME, data_dir=tmp_path, runtime="local")
    around = Around(settings, log, sources=ROOT)
    yield around
    around.client.__exit__(None, None, None)


def outcomes(around: Around, *titles: str, **options: Any) -> list[Outcome]:
    """What the check says of these rules, or of all."""
    tokens = Tokens(*(around.world.tokens.token("root", roles, NAME) for roles in (["admin"], [])), None)
    given = {"may_rotate": True, "may_restart": True, "keeper": around, **options}
    with httpx2.Client(transport=around, base_url="http://things") as client:
        target = Target(
            client, tokens, name=NAME, platform=Platform(NAME, around.ask), sources=around.sources, **given
        )
        return check(target, [rule for rule in RULES if not titles or rule.title in titles])


def test_with_everything_within_reach_every_rule_is_kept(around: Around) -> None:
    seen = outcomes(around)
    assert [finding for outcome in seen for finding in outcome.findings] == []
    missed = {outcome.title for outcome in seen if outcome.not_checked}
    assert missed == {"no entry with a token for another service"}


def test_nothing_is_stopped_or_rotated_unless_it_is_asked_for(around: Around) -> None:
    before = around.client
    seen = outcomes(around, may_rotate=False, may_restart=False)
    assert around.client is before
    assert around.world.secrets_manager.state(NAME, 1) == "active"
    missed = {outcome.title for outcome in seen if "--" in outcome.not_checked}
    assert missed == {
        "deregistered when stopped",
        "says that it stops",
        "rotation honoured",
        "values stay secret",
    }


def test_a_rotation_leaves_the_policy_as_it_was(around: Around) -> None:
    policy = f"/secrets/{NAME}/rotation-policy"
    kept = {"cron": "0 3 * * 0", "overlap_seconds": 900, "deadline_seconds": 300}
    around.ask("secrets-manager", "PUT", policy, json=kept)
    (outcome,) = outcomes(around, "rotation honoured")
    assert outcome.kept
    assert around.ask("secrets-manager", "GET", policy).json() == kept


# --- each of them broken --------------------------------------------------------------------------------


def answering(path: str, change: Callable[[Any], Any]) -> Callable[[Around], None]:
    """The platform says something else about the service: it behaves in another way."""

    def break_it(around: Around) -> None:
        around.change = lambda asked, body: change(body) if asked.partition("?")[0] == path else body

    return break_it


def without_event(name: str) -> Callable[[Around], None]:
    def change(asked: str, body: Any) -> Any:
        if asked == "GET /notifications":
            return {**body, "items": [event for event in body["items"] if event["type"] != name]}
        return body

    def break_it(around: Around) -> None:
        around.change = change

    return break_it


def each(**fields: Any) -> Callable[[Any], Any]:
    return lambda body: {"instances": [{**one, **fields} for one in body["instances"]]}


def running_out(end: float) -> Callable[[Any], Any]:
    return lambda body: each(expires_in_seconds=end - time.monotonic())(body)


def late(phase: str) -> Callable[[Any], Any]:
    return lambda body: {**body, "holders": [{**holder, phase: 0} for holder in body["holders"]]}


def degraded_without_a_word(around: Around) -> None:
    wait_until(lambda: around.world.notification.events("service.started"), "the word of its start")
    around.world.notification.emit("service.degraded", NAME, {"degraded": ["database"]}, source=NAME)


def logging_plain_text(around: Around) -> None:
    around.written = lambda text: text + "INFO:     Started server process [1]\n"


def logging_without_service(around: Around) -> None:
    around.written = lambda text: "".join(
        json.dumps({key: value for key, value in json.loads(line).items() if key != "service"}) + "\n"
        for line in text.splitlines()
    )


def logging_no_requests(around: Around) -> None:
    around.written = lambda text: "".join(
        line + "\n" for line in text.splitlines() if '"event":"request"' not in line
    )


def beginning_traces_anew(around: Around) -> None:
    around.written = lambda text: re.sub(r'"trace_id":"[0-9a-f]{32}"', f'"trace_id":"{"5" * 32}"', text)


def logging_what_is_sent(around: Around) -> None:
    sent: list[str] = []
    handle = around.handle_request

    def remembering(request: httpx2.Request) -> httpx2.Response:
        sent.append(str(request.url))
        return handle(request)

    around.handle_request = remembering  # type: ignore[method-assign]
    around.written = lambda text: text + "\n".join(sent)


def logging_values(around: Around) -> None:
    around.written = lambda text: text + around.world.secrets_manager.values(NAME)["JWT_SECRET"]


def telling_values(around: Around) -> None:
    around.change = lambda asked, body: (
        {"items": [{"position": 1, "data": around.world.secrets_manager.values(NAME)}], "next": None}
        if asked == "GET /notifications"
        else body
    )


def failing_while_rotating(around: Around) -> None:
    around.fails_while_rotating = True


def breaking_off_while_rotating(around: Around) -> None:
    around.fails_while_rotating = around.breaks_off = True


def staying_when_stopped(around: Around) -> None:
    around.stays = True


def sources_without_tests(around: Around) -> None:
    copy = around.sources = around.settings.data_dir / "repository"
    (copy / "services").mkdir(parents=True)
    shutil.copy(ROOT / "compose.yaml", copy)
    shutil.copytree(ROOT / "services" / NAME, copy / "services" / NAME)
    (copy / "services" / NAME / "tests" / "test_main.py").unlink()


BROKEN: dict[str, tuple[str, Callable[[Around], None]]] = {
    "sources without tests": ("layout", sources_without_tests),
    "no lease": (
        "registered with a lease",
        answering(f"GET /registry/{NAME}", lambda _: {"instances": []}),
    ),
    "a lease of somebody else": (
        "registered with a lease",
        answering(f"GET /registry/{NAME}", each(identity="other-things")),
    ),
    "a lease that is not renewed": (
        "registered with a lease",
        answering(f"GET /registry/{NAME}", running_out(time.monotonic() + 1000)),
    ),
    "not found by lookup": ("registered with a lease", answering(f"GET /lookup/{NAME}", lambda _: None)),
    "a lease left behind": ("deregistered when stopped", staying_when_stopped),
    "never said to have started": (
        "says that it started",
        answering("GET /notifications/retained", lambda _: None),
    ),
    "said to have started by another": (
        "says that it started",
        answering("GET /notifications/retained", lambda event: event and {**event, "source": "other-things"}),
    ),
    "no word of stopping": ("says that it stops", without_event("service.stopping")),
    "no word of starting again": ("says that it stops", without_event("service.started")),
    "degraded, and well again without a word": ("says how it is", degraded_without_a_word),
    "plain text in the log": ("logs as JSON", logging_plain_text),
    "lines that do not say of whom": ("logs as JSON", logging_without_service),
    "no line for a request": ("requests in the log", logging_no_requests),
    "traces that are not continued": ("requests in the log", beginning_traces_anew),
    "a log of raw URLs": ("logs repeat nothing", logging_what_is_sent),
    "no holder": ("rotation honoured", answering("GET /rotations/r1", lambda body: {**body, "holders": []})),
    "a holder that does not accept": ("rotation honoured", answering("GET /rotations/r1", late("accepts"))),
    "a holder that does not use": ("rotation honoured", answering("GET /rotations/r1", late("uses"))),
    "an instance that holds nothing": (
        "rotation honoured",
        answering(f"GET /registry/{NAME}", each(instance_id="0" * 32)),
    ),
    "a rotation that does not end": (
        "rotation honoured",
        answering("GET /rotations/r1", lambda body: {**body, "state": "draining"}),
    ),
    "requests that fail meanwhile": ("rotation honoured", failing_while_rotating),
    "connections that break off meanwhile": ("rotation honoured", breaking_off_while_rotating),
    "values in the log": ("values stay secret", logging_values),
    "values in an event": ("values stay secret", telling_values),
}


@pytest.mark.parametrize(("title", "break_it"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_rule_is_found_and_named(
    around: Around, title: str, break_it: Callable[[Around], None]
) -> None:
    break_it(around)
    (outcome,) = outcomes(around, title, patience=0.1)
    assert outcome.findings
    assert all(finding.place and finding.problem and finding.remedy for finding in outcome.findings)


def test_every_rule_that_needs_more_than_the_url_is_broken_by_some_test(around: Around) -> None:
    by_url = check(Target(httpx2.Client(transport=around, base_url="http://things")))
    needing = {outcome.title for outcome in by_url if outcome.not_checked}
    by_tokens = {outcome.title for outcome in by_url if "token" in outcome.not_checked}
    assert needing - by_tokens == {title for title, _ in BROKEN.values()}


@pytest.mark.parametrize(("later", "renewed"), [(8.0, True), (0.0, False)])
def test_a_lease_that_was_renewed_just_before_is_seen_to_be_renewed_again(
    later: float, renewed: bool
) -> None:
    def instances() -> list[dict[str, Any]]:
        # It says less than it did at first, since a while has passed.
        return [{"instance_id": "a", "expires_in_seconds": 25.0}]

    before = {"a": time.monotonic() + 25.0 - later}
    assert _all_renewed(SimpleNamespace(instances=instances), before) is renewed  # type: ignore[arg-type]

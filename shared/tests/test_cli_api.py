"""The command's side of the platform: keys go to the issuer alone, problems become sentences and statuses."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from fountain_cli import exits, keys
from fountain_cli.api import ISSUER, Api
from fountain_cli.exits import CommandError
from fountain_cli.stack.edge import edge_url, is_loopback_name

KEY = "fnt_abcdefghijkl_secret"


def api(
    answer: Callable[[str, httpx2.Request], httpx2.Response], clock: Callable[[], float] = time.monotonic
) -> Api:
    """An Api whose services answer by a function of service and request."""

    def open_client(service: str) -> httpx2.Client:
        transport = httpx2.MockTransport(lambda request: answer(service, request))
        return httpx2.Client(base_url=f"https://{service}.test", transport=transport)

    return Api(KEY, open_client, clock)


def test_the_key_is_sent_to_the_issuer_and_a_token_to_the_others() -> None:
    seen: list[tuple[str, str]] = []

    def answer(service: str, request: httpx2.Request) -> httpx2.Response:
        seen.append((service, request.content.decode() + repr(request.headers.raw)))
        if service == ISSUER:
            return httpx2.Response(200, json={"access_token": "token-of-it"})
        return httpx2.Response(200, json={"items": [], "next": None})

    with api(answer) as client:
        client.get("notification", "/notifications")
    assert KEY in seen[0][1]
    assert KEY not in seen[1][1]
    assert "Bearer token-of-it" in seen[1][1]


def test_a_token_for_a_teams_service_names_it_and_one_for_the_platform_names_none() -> None:
    asked: list[str] = []

    def answer(_: str, request: httpx2.Request) -> httpx2.Response:
        asked.append(request.content.decode())
        return httpx2.Response(200, json={"access_token": "t"})

    with api(answer) as client:
        for service in ("example-consumer", "notification", "gateway-lookup", None):
            client.token(service)
    assert ["resource=example-consumer" in one for one in asked] == [True, False]


def test_a_command_that_outlives_its_token_has_another() -> None:
    now, given = [1000.0], iter(("first", "second", "third"))

    def answer(_: str, request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json={"access_token": next(given), "expires_in": 900})

    with api(answer, lambda: now[0]) as client:
        seen = []
        for passed in (0, 800, 65, 800, 75):
            now[0] += passed
            seen.append(client.token("notification"))
    assert seen == ["first", "first", "first", "second", "second"]


def test_the_key_is_in_no_repr() -> None:
    assert KEY not in repr(api(lambda *_: httpx2.Response(200)))


def test_a_problem_becomes_its_detail_and_names_the_bad_fields() -> None:
    problem = {"detail": "The body is not valid.", "errors": [{"loc": ["body", "keys"], "msg": "too many"}]}

    def answer(_: str, request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/auth/token":
            return httpx2.Response(200, json={"access_token": "t"})
        return httpx2.Response(422, json=problem)

    with (
        api(answer) as client,
        pytest.raises(CommandError, match=r"(?s)The body is not valid.*body.keys: too many") as refused,
    ):
        client.get(ISSUER, "/secrets")
    assert refused.value.status == exits.REFUSED


@pytest.mark.parametrize(
    ("http", "status"),
    [(403, exits.DENIED), (404, exits.NOT_FOUND), (409, exits.CONFLICT), (503, exits.UNAVAILABLE)],
)
def test_exit_statuses_mean_something(http: int, status: int) -> None:
    assert exits.of_http(http) == status


@pytest.mark.parametrize(("theirs", "ours"), [(0, 0), (75, 75), (1, 1), (2, 1), (125, 1), (137, 1), (-9, 1)])
def test_the_exit_status_of_a_command_beside_the_database_is_its_own_or_that_it_failed(
    theirs: int, ours: int
) -> None:
    assert exits.of_errand(theirs) == ours


def test_a_refused_key_is_a_denial() -> None:
    refusal = {"error": "invalid_client", "error_description": "This key is not known."}
    with api(lambda *_: httpx2.Response(401, json=refusal)) as client, pytest.raises(CommandError) as refused:
        client.token()
    assert refused.value.status == exits.DENIED
    assert "This key is not known." in str(refused.value)


def test_a_service_that_does_not_answer_is_named() -> None:
    def answer(_: str, request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused", request=request)

    with (
        api(answer) as client,
        pytest.raises(CommandError, match="secrets-manager does not answer") as refused,
    ):
        client.token()
    assert refused.value.status == exits.UNAVAILABLE


def test_pages_are_followed_to_the_limit() -> None:
    def answer(_: str, request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/auth/token":
            return httpx2.Response(200, json={"access_token": "t"})
        first = int(request.url.params.get("cursor", "0"))
        return httpx2.Response(200, json={"items": [{"n": first}, {"n": first + 1}], "next": str(first + 2)})

    with api(answer) as client:
        assert [one["n"] for one in client.pages(ISSUER, "/secrets", 5)] == [0, 1, 2, 3, 4]


def test_keys_are_kept_by_issuer_and_for_this_user_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    keys.store("https://a.test", KEY)
    keys.store("https://b.test", "fnt_other_key")
    assert keys.stored("https://a.test") == KEY
    assert keys.stored("https://c.test") is None
    path = tmp_path / "fountain" / "keys.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert keys.forget("https://a.test")
    assert not keys.forget("https://a.test")
    assert list(json.loads(path.read_text())) == ["https://b.test"]


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    keys.store("https://a.test", KEY)
    (tmp_path / "fountain" / "keys.json").chmod(0o644)
    with pytest.raises(CommandError, match="chmod 600"):
        keys.stored("https://a.test")


def test_urls_name_the_port_unless_it_is_the_usual_one() -> None:
    assert edge_url("", "fountain.localhost", 443) == "https://fountain.localhost"
    assert edge_url("stories", "fountain.localhost", 8443) == "https://stories.fountain.localhost:8443"


def test_only_names_of_this_machine_are_connected_to_loopback() -> None:
    assert is_loopback_name("a.fountain.localhost")
    assert is_loopback_name("localhost")
    assert not is_loopback_name("fountain.coach")
    assert not is_loopback_name("notlocalhost")

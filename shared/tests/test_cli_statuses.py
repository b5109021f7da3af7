"""Exit statuses keep their meanings: what can never succeed is refused, what may succeed later is not now."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fountain_cli import exits
from fountain_cli.api import Api
from fountain_cli.commands import identities, login
from fountain_cli.main import app
from fountain_cli.stack import ComposeStack, LocalStack, Ports, Taken
from fountain_cli.stack.layout import services
from fountain_cli.stack.ports import is_taken
from typer.testing import CliRunner


def api(answers: dict[str, int | dict[str, Any]]) -> Api:
    """One that gives these answers by path; a number is a problem of that status."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/auth/token":
            return httpx2.Response(200, json={"access_token": "a-token", "expires_in": 900})
        found = answers[f"{request.url.host.partition('.')[0]}{request.url.path}"]
        if isinstance(found, int):
            return httpx2.Response(found, json={"title": "No", "status": found, "detail": "Because."})
        return httpx2.Response(200, json=found)

    def client(service: str) -> httpx2.Client:
        return httpx2.Client(transport=httpx2.MockTransport(answer), base_url=f"https://{service}.test")

    return Api("fnt_abcdefghijkl_secret", client)


def status_of(done: Any) -> int:
    return int(getattr(done.exception, "status", done.exit_code))


@pytest.mark.parametrize(("http", "status"), [(409, exits.REFUSED), (429, exits.CONFLICT)])
def test_a_name_that_is_taken_is_refused_for_good(
    monkeypatch: pytest.MonkeyPatch, http: int, status: int
) -> None:
    monkeypatch.setattr(identities, "connect", lambda: api({"secrets-manager/identities": http}))
    assert status_of(CliRunner().invoke(app, ["identities", "create", "ada"])) == status


@pytest.mark.parametrize(
    ("at_the_gateway", "at_the_issuer", "status"),
    [
        ({"url": "u"}, 404, exits.OK),
        (404, {"kind": "service"}, exits.OK),
        (404, {"kind": "person"}, exits.NOT_FOUND),
        (404, 404, exits.NOT_FOUND),
        (404, 403, exits.OK),  # an operator may not see identities: it cannot be told
        (503, 404, exits.OK),
    ],
)
def test_there_is_no_token_for_a_service_that_nobody_knows(
    monkeypatch: pytest.MonkeyPatch,
    at_the_gateway: int | dict[str, Any],
    at_the_issuer: int | dict[str, Any],
    status: int,
) -> None:
    answers = {
        "gateway-lookup/lookup/stories": at_the_gateway,
        "secrets-manager/identities/stories": at_the_issuer,
    }
    monkeypatch.setattr(login, "connect", lambda: api(answers))
    done = CliRunner().invoke(app, ["token", "stories"])
    assert status_of(done) == status
    assert done.stdout == ("a-token\n" if status == exits.OK else "")


@pytest.mark.parametrize("words", [("up",), ("token",), ("down",)])
@pytest.mark.parametrize(
    "setting", [{"FOUNTAIN_RUNTIME": "dokker"}, {"FOUNTAIN_RUNTIME": "local", "FOUNTAIN_HTTP_PORT": "http"}]
)
def test_a_misspelt_setting_is_refused(
    tmp_path: Path, words: tuple[str, ...], setting: dict[str, str]
) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), **setting}
    environment["FOUNTAIN_STATE_DIR"] = str(tmp_path)
    command = [sys.executable, "-m", "fountain_cli", *words]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == exits.REFUSED, done.stderr
    assert list(setting)[-1] in done.stderr


@pytest.mark.parametrize("runtime", ["local", "docker"])
def test_a_port_that_is_taken_may_be_free_later(
    tmp_path: Path, runtime: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(ComposeStack, "running", lambda _: False)
    for name in ("gateway-lookup", "secrets-manager", "notification"):
        (tmp_path / "services" / name).mkdir(parents=True)
        (tmp_path / "services" / name / "entrypoint.py").touch()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        free = Ports.free(services(tmp_path))
        stack = (
            LocalStack(tmp_path / "state", Ports(free.http, port, free.services), root=tmp_path)
            if runtime == "local"
            else ComposeStack("fountain-nowhere", http_port=free.http, https_port=port, root=tmp_path)
        )
        with pytest.raises(Taken, match=f"listens on {port}"):
            stack.start()
        assert is_taken(port)
        assert not is_taken(free.http)


def test_what_is_taken_ends_with_the_status_for_not_now(monkeypatch: pytest.MonkeyPatch) -> None:
    def taken(*_: object, **__: object) -> None:
        raise Taken("Another program listens on 80.")

    monkeypatch.setattr("fountain_cli.stack.choice.to_start", taken)
    with pytest.raises(SystemExit) as ended:
        app(["up"], standalone_mode=False)
    assert ended.value.code == exits.CONFLICT

"""Events are shown as they happen, whatever becomes of the connection meanwhile."""

import json

import httpx2
import pytest
from fountain_cli.api import ISSUER, Api
from fountain_cli.commands import events
from fountain_cli.exits import OK, UNAVAILABLE, CommandError
from fountain_cli.main import app
from typer.testing import CliRunner, Result


def stream(position: int) -> httpx2.Response:
    event = {"position": position, "type": "link.created", "source": "links"}
    return httpx2.Response(200, text=f"id: e-{position}\nevent: event\ndata: {json.dumps(event)}\n\n")


def tailed(monkeypatch: pytest.MonkeyPatch, *answers: httpx2.Response) -> tuple[Result, list[str | None]]:
    """What is shown of streams that answer so, one after the other, and where each was taken up."""
    waiting, resumed = list(answers), []

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/auth/token":
            return httpx2.Response(200, json={"access_token": "t", "expires_in": 900})
        resumed.append(request.headers.get("last-event-id"))
        if not waiting:
            raise KeyboardInterrupt
        return waiting.pop(0)

    def client(service: str) -> httpx2.Client:
        assert service in (ISSUER, "notification")
        return httpx2.Client(transport=httpx2.MockTransport(answer), base_url=f"https://{service}.test")

    monkeypatch.setattr(events, "connect", lambda: Api("fnt_abcdefghijkl_secret", client))
    monkeypatch.setattr(events, "_RECONNECT_SECONDS", 0.0)
    return CliRunner().invoke(app, ["events", "tail", "--json"]), resumed


def test_a_stream_is_taken_up_where_it_ended_though_the_platform_was_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done, resumed = tailed(monkeypatch, stream(1), httpx2.Response(503), httpx2.Response(502), stream(2))
    assert done.exit_code == OK, done.output
    assert [json.loads(line)["position"] for line in done.stdout.splitlines()] == [1, 2]
    assert resumed == [None, "e-1", "e-1", "e-1", "e-2"]


def test_a_stream_that_breaks_before_its_first_event_is_taken_up_where_it_began(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    quiet = httpx2.Response(200, headers={"Last-Event-ID": "e-7"}, text=": subscribed\n\n")
    done, resumed = tailed(monkeypatch, quiet, stream(8))
    assert [json.loads(line)["position"] for line in done.stdout.splitlines()] == [8]
    assert resumed == [None, "e-7", "e-8"]


def test_a_platform_that_does_not_answer_at_first_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    done, resumed = tailed(monkeypatch, httpx2.Response(503))
    assert isinstance(done.exception, CommandError)
    assert (done.exception.status, len(resumed)) == (UNAVAILABLE, 1)


def test_a_refusal_says_what_the_platform_says(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = {"title": "Unprocessable Content", "status": 422, "detail": "A pattern is words with dots."}
    done, _ = tailed(monkeypatch, httpx2.Response(422, json=problem))
    assert str(done.exception) == "The stream was refused (422): A pattern is words with dots."


def test_a_refusal_ends_it_at_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    done, resumed = tailed(monkeypatch, stream(1), httpx2.Response(403))
    assert isinstance(done.exception, CommandError)
    assert len(resumed) == 2

"""Forcing a rotation: what will happen is said first, and nothing happens unasked."""

from typing import Any

import httpx2
import pytest
from fountain_cli.api import Api
from fountain_cli.commands import rotations
from fountain_cli.exits import CONFLICT, FAILED, OK
from fountain_cli.main import app
from typer.testing import CliRunner

ID = "0f5c1d4e-0000-4000-8000-000000000000"


def rotation(state: str, *, late: bool) -> dict[str, Any]:
    holder = {"instance_id": "abcdef0123456789", "identity": "stories", "accepts": 7, "uses": 7, "late": late}
    return {
        "rotation_id": ID, "service_name": "stories", "version": 8, "previous_version": 7, "state": state,
        "overdue": state == "overdue",
        "activated_at": None if state in ("staged", "overdue") else "2026-01-31T12:00:00Z",
        "overlap_seconds": 900.0, "draining_since": None, "holders": [holder],
    }  # fmt: skip


def typed(
    monkeypatch: pytest.MonkeyPatch, *words: str, states: list[str], late: bool, given: str = ""
) -> tuple[Any, bool]:
    """What became of the command, and whether the rotation, in these states one by one, was forced."""
    forced: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/auth/token":
            return httpx2.Response(200, json={"access_token": "t", "expires_in": 900})
        if request.method == "POST":
            forced.append(request.url.path)
        return httpx2.Response(200, json=rotation(states.pop(0) if len(states) > 1 else states[0], late=late))

    def client(service: str) -> httpx2.Client:
        return httpx2.Client(transport=httpx2.MockTransport(answer), base_url=f"https://{service}.test")

    monkeypatch.setattr(rotations, "connect", lambda: Api("fnt_abcdefghijkl_secret", client))
    done = CliRunner().invoke(app, ["rotations", "force", ID, *words], input=given)
    return done, forced == [f"/rotations/{ID}/force"]


@pytest.mark.parametrize(
    ("state", "late", "says"),
    [
        ("draining", False, ("Nobody is late", "Version 7 of stories is retired at once", "of 15 min")),
        ("active", True, ("abcdef01 (stories)", "Version 7 of stories is retired at once", "refused")),
        ("overdue", True, ("abcdef01 (stories)", "Version 8 of stories is used from now on")),
        ("staged", True, ("abcdef01 (stories)", "Version 8 of stories is used from now on")),
    ],
)  # fmt: skip
def test_it_says_what_will_happen_and_does_nothing_unless_somebody_agrees(
    monkeypatch: pytest.MonkeyPatch, state: str, late: bool, says: tuple[str, ...]
) -> None:
    for given in ("n\n", ""):
        done, forced = typed(monkeypatch, states=[state], late=late, given=given)
        assert not forced
        assert isinstance(done.exception, SystemExit | rotations.CommandError)
        for words in says:
            assert words in done.stderr
    done, forced = typed(monkeypatch, states=[state], late=late, given="y\n")
    assert (done.exit_code, forced) == (OK, True), done.stderr


def test_with_yes_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    done, forced = typed(monkeypatch, "--yes", states=["draining"], late=False)
    assert (done.exit_code, forced) == (OK, True)
    assert "Go on?" not in done.stderr


def test_what_went_on_while_the_person_thought_is_not_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A yes to an early activation is none to a retirement."""
    done, forced = typed(monkeypatch, states=["staged", "active"], late=True, given="y\n")
    assert not forced
    assert isinstance(done.exception, rotations.CommandError)
    assert done.exception.status == CONFLICT


def test_the_help_names_the_overlap() -> None:
    shown = CliRunner().invoke(app, ["rotations", "force", "--help"])
    assert shown.exit_code == OK != FAILED
    assert "overlap" in shown.output

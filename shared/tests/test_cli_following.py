"""Following a rotation: to its end, and through an absence of the Secrets Manager."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from fountain_cli.api import Api
from fountain_cli.commands import rotations
from fountain_cli.commands.rotations import followed
from fountain_cli.exits import NOT_FOUND, UNAVAILABLE, CommandError
from fountain_cli.main import app
from fountain_cli.moments import span
from typer.testing import CliRunner

ID = "0f5c1d4e-0000-4000-8000-000000000000"


def api(*answers: str | int | None) -> Api:
    """One whose rotation is in these states; a number is a status, None is no answer at all."""
    coming: Iterator[str | int | None] = iter(answers)

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/auth/token":
            return httpx2.Response(200, json={"access_token": "t", "expires_in": 900})
        found = next(coming)
        if found is None:
            raise httpx2.ConnectError("refused", request=request)
        if isinstance(found, int):
            return httpx2.Response(found, json={"detail": "no"})
        return httpx2.Response(200, json={"state": found})

    return Api(
        "fnt_x", lambda _: httpx2.Client(base_url="https://sm", transport=httpx2.MockTransport(answer))
    )


def test_an_absence_of_the_secrets_manager_does_not_end_it() -> None:
    seen = followed(api("staged", None, 503, "draining", None, "retired"), ID, timeout=30)
    assert [one["state"] for one in seen] == ["staged", "draining", "retired"]


def test_an_absence_that_outlasts_the_patience_ends_it_with_what_was_seen_last() -> None:
    assert [one["state"] for one in followed(api("staged", None), ID, timeout=0.01)] == ["staged"]


@pytest.mark.parametrize(("answers", "status"), [((None,), UNAVAILABLE), (("staged", 404), NOT_FOUND)])
def test_what_was_never_there_and_what_is_refused_ends_it(
    answers: tuple[str | int | None, ...], status: int
) -> None:
    with pytest.raises(CommandError) as raised:
        list(followed(api(*answers), ID, timeout=30))
    assert raised.value.status == status


def rotation(state: str, *, late: str = "", active: bool = True) -> dict[str, Any]:
    holders = [
        {
            "instance_id": f"{name}0123456",
            "identity": "stories",
            "accepts": 7,
            "uses": 7,
            "late": name in late,
        }
        for name in ("a", "b")
    ]
    return {
        "rotation_id": ID, "service_name": "stories", "version": 8, "previous_version": 7, "state": state,
        "overdue": state == "overdue", "activated_at": "2026-01-31T12:00:00Z" if active else None,
        "overlap_seconds": 900.0, "holders": holders,
        "draining_since": "2026-01-31T12:00:00Z" if state == "draining" else None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("seen", "says"),
    [
        (
            rotation("staged", late="a", active=False),
            "staged; waits until version 8 is accepted by a0123456 (stories)",
        ),
        (rotation("overdue", late="b"), "overdue; waits until version 8 is used by b0123456 (stories)"),
        (rotation("draining"), "draining; version 7 retires in 14 min"),
        (rotation("retired"), "retired; version 7 is refused from now on"),
        (rotation("aborted", active=False), "aborted"),
    ],
)
def test_it_says_what_is_waited_for_and_how_long_the_old_version_overlaps(
    seen: dict[str, Any], says: str
) -> None:
    now = datetime(2026, 1, 31, 12, 1, tzinfo=UTC)
    assert rotations.summary(seen, now) == f"stories version 8: {says}"


def test_into_a_pipe_each_change_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    late = rotation("staged", late="ab", active=False)
    once = [
        late,
        late,
        rotation("staged", late="b", active=False),
        rotation("draining"),
        rotation("draining"),
    ]
    coming = iter([*once, rotation("retired")])

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/auth/token":
            return httpx2.Response(200, json={"access_token": "t", "expires_in": 900})
        return httpx2.Response(200, json=next(coming))

    monkeypatch.setattr(rotations, "_PAUSE_SECONDS", 0)
    transport = httpx2.MockTransport(answer)
    opened = Api("fnt_x", lambda _: httpx2.Client(base_url="https://sm", transport=transport))
    monkeypatch.setattr(rotations, "connect", lambda: opened)
    done = CliRunner().invoke(app, ["rotations", "watch", ID])
    assert done.exit_code == 0, done.output
    states = [line.partition(": ")[2].partition(";")[0] for line in done.stdout.splitlines()]
    assert states == ["staged", "staged", "draining", "retired"]


@pytest.mark.parametrize(
    ("seconds", "says"),
    [(-3, "0 s"), (40, "40 s"), (840, "14 min"), (7200, "2 h"), (3599, "1 h"), (7500, "2 h 5 min")],
)
def test_a_time_that_is_left_is_said_as_people_say_it(seconds: float, says: str) -> None:
    assert span(seconds) == says

"""The report counts what is in the history."""

import io
import json

import pytest
from rich.console import Console

from chaos import report
from chaos.history import Acknowledged, History, Received, Request, RotationSeen, Trouble
from chaos.invariants import Violation
from chaos.judging import Judge, tallies
from chaos.run import Outcome
from chaos.schedule import Kind, Part

PART = Part("consumer", 1)
EVENT = Received("note:a", 1, "x")


@pytest.fixture
def outcome() -> Outcome:
    history = History(
        requests=[Request("look up", (PART,), 1.0, 1.1), Request("look up", (PART,), 50.0, 50.1, "503")],
        troubles=[
            Trouble(PART, Kind.KILL, 49.0, 49.5, 51.5),
            Trouble(PART, Kind.STOP, 60.0, 64.0, 68.0, note="it was refused"),
        ],
        acknowledged=[Acknowledged("note:a", "direct")],
        streamed=[EVENT],
        delivered=[EVENT, EVENT],
        rotations=[RotationSeen("r", "consumer", 2, 1, "retired", "rotate", (), True, 9.0)],
    )
    judged = tallies(history.requests, Judge(history.troubles, {}))
    return Outcome(
        "local", 7, 60.0, history, judged, [Violation("a rule", "[red] was broken", ("consumer",))], 12.34
    )


def test_everything_is_counted(outcome: Outcome) -> None:
    said = json.loads(json.dumps(report.document(outcome)))
    assert (said["seed"], said["ok"], said["load_per_processor"]) == (7, False, 12.3)
    recovery = {"p50": 3.0, "max": 4.0}
    assert said["disturbances"] == {"consumer/1": {"kill": 1, "stop": 1, "recovery_seconds": recovery}}
    assert said["could_not_be_done"] == ["stop consumer/1: it was refused"]
    counts = said["requests"]["look up"]
    assert (counts["sent"], counts["ok"], counts["judged"], counts["failed"]) == (2, 1, 1, 0)
    assert counts["excluded"] == {"consumer/1 was disturbed": 1}
    assert said["rotations"] == {"retired": 1}
    assert said["events"]["delivered"] == {"received": 1, "duplicates": 1}
    assert [one["rule"] for one in said["violations"]] == ["a rule"]


def test_who_never_recovered_has_no_longest_time() -> None:
    assert report.recovery([1.0, None]) == {"p50": 1.0, "max": None}
    assert report.recovery([]) == {"p50": None, "max": None}


def test_the_tables_show_violations_as_they_are(outcome: Outcome) -> None:
    page = io.StringIO()
    report.show(outcome, Console(file=page, width=140))
    assert "[red] was broken" in page.getvalue()
    assert "consumer/1" in page.getvalue()

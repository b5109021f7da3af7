"""What a benchmark says was so: a slow answer is not left out, and a loss is not hidden."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import orjson
import pytest

from benchmarks import interpreter, picture, report
from benchmarks.__main__ import _measured
from benchmarks.measure import Budget, Result, ratio
from benchmarks.paced import Published, Receipt, by_the_clock, delays
from benchmarks.processes import Broken, NotRun
from benchmarks.profiling import summed, table
from benchmarks.wrk import _script, parse

aiohttp = pytest.importorskip("aiohttp")
from aiohttp import web  # noqa: E402

from benchmarks.rows import Row, Run, all_rows  # noqa: E402
from benchmarks.rows.events import paced_delays  # noqa: E402

PUBLISHED = {7: Published("0", 10.0), 8: Published("1", 10.5), 9: Published("2", 11.0)}
ALL = [Receipt(7, "0", 10.1), Receipt(8, "1", 10.75), Receipt(9, "2", 13.0)]


def test_an_answer_that_does_not_come_keeps_nobody_from_publishing_the_next() -> None:
    async def run() -> list[int]:
        last = asyncio.Event()

        async def publish(number: int, _due: float) -> int:
            if number == 2:
                last.set()
            await last.wait()
            return number

        async with asyncio.timeout(10):
            return await by_the_clock(3, 0.001, publish)

    assert asyncio.run(run()) == [0, 1, 2]


def test_an_event_is_late_since_it_was_due() -> None:
    assert delays(PUBLISHED, ALL) == pytest.approx([0.1, 0.25, 2.0])


@pytest.mark.parametrize(
    "received",
    [
        [ALL[0], ALL[1], ALL[1]],
        [*ALL, ALL[2]],
        [ALL[1], ALL[0], ALL[2]],
        ALL[:2],
        [*ALL[:2], Receipt(9, "another", 13.0)],
    ],
)
def test_a_reader_that_did_not_get_each_once_and_in_order_is_no_measurement(received: list[Receipt]) -> None:
    with pytest.raises(Broken):
        delays(PUBLISHED, received)


@asynccontextmanager
async def publisher(spoil: int | None) -> AsyncIterator[str]:
    """A log with a stream; it sends in place of the event at position `spoil` the one before again."""
    stored: list[dict[str, object]] = []
    grown = asyncio.Condition()

    async def publish(request: web.Request) -> web.Response:
        said = await request.json()
        async with grown:
            stored.append({"specversion": "1.0", "position": len(stored) + 1, **said})
            grown.notify_all()
        return web.json_response(stored[-1], status=201)

    async def each() -> AsyncIterator[dict[str, object]]:
        for number in count():
            async with grown:
                await grown.wait_for(lambda number=number: len(stored) > number)
            yield stored[number]
            if stored[number]["subject"] == "end":
                return

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        before: dict[str, object] = {}
        async for event in each():
            sent = before if event["position"] == spoil else event
            text = orjson.dumps(sent).decode()
            await response.write(f"id: epoch-{sent['position']}\ndata: {text}\n\n: a comment\n\n".encode())
            before = event
        return response

    async with served(web.post("/notifications", publish), web.get("/notifications/stream", stream)) as url:
        yield url


@asynccontextmanager
async def served(*routes: web.RouteDef) -> AsyncIterator[str]:
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def measure(spoil: int | None) -> list[float]:
    async with publisher(spoil) as url, aiohttp.ClientSession(url) as session:
        return await paced_delays(session, readers=3, events=5, gap=0.001)


def test_every_receipt_of_every_reader_is_measured() -> None:
    found = asyncio.run(measure(None))
    assert len(found) == 15
    assert min(found) >= 0


def test_a_stream_that_does_not_open_is_a_broken_promise_and_holds_nothing_up() -> None:
    async def away(_request: web.Request) -> web.Response:
        return web.Response(status=503)

    async def run() -> None:
        async with (
            asyncio.timeout(20),
            served(web.get("/notifications/stream", away)) as url,
            aiohttp.ClientSession(url) as session,
        ):
            await paced_delays(session, readers=3, events=1, gap=0.001)

    with pytest.raises(Broken, match="3 of 3 streams did not open"):
        asyncio.run(run())


def test_a_duplicate_does_not_hide_a_loss() -> None:
    with pytest.raises(Broken, match="4 of 5 events in 5 receipts"):
        asyncio.run(measure(3))


def test_a_publish_that_is_not_answered_is_a_broken_promise() -> None:
    answered = count()

    async def publish(request: web.Request) -> web.Response:
        if next(answered) == 2:
            assert request.transport is not None
            request.transport.close()
        return web.json_response({"position": 1}, status=201)

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await asyncio.sleep(20)
        return response

    async def run() -> None:
        routes = web.post("/notifications", publish), web.get("/notifications/stream", stream)
        async with asyncio.timeout(20), served(*routes) as url, aiohttp.ClientSession(url) as session:
            await paced_delays(session, readers=1, events=5, gap=0.001)

    with pytest.raises(Broken, match="a publish was not answered"):
        asyncio.run(run())


def test_two_loads_ask_for_different_ones_at_random() -> None:
    first, second = (_script({}, "GET", None, "/secrets/grown-@R@", 1000) for _ in range(2))
    seeds = [line for script in (first, second) for line in script.splitlines() if "randomseed" in line]
    assert len(seeds) == len(set(seeds)) == 2
    assert first.index("randomseed") < first.index("math.random(0, 999)")


@pytest.mark.parametrize(
    "broken", ["connect 1, read 0, write 0, timeout 0", "connect 0, read 0, write 0, timeout 64"]
)
def test_a_load_with_failures_has_no_rate(broken: str) -> None:
    with pytest.raises(NotRun, match="failures"):
        parse(f"  Socket errors: {broken}\nRequests/sec:    100.00\n")


def test_a_fault_of_one_row_leaves_what_the_others_measured(tmp_path: Path) -> None:
    def fail(_run: Run) -> Iterator[Result]:
        yield Result(READ, 1.5, "x")
        raise KeyError("position")

    [read, start] = _measured(Row("x", "y", (READ, START), fail), Run(tmp_path, 1, 1))
    assert (read.ok, start.ok, start.note) == (True, None, "KeyError: 'position'")


READ, LOOKUP, START = (
    Budget("read", "x", floor=1, aim=2),
    Budget("lookup", "x", floor=1, aim=2),
    Budget("start", "s", floor=8, aim=4, higher=False),
)


def test_neither_side_always_goes_first() -> None:
    went: list[str] = []

    def side(name: str, rate: float) -> float:
        went.append(name)
        return rate

    result = ratio(READ, lambda: side("ours", 6.0), lambda: side("theirs", 2.0), peer="x", rounds=4)
    rounds = [went[at : at + 2] for at in range(2, len(went), 2)]
    assert rounds == [["ours", "theirs"], ["theirs", "ours"]] * 2
    assert (result.value, result.spread, result.note) == (3.0, (3.0, 3.0), "6 against 2")


def test_a_row_that_is_measured_alone_leaves_the_others_in_the_file(tmp_path: Path) -> None:
    latest = tmp_path / "latest.json"
    report.write(
        [Result(READ, 1.5, "x", (1.0, 2.0), "of before"), Result(START, None, "", None, "why")], latest
    )
    before = json.loads(latest.read_text())
    again = report.joined([Result(READ, 3.0, "x"), Result(LOOKUP, 1.2, "x")], latest, [READ, LOOKUP, START])
    report.write(again, latest)
    after = json.loads(latest.read_text())
    assert [(row["name"], row["value"]) for row in after] == [("read", 3.0), ("lookup", 1.2), ("start", None)]
    assert after[2] == before[1]
    assert report.read(latest, [READ, LOOKUP, START]) == again


def test_a_file_of_before_rows_had_a_moment_is_read_all_the_same(tmp_path: Path) -> None:
    latest = tmp_path / "latest.json"
    row = {key: value for key, value in Result(READ, 1.5, "x").as_json().items() if key != "measured_at"}
    latest.write_text(json.dumps([row]))
    [kept, _] = report.joined([Result(LOOKUP, 1.2, "x")], latest, [READ, LOOKUP])
    assert (kept.value, kept.measured_at) == (1.5, "")


@pytest.mark.parametrize("text", [None, "", "{", "[1]", '{"name": 1}', '[{"name": "read"}]', "[[]]", "null"])
def test_a_file_that_is_missing_or_broken_is_begun_anew(tmp_path: Path, text: str | None) -> None:
    latest = tmp_path / "latest.json"
    if text is not None:
        latest.write_text(text)
    new = [Result(LOOKUP, 1.2, "x")]
    assert report.joined(new, latest, [READ, LOOKUP]) == new


def test_a_row_that_there_is_no_more_does_not_stay(tmp_path: Path) -> None:
    latest = tmp_path / "latest.json"
    report.write([Result(READ, 1.5, "x"), Result(LOOKUP, 1.5, "x")], latest)
    assert [one.budget for one in report.joined([], latest, [LOOKUP])] == [LOOKUP]


def test_a_promise_that_is_broken_is_a_missed_floor_and_not_a_row_that_was_not_run(tmp_path: Path) -> None:
    def lose(_run: Run) -> Iterator[Result]:
        yield Result(READ, 1.5, "x")
        raise Broken("a reader got 4 of 5 events")

    [read, start] = _measured(Row("x", "y", (READ, START), lose), Run(tmp_path, 1, 1))
    assert (read.ok, start.ok, start.value, start.note) == (True, False, None, "a reader got 4 of 5 events")
    latest = tmp_path / "latest.json"
    report.write([read, start], latest)
    assert report.read(latest, [READ, START]) == [read, start]
    assert "| start | broken |" in picture.table([start])


RAW = """main (main.py:1);serve (server.py:10);read (reading.py:5) 6
main (main.py:1);serve (server.py:10) 1
main (main.py:1);<lambda> (a b.py:3);read (reading.py:5);read (reading.py:5) 3

no count
"""


def test_a_profile_counts_each_sample_once_for_its_innermost_function_and_once_for_all_around_it() -> None:
    found = summed(RAW)
    assert found.samples == 10
    assert found.own == {"read (reading.py:5)": 9, "serve (server.py:10)": 1}
    assert found.within == {
        "main (main.py:1)": 10,
        "read (reading.py:5)": 9,
        "serve (server.py:10)": 7,
        "<lambda> (a b.py:3)": 3,
    }


def test_a_profile_shows_the_largest_shares_first() -> None:
    found = summed(RAW)
    _, _, first, second = table(found.within, found.samples, 2, "with all that it calls")
    assert first == "| 100.0% | `main (main.py:1)` |"
    assert second == "| 90.0% | `read (reading.py:5)` |"


@pytest.mark.parametrize(
    ("seconds", "chosen"),
    [
        ({"own": 1.0, "fast": 0.6, "slow": 2.0}, "fast"),
        ({"own": 1.0, "hardly": 0.95}, "own"),
        ({"own": 1.0}, "own"),
        ({}, "own"),
        ({"fast": 0.6}, "fast"),
    ],
)
def test_another_python_is_measured_with_only_if_it_is_clearly_faster(
    seconds: dict[str, float], chosen: str
) -> None:
    assert interpreter.fastest(seconds, "own") == chosen


def test_our_own_python_is_among_those_that_are_compared() -> None:
    assert interpreter.measure()[sys.executable] > 0


PROMISED = {
    "authenticated constant endpoint": (0.5, 0.7),
    "read a secret, against OpenBao": (1.3, 3),
    "read a secret, against bare FastAPI": (0.3, 0.5),
    "rotate without holders": (2, 4),
    "lookup, against bare FastAPI": (0.45, 0.7),
    "lookup, against etcd": (0.8, 1.5),
    "read of a held secret": (2, 0.5),
    "lookup of a known address": (2, 0.5),
    "publish, durable, 32 connections": (0.4, 0.7),
    "publish to receipt, p99": (50, 15),
    "rotate to used everywhere, 3 instances, p99": (500, 150),
    "rotate to used everywhere, 100 instances, p99": (3000, 1000),
    "1,000 readers, 100 events/s, p99": (2000, 500),
    "revoked to refused everywhere, p99": (1000, 250),
    "start until all is healthy": (8, 4),
    "resident memory of the largest service": (120, 80),
    "reads, 10 to 100,000 secrets": (1.5, 1.1),
    "publish, 0 to 1,000,000 events": (1.5, 1.1),
    "lookup, 10 to 10,000 instances": (1.5, 1.1),
}


def test_every_budget_is_measured_and_none_is_loosened_in_passing() -> None:
    budgets = [budget for row in all_rows() for budget in row.budgets]
    assert {budget.name: (budget.floor, budget.aim) for budget in budgets} == PROMISED
    assert all(budget.higher == (budget.aim > budget.floor) for budget in budgets)

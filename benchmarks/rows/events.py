"""Publishing, receiving and fan-out at the notification service; and how fast a rotation is everywhere."""

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.measure import Budget, Result, absolute, quantile, ratio
from benchmarks.paced import Published, Receipt, by_the_clock, delays
from benchmarks.peers.nats import nats
from benchmarks.processes import Broken, NotRun
from benchmarks.rows import REPLICAS, Row, Run
from benchmarks.wrk import load

_PUBLISH = Budget("publish, durable, 32 connections", "x NATS JetStream", floor=0.4, aim=0.7)
_RECEIPT = Budget("publish to receipt, p99", "ms", floor=50, aim=15, higher=False)
_FAN_OUT = Budget("1,000 readers, 100 events/s, p99", "ms", floor=2000, aim=500, higher=False)
_EVERYWHERE = Budget(
    f"rotate to used everywhere, {REPLICAS} instances, p99", "ms", floor=500, aim=150, higher=False
)
_CROWD = 100
_CROWDED = Budget(
    f"rotate to used everywhere, {_CROWD} instances, p99", "ms", floor=3000, aim=1000, higher=False
)
_EVENT = {"type": "bench.made", "subject": "bench", "data": {"text": "x" * 120}}
_CONNECTIONS = 32
_FRAME = re.compile(rb'id: [^\n]*-(\d+)\ndata: .*?"subject":"([^"]*)"')
_READERS = 1000
_END = "end"


def _publish(run: Run) -> Iterator[Result]:
    url = f"{run.stack.address('notification')}/notifications"
    headers = {**run.bearer(), "Content-Type": "application/json"}
    body = json.dumps(_EVENT)

    def ours() -> float:
        return load(
            url, connections=_CONNECTIONS, seconds=run.seconds, headers=headers, method="POST", body=body
        ).rate

    with nats(run.peer_folder("nats")) as server:
        payload = body.encode()
        yield ratio(
            _PUBLISH,
            ours,
            lambda: server.publish_rate(payload, connections=_CONNECTIONS, seconds=run.seconds),
            peer="NATS JetStream, sync always",
            rounds=run.rounds,
        )


def _receipt(run: Run) -> Iterator[Result]:
    def one_round() -> float:
        return asyncio.run(_latency(run, readers=1, events=200, gap=0.02))

    yield absolute(_RECEIPT, one_round, rounds=run.rounds, note="200 events, 50 a second, one reader")


def _fan_out(run: Run) -> Iterator[Result]:
    def one_round() -> float:
        return asyncio.run(_latency(run, readers=_READERS, events=500, gap=0.01))

    yield absolute(_FAN_OUT, one_round, rounds=min(run.rounds, 3), note="500 events to each; all arrived")


async def _latency(run: Run, *, readers: int, events: int, gap: float) -> float:
    """The 99th percentile from when publishing was due to receipt, in ms; `Broken` where a reader does not
    get every event once and in order.
    """
    connector = aiohttp.TCPConnector(limit=0)
    base, headers = run.stack.address("notification"), run.bearer()
    async with aiohttp.ClientSession(base, headers=headers, connector=connector) as session:
        return quantile(await paced_delays(session, readers=readers, events=events, gap=gap), 0.99) * 1000


async def paced_delays(
    session: aiohttp.ClientSession, *, readers: int, events: int, gap: float
) -> list[float]:
    """How late each event came to each reader, in seconds since it was due.

    Args:
        session: at the notification service.
        readers: streams that are open before the first event.
        events: how many are published.
        gap: seconds from one to the next.
    """
    kind = f"bench.latency-{time.monotonic_ns()}"

    async def publish(subject: str) -> int:
        try:
            async with session.post("/notifications", json={"type": kind, "subject": subject}) as answer:
                if answer.status != 201:
                    raise Broken(f"a publish was answered {answer.status}")
                return int((await answer.json())["position"])
        except aiohttp.ClientError as error:
            raise Broken(f"a publish was not answered: {error!r}") from error

    async def publish_due(number: int, due: float) -> tuple[int, Published]:
        return await publish(str(number)), Published(str(number), due)

    opened = [asyncio.Event() for _ in range(readers)]
    tasks = [asyncio.create_task(_read(session, kind, one)) for one in opened]
    await _until_open(opened, tasks)
    published = dict(await by_the_clock(events, gap, publish_due))
    # Behind everything: what came before it is all that a reader gets, be it too little or too much.
    await publish(_END)
    _, late = await asyncio.wait(tasks, timeout=60)
    for task in late:
        task.cancel()
    if late:
        raise Broken(f"{len(late)} of {readers} readers did not come to the end within 60 s")
    try:
        return [delay for task in tasks for delay in delays(published, task.result())]
    except aiohttp.ClientError as error:
        raise Broken(f"a stream broke off: {error!r}") from error


async def _until_open(opened: list[asyncio.Event], tasks: list[asyncio.Task[list[Receipt]]]) -> None:
    """Return once all streams are open; raise `Broken` if one ends before, or that takes a minute."""
    openings = asyncio.ensure_future(_all_set(opened))
    parts: list[asyncio.Task[Any]] = [openings, *tasks]
    await asyncio.wait(parts, timeout=60, return_when=asyncio.FIRST_COMPLETED)
    if openings.done():
        return
    for part in parts:
        part.cancel()
    await asyncio.gather(*parts, return_exceptions=True)
    raise Broken(f"{sum(not one.is_set() for one in opened)} of {len(opened)} streams did not open")


async def _all_set(events: list[asyncio.Event]) -> None:
    for one in events:
        await one.wait()


async def _read(session: aiohttp.ClientSession, kind: str, opened: asyncio.Event) -> list[Receipt]:
    received: list[Receipt] = []
    begun = b""
    async with session.get("/notifications/stream", params={"type": kind}, raise_for_status=True) as stream:
        opened.set()
        async for chunk in stream.content.iter_any():
            now = time.perf_counter()
            *frames, begun = (begun + chunk).split(b"\n\n")
            for position, subject in filter(None, map(_event, frames)):
                if subject == _END:
                    return received
                received.append(Receipt(position, subject, now))
    return received


def _event(frame: bytes) -> tuple[int, str] | None:
    """The position and the subject of an event in a stream; None for comments and bare bookmarks.

    Only what is needed is read: all readers share one process, which must not be what is measured.
    """
    found = _FRAME.match(frame)
    return (int(found[1]), found[2].decode()) if found else None


def _everywhere(run: Run) -> Iterator[Result]:
    policy = {"interval_seconds": 10**7, "overlap_seconds": 0, "deadline_seconds": 60}
    run.api.call("secrets-manager", "PUT", "/secrets/example-consumer/rotation-policy", json=policy)

    def one_round() -> float:
        return quantile([_rotated(run) for _ in range(20)], 0.99)

    yield absolute(
        _EVERYWHERE, one_round, rounds=run.rounds, note="20 rotations a round, until all say `uses`"
    )


def _crowded(run: Run) -> Iterator[Result]:
    policy = {"interval_seconds": 10**7, "overlap_seconds": 0, "deadline_seconds": 60}
    run.api.call("secrets-manager", "PUT", "/secrets/example-consumer/rotation-policy", json=policy)
    folder = run.peer_folder("holders")
    folder.mkdir(parents=True)
    more = _CROWD - REPLICAS
    command = [
        sys.executable,
        str(Path(__file__).parents[1] / "subjects" / "holders.py"),
        str(more),
        run.stack.address("gateway-lookup"),
        str(run.stack.state.folder / "identities" / "example-consumer"),
        str(folder),
    ]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            if process.stdout.readline() != "ready\n":
                raise NotRun("the instances did not start")
            yield absolute(
                _CROWDED,
                lambda: quantile([_rotated(run, holders=_CROWD) for _ in range(10)], 0.99),
                rounds=min(run.rounds, 3),
                note=f"10 rotations a round; {more} of the instances share a process",
            )
        finally:
            process.stdin.close()
            process.wait(30)


def _rotated(run: Run, holders: int = REPLICAS) -> float:
    started = time.perf_counter()
    rotation = run.api.call("secrets-manager", "POST", "/secrets/example-consumer/rotate", json={})
    while True:
        found = run.api.call("secrets-manager", "GET", f"/rotations/{rotation['rotation_id']}")
        state = found["state"]
        if state in ("draining", "retired"):
            if len(found["holders"]) < holders:
                raise NotRun(f"{len(found['holders'])} instances held the secret, not {holders}")
            return (time.perf_counter() - started) * 1000
        if time.perf_counter() - started > 30:
            raise Broken(f"a rotation was {state} after 30 s")


ROWS = (
    Row("publish", "NATS JetStream", (_PUBLISH,), _publish),
    Row("receipt", "", (_RECEIPT,), _receipt),
    Row("everywhere", "", (_EVERYWHERE,), _everywhere),
    Row("everywhere, crowded", "", (_CROWDED,), _crowded),
    Row("fan-out", "", (_FAN_OUT,), _fan_out),
)

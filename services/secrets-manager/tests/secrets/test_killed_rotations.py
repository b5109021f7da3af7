"""Killed before any of its commits, it goes on at the next start: nothing is lost or done twice."""

import asyncio
import functools
import itertools
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest
from killed_story import (
    EVENTS,
    EVENTS_BY_THEN,
    EVENTS_IN_THE_END,
    EVENTS_OF_RETURNS,
    INCIDENTS,
    LATER,
    OPERATIONS,
    PATIENCE,
    RETURNS,
    TURNS,
    VERSIONS,
    VERSIONS_BY_THEN,
    VERSIONS_IN_THE_END,
    VERSIONS_OF_RETURNS,
    Turn,
    becomes,
    come_back,
    meddle,
    outstay,
    told,
    wait_by,
)
from secrets_manager.repository_rotations import all_holders
from secrets_world import SERVICE, Clock, World, world

pytestmark = pytest.mark.anyio


async def converge(sm: World, folder: Path) -> None:
    """Do what an operator and two instances do, who say again what was not answered, until all is done."""
    holders = [sm.holder(1), sm.holder(2)]
    for holder in holders:
        await holder.read()
    path, headers = f"/secrets/{SERVICE}/rotate", {"Idempotency-Key": "the-one-rotation"}
    rotate = asyncio.create_task(sm.operator.post(path, headers=headers))
    async with asyncio.timeout(60):
        while True:
            assert not rotate.done() or rotate.result().status_code == 200, rotate.result().text
            for holder in holders:
                await holder.read(conditional=True)
                document = (await holder.read()).json()
                await holder.ack(document["versions"][0]["version"], "accepts")
                await holder.ack(document["version"], "uses")
            rotations = (await sm.operator.get("/rotations")).json()["items"]
            if rotations and rotations[0]["state"] == "retired" and len(events(folder / "told")) == 3:
                break
            await asyncio.sleep(0.02)
    assert (await rotate).json()["version"] == 2


def write_down(sm: World, folder: Path) -> None:
    """Have every event that is told written to a file, from the start."""

    def tell(event: dict) -> None:
        with (folder / "told").open("a") as file:
            file.write(json.dumps(event) + "\n")

    sm.tell = tell


def events(told: Path) -> list[tuple[str, int]]:
    """The events in the order of their first telling; what is told twice has the same id."""
    lines = told.read_text().splitlines() if told.exists() else []
    by_id = {}
    for line in lines:
        one = json.loads(line)
        by_id.setdefault(one["id"], (one["type"], one["data"]["version"]))
    return list(by_id.values())


async def base_in(tmp_path: Path) -> Path:
    """A state with a secret."""
    base = tmp_path / "base"
    base.mkdir()
    async with world(base) as sm:
        await sm.create()
        await sm.policy(overlap_seconds=0, deadline_seconds=PATIENCE)
    return base


async def begin_children() -> asyncio.subprocess.Process:
    here = Path(__file__).parent
    paths = [here, here.parents[1], here.parents[3] / "shared"]
    environment = {"PYTHONPATH": os.pathsep.join(map(str, paths)), "PATH": os.environ["PATH"]}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(here / "killed_process.py"),
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


async def end_of_child(
    children: asyncio.subprocess.Process, when: int | str, folder: Path, operation: str = ""
) -> int:
    assert children.stdin is not None
    assert children.stdout is not None
    children.stdin.write(f"{when}\t{folder}\t{operation}\n".encode())
    return int(await asyncio.wait_for(children.stdout.readline(), 90))


async def end(children: asyncio.subprocess.Process) -> None:
    assert children.stdin is not None
    children.stdin.close()
    assert await children.wait() == 0


async def test_a_rotation_that_is_killed_before_any_commit_goes_on_at_the_next_start(tmp_path: Path) -> None:
    base = await base_in(tmp_path)
    children = await begin_children()
    for commits in range(1, 60):
        folder = tmp_path / str(commits)
        shutil.copytree(base, folder)
        ended = await end_of_child(children, commits, folder)
        async with world(folder, opened=lambda sm, folder=folder: write_down(sm, folder)) as sm:
            await converge(sm, folder)
            versions = (await sm.operator.get(f"/secrets/{SERVICE}/versions")).json()["items"]
            assert [(version["version"], version["state"]) for version in versions] == [
                (2, "active"),
                (1, "retired"),
            ]
            assert len((await sm.operator.get("/rotations")).json()["items"]) == 1
        assert events(folder / "told") == [("secret.staged", 2), ("secret.rotated", 2), ("secret.retired", 1)]
        if ended == 0:
            assert commits > 8
            await end(children)
            return
        assert ended == -signal.SIGKILL
    pytest.fail("it never finished")


async def states(sm: World) -> list[tuple[int, str]]:
    versions = (await sm.operator.get(f"/secrets/{SERVICE}/versions")).json()["items"]
    return [(one["version"], one["state"]) for one in versions]


async def test_what_an_operator_does_is_done_once_though_it_is_killed_before_or_after_its_commit(
    tmp_path: Path,
) -> None:
    base = await base_in(tmp_path)
    children = await begin_children()
    # Before its commit nothing was done. After it, it was, and nobody has heard of it.
    for operation, when in itertools.product(OPERATIONS, ("before", "after")):
        folder = tmp_path / f"{operation}-{when}"
        shutil.copytree(base, folder)
        assert await end_of_child(children, when, folder, operation) == -signal.SIGKILL, operation
        assert found(folder, OPERATIONS[operation]) is (when == "after")
        async with world(folder, opened=lambda sm, folder=folder: write_down(sm, folder)) as sm:
            await meddle(sm)
            assert await states(sm) == VERSIONS, operation
            assert len(await sm.rotations(SERVICE)) == 4
            said = await told(events, folder / "told")
        assert (len(said), set(said)) == (len(EVENTS), EVENTS), operation
        assert said.index(("secret.aborted", 2)) < said.index(("secret.staged", 3))
    await end(children)


async def test_what_happens_by_itself_happens_once_though_it_is_killed_before_or_after_its_commit(
    tmp_path: Path,
) -> None:
    base = await base_in(tmp_path)
    children = await begin_children()
    for incident, when in itertools.product(INCIDENTS, ("before", "after")):
        folder = tmp_path / f"{incident}-{when}"
        shutil.copytree(base, folder)
        assert await end_of_child(children, when, folder, incident) == -signal.SIGKILL, incident
        assert found(folder, INCIDENTS[incident]) is (when == "after")
        clock = Clock()
        clock.advance(LATER)
        async with world(folder, clock=clock, opened=lambda sm, folder=folder: write_down(sm, folder)) as sm:
            await wait_by(sm)
            for _ in range(2):
                await sm.pass_time(1)
            assert await states(sm) == VERSIONS_BY_THEN, incident
            reasons = [one["reason"] for one in await sm.rotations(SERVICE)]
            assert reasons == ["scheduled", "rotate"], incident
            assert await sm.db.read(all_holders) == []
            assert sm.parts.presence.of_identity(SERVICE) == []
            said = await told(events, folder / "told", len(EVENTS_BY_THEN))
        assert said == EVENTS_BY_THEN, incident
    await end(children)


@pytest.mark.parametrize(
    ("story", "turns", "versions", "expected"),
    [
        (outstay, TURNS, VERSIONS_IN_THE_END, EVENTS_IN_THE_END),
        (come_back, RETURNS, VERSIONS_OF_RETURNS, EVENTS_OF_RETURNS),
    ],
    ids=["overlaps and deadlines", "who comes back while a version drains, and force then"],
)
async def test_what_waits_ends_as_it_must_though_it_is_killed_before_or_after_its_commits(
    tmp_path: Path,
    story: Callable[[World], Awaitable[None]],
    turns: dict[str, Turn],
    versions: list[tuple[int, str]],
    expected: list[tuple[str, int]],
) -> None:
    base = await base_in(tmp_path)
    children = await begin_children()
    for name, when in itertools.product(turns, ("before", "after")):
        turn = turns[name]
        folder = tmp_path / f"{name}-{when}"
        shutil.copytree(base, folder)
        assert await end_of_child(children, when, folder, name) == -signal.SIGKILL, name
        assert found(folder, turn.done) is (when == "after")
        # Not ahead of the moment of the kill: a deadline or an overlap that is not over must go on.
        clock = Clock()
        clock.advance(float((folder / "passed").read_text()))
        opened = functools.partial(write_down, folder=folder)
        async with world(folder, clock=clock, ttl=PATIENCE, opened=opened) as sm:
            state, of_the_one_before = turn.before if when == "before" else turn.after
            await becomes(sm, turn.version, state)
            assert (turn.version - 1, of_the_one_before) in await states(sm), (name, when)
            await story(sm)
            assert await states(sm) == versions, (name, when)
            ended = [one["state"] for one in await sm.rotations(SERVICE)]
            assert ended == ["retired"] * (len(versions) - 1), (name, when)
            await told(events, folder / "told", len(expected))
        # Only now, so that nothing that was told beyond these is missed.
        assert events(folder / "told") == expected, (name, when)
    await end(children)


def found(folder: Path, query: str) -> bool:
    """Whether what is asked for is in the database that was left."""
    with closing(sqlite3.connect(folder / "secrets_manager.db")) as connection:
        row = connection.execute(query).fetchone()
    return row is not None and bool(row[0])

"""Secrets managers that kill themselves (SIGKILL) just before their n-th commit, while a secret is rotated,
or before or after the commit of something that `killed_story` tells. What time they had then, by a clock
that only the story moves on, is left in `passed`.

Reads lines of n (or `before` or `after`), folder and what that is (or nothing), with tabs between them; for
each it forks one on that folder, and answers with a line of how that ended, as `os.waitstatus_to_exitcode`
says it. Forked, each starts with everything imported, and with what the libraries work out once: one
rotation that nobody kills is done before.
"""

import asyncio
import os
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

from killed_story import STORIES, told
from secrets_world import World, world
from sqlalchemy import event
from test_killed_rotations import converge, events, write_down


async def rotate(folder: Path, commits: int) -> None:
    left = commits

    def before_commit(_connection: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def begin(sm: World) -> None:
        write_down(sm, folder)
        event.listen(sm.db.engine, "commit", before_commit)

    async with world(folder, opened=begin) as sm:
        await converge(sm, folder)


async def tell(folder: Path, when: str, operation: str) -> None:
    """Tell the story of an operation, and die at its commit."""
    story = next(story for story in STORIES if operation in story.done)
    done = story.done[operation]
    reached: set[str] = set()

    def die_at(moment: str, sm: World, *, hit: bool) -> None:
        if hit and moment == when:
            (folder / "passed").write_text(str(sm.clock.offset))
            os.kill(os.getpid(), signal.SIGKILL)

    def begin(sm: World) -> None:
        write_down(sm, folder)
        dialect: Any = sm.db.engine.dialect
        commit = dialect.do_commit

        def do_commit(connection: Any) -> None:
            found = connection.cursor().execute(done).fetchone() if operation in reached else None
            hit = found is not None and bool(found[0])
            die_at("before", sm, hit=hit)
            commit(connection)
            die_at("after", sm, hit=hit)

        dialect.do_commit = do_commit

    async with world(folder, opened=begin, ttl=story.ttl) as sm:
        await story.tell(sm, reached.add)
        await told(events, folder / "told", story.events)


def child(folder: Path, when: str, operation: str) -> None:
    try:
        asyncio.run(tell(folder, when, operation) if operation else rotate(folder, int(when)))
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


async def rehearse(folder: Path) -> None:
    async with world(folder) as sm:
        await sm.create()
        await sm.policy(overlap_seconds=0)
    await rotate(folder, 0)


with tempfile.TemporaryDirectory() as scratch:
    state = Path(scratch) / "state"
    state.mkdir()
    asyncio.run(rehearse(state))
for line in sys.stdin:
    number, name, operation = line.rstrip("\n").split("\t")
    if (pid := os.fork()) == 0:
        child(Path(name), number, operation)
    sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n")
    sys.stdout.flush()

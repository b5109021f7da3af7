"""Secrets managers that kill themselves (SIGKILL) just before their n-th commit, while a secret is rotated.

Counted from the start, or from an operation of `killed_story`. Reads lines of n, folder and operation
(empty for the start), with tabs between them; for each it forks one on that folder, and answers with a line
of how that ended, as `os.waitstatus_to_exitcode` says it. Forked, each starts with everything imported, and
with what the libraries work out once: one rotation that nobody kills is done before.
"""

import asyncio
import os
import signal
import sys
import tempfile
import traceback
from pathlib import Path

from killed_story import meddle, told
from secrets_world import World, world
from sqlalchemy import event
from test_killed_rotations import converge, events, write_down


async def rotate(folder: Path, commits: int, operation: str) -> None:
    left = 0 if operation else commits

    def reached(one: str) -> None:
        nonlocal left
        if one == operation:
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
        if operation:
            await meddle(sm, reached)
            await told(events, folder / "told")
        else:
            await converge(sm, folder)


def child(folder: Path, commits: int, operation: str) -> None:
    try:
        asyncio.run(rotate(folder, commits, operation))
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


async def rehearse(folder: Path) -> None:
    async with world(folder) as sm:
        await sm.create()
        await sm.policy(overlap_seconds=0)
    await rotate(folder, 0, "")


with tempfile.TemporaryDirectory() as scratch:
    state = Path(scratch) / "state"
    state.mkdir()
    asyncio.run(rehearse(state))
for line in sys.stdin:
    number, name, operation = line.rstrip("\n").split("\t")
    if (pid := os.fork()) == 0:
        child(Path(name), int(number), operation)
    sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n")
    sys.stdout.flush()

"""Secrets managers that kill themselves (SIGKILL) just before their n-th commit, while a secret is rotated.

Reads lines of `<n> <folder>`; for each it forks one on that folder, and answers with a line of how that
ended, as `os.waitstatus_to_exitcode` says it. Forked, each starts with everything imported, and with what the
libraries work out once: one rotation that nobody kills is done before.
"""

import asyncio
import os
import signal
import sys
import tempfile
import traceback
from pathlib import Path

from secrets_world import World, world
from sqlalchemy import event
from test_killed_rotations import converge, write_down


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


def child(folder: Path, commits: int) -> None:
    try:
        asyncio.run(rotate(folder, commits))
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
    number, name = line.rstrip("\n").split(" ", 1)
    if (pid := os.fork()) == 0:
        child(Path(name), int(number))
    sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n")
    sys.stdout.flush()

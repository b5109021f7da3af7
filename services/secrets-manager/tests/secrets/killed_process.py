"""A secrets manager that kills itself (SIGKILL) just before its n-th commit, while a secret is rotated.

python killed_process.py <folder> <n>
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from secrets_world import World, world
from sqlalchemy import event
from test_killed_rotations import converge, write_down


async def main(folder: Path, commits: int) -> None:
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


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))

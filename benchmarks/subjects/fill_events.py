"""Gives a notification service that does not run so many more events: `fill_events.py DATABASE COUNT`."""

import asyncio
import sys
import time
from functools import partial

from fountain_common.db import Database
from notification.event import Draft
from notification.repository import Batch, store

_AT_ONCE = 10_000
_TYPES = 20
_SUBJECTS = 5000


async def fill(path: str, count: int) -> None:
    """Store events of many types and subjects, as the service itself does."""
    database = Database(f"sqlite:///{path}")
    now = time.time()
    for start in range(0, count, _AT_ONCE):
        drafts = [
            Draft.of(
                id=None,
                source=f"shop{number % 7}",
                type=f"grown.t{number % _TYPES}",
                subject=f"s{number % _SUBJECTS}",
                time=now,
                data={"number": number, "text": "x" * 60},
            )
            for number in range(start, min(start + _AT_ONCE, count))
        ]
        await database.write_rows(partial(store, batches=[Batch(drafts)], now=now))
    await database.close()


if __name__ == "__main__":
    asyncio.run(fill(sys.argv[1], int(sys.argv[2])))

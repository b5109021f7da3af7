import asyncio

from fountain_common.db import Database
from secrets_manager.writer_lock import WriterLock


def test_a_second_writer_waits_until_the_first_has_gone(tmp_path):
    asyncio.run(take_turns(tmp_path))


async def take_turns(tmp_path):
    db = Database(f"sqlite:///{tmp_path}/x.db")
    first, second = WriterLock(db, tmp_path), WriterLock(db, tmp_path)
    await first.acquire()
    waiting = asyncio.create_task(second.acquire())
    done, _ = await asyncio.wait([waiting], timeout=0.7)
    assert not done
    first.release()
    await asyncio.wait_for(waiting, 5)
    second.release()
    await db.close()

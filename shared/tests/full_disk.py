"""Fills the disk, looks, makes room, and looks again: run on a small disk by `test_full_disk`."""

import asyncio
import json
import logging
import sys
from pathlib import Path

import structlog
from fountain_common.db import Database
from fountain_common.errors import Unavailable
from sqlalchemy import text

PIECE = "x" * 3000


async def is_well(db: Database) -> bool:
    try:
        await db.check()
    except Unavailable:
        return False
    return True


async def main(folder: Path) -> dict[str, object]:
    ballast = folder / "ballast"
    ballast.write_bytes(bytes(2_000_000))
    db = Database(f"sqlite:///{folder}/x.db")
    with db.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE pieces (number INTEGER PRIMARY KEY, piece TEXT)")
    said: dict[str, object] = {"well_before": await is_well(db)}

    async def add(number: int) -> bool:
        try:
            row = {"number": number, "piece": PIECE}
            await db.write(
                lambda session: session.execute(text("INSERT INTO pieces VALUES (:number, :piece)"), row)
            )
        except Unavailable:
            return False
        return True

    async def kept() -> list[int]:
        return await db.read(
            lambda session: list(session.scalars(text("SELECT number FROM pieces ORDER BY number")))
        )

    acknowledged: list[int] = []
    for begin in range(0, 4000, 8):
        together = range(begin, begin + 8)
        answers = await asyncio.gather(*(add(number) for number in together))
        acknowledged += [number for number, answer in zip(together, answers, strict=True) if answer]
        if not all(answers):
            break
    said["refused"] = begin + 8 > len(acknowledged)
    said["kept_while_full"] = await kept() == acknowledged
    # The room that is left is taken, as it is by whatever filled the disk.
    with ballast.open("ab", buffering=0) as file:
        try:
            while file.write(bytes(512)):
                pass
        except OSError as error:
            said["reason"] = error.strerror
    said["well_while_full"] = await is_well(db)
    ballast.unlink()
    said["well_with_room"] = await is_well(db)
    said["writes_with_room"] = await add(5000)
    said["kept_in_the_end"] = await kept() == [*acknowledged, 5000]
    said["whole"] = await db.read(lambda session: session.scalar(text("PRAGMA integrity_check"))) == "ok"
    await db.close()
    return said


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    sys.stdout.write(json.dumps(asyncio.run(main(Path(sys.argv[1])))) + "\n")

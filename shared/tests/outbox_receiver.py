"""Who takes what an outbox hands on, and a look at what it still holds."""

import asyncio
from typing import Any

import orjson
from fountain_common.db import Database
from fountain_common.errors import Forbidden
from fountain_common.outbox import OUTBOX, enqueue
from sqlalchemy import select
from sqlalchemy.orm import Session


class Receiver:
    """Accepts events, unless told otherwise, and remembers what it was handed."""

    def __init__(self) -> None:
        self.accepted: list[str] = []
        self.keys: list[str] = []
        self.attempts = 0
        self.error: Exception | None = None
        self.refuses: set[str] = set()
        self._changed = asyncio.Event()

    async def __call__(
        self,
        type: str,  # noqa: A002 - the CloudEvents name of the field
        subject: str | None,
        data: Any,
        *,
        idempotency_key: str,
        recipient: str | None,
    ) -> None:
        self.attempts += 1
        self._changed.set()
        if type in self.refuses:
            raise Forbidden("Not you.")
        if self.error is not None:
            raise self.error
        self.accepted.append(type)
        self.keys.append(idempotency_key)

    async def until(self, true: Any) -> None:
        async with asyncio.timeout(5):
            while not true():
                self._changed.clear()
                await self._changed.wait()


class Together(Receiver):
    """Takes several events in one request too, all or none."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[str]] = []

    async def all(self, encoded: bytes) -> None:
        self.attempts += 1
        events = orjson.loads(encoded)
        types = [event["type"] for event in events]
        self.batches.append(types)
        if self.error is not None:
            raise self.error
        if not self.refuses.isdisjoint(types):
            raise Forbidden("Not you.")
        self.accepted += types
        self.keys += [event["id"] for event in events]
        self._changed.set()


def telling(*types: str) -> Any:
    def tell(session: Session) -> None:
        for name in types:
            enqueue(session, name, "subject", {"version": 1})

    return tell


async def left(db: Database) -> list[str]:
    return await db.read(
        lambda session: list(session.scalars(select(OUTBOX.c.type).order_by(OUTBOX.c.position)))
    )


async def until_left(db: Database, *types: str) -> None:
    async with asyncio.timeout(5):
        while await left(db) != list(types):
            await asyncio.sleep(0.005)

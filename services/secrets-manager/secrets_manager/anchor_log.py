"""The anchor in the event log, which whoever has this database does not have."""

from collections.abc import Awaitable, Callable
from typing import Final

import orjson
from fountain_common.errors import Problem
from fountain_common.http import Peers
from fountain_common.outbox import OUTBOX
from sqlalchemy import delete
from sqlalchemy.orm import Session

from secrets_manager.anchors import Anchor

EVENT: Final = "audit.anchored"
SOURCE: Final = "the event log"
_NOTIFICATION: Final = "notification"


class AnchorLog:
    """Reads and writes it.

    Not by the outbox: an event that waits there goes back with the database, and would be handed on from an
    older one, over a newer anchor.

    Args:
        peers: ask the notification service.
        publish: `platform.events.publish`.
    """

    def __init__(self, peers: Peers, publish: Callable[..., Awaitable[object]]) -> None:
        self._peers, self._publish = peers, publish

    async def newest(self) -> bytes | None:
        """Return the newest anchor as JSON, empty if there is none; None: the event log does not answer."""
        try:
            response = await self._peers.get(_NOTIFICATION, "/notifications/retained", params={"type": EVENT})
        except Problem:
            return None
        if response.status_code == 404:
            return b""
        if response.status_code != 200:
            return None
        return orjson.dumps(response.json().get("data"))

    async def put(self, anchor: Anchor) -> None:
        """Publish an anchor; once, however often it is put.

        Raises:
            Problem: it is not in the log, as far as is known.
        """
        key = f"{EVENT}-{anchor.epoch}-{anchor.head.seq}-{anchor.head.hash.hex()[:16]}"
        await self._publish(EVENT, None, anchor.document(), idempotency_key=key)


def drop_waiting(session: Session) -> None:
    """Take anchors back that an earlier version left in the outbox."""
    session.execute(delete(OUTBOX).where(OUTBOX.c.type == EVENT))

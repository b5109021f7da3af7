"""Keeping the audit anchored outside, and never over an anchor that contradicts it.

Whoever puts an older database back, with everything beside it, does not reach the event log. The anchor in it
is compared before a newer one takes its place; if it does not fit, it stays, and health says so until
somebody at the machine has looked (docs/runbook.md).
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from fountain_common.db import Database
from fountain_common.errors import Problem
from fountain_common.logging import get_logger
from sqlalchemy.orm import Session

from secrets_manager import repository_facts
from secrets_manager.anchor_log import SOURCE, AnchorLog
from secrets_manager.anchor_standing import Doubt, Standing
from secrets_manager.anchors import BESIDE, Anchor, Anchors

_AGAIN_SECONDS: Final = 5.0
_LAST_SECONDS: Final = 1.0


class Anchoring:
    """Compares at the start, anchors every so many seconds, and compares each time.

    Args:
        every: seconds between two anchors.
        monotonic: seconds.
    """

    def __init__(
        self,
        db: Database,
        anchors: Anchors,
        log: AnchorLog,
        *,
        every: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._db, self._anchors, self._log = db, anchors, log
        self._every, self._monotonic = every, monotonic
        self._doubts: dict[str, Doubt] = {}

    @property
    def doubts(self) -> list[Doubt]:
        """What contradicts the history in the database, as far as was heard."""
        return list(self._doubts.values())

    async def is_undoubted(self) -> bool:
        """Tell whether nothing contradicts it; a health check."""
        return not self._doubts

    async def run(self) -> None:
        """Go on for ever; an event log that does not answer is asked again soon."""
        due = self._monotonic() + self._every
        while True:
            heard = False
            try:
                if self._monotonic() >= due:
                    due = self._monotonic() + self._every
                    await self.anchor()
                heard = await self.compare()
            except Exception as error:  # noqa: BLE001 - the next turn may succeed, and must come
                get_logger().error("audit_not_anchored", exc_info=error)
            left = max(0.0, due - self._monotonic())
            await asyncio.sleep(left if heard else min(left, _AGAIN_SECONDS))

    async def anchor(self) -> None:
        """Anchor the head at this machine."""
        await self._anchors.anchor()

    async def compare(self) -> bool:
        """Look at the anchors that are kept elsewhere, and put the newest into the event log if that fits.

        Tells whether the event log answered.
        """
        self._note(BESIDE, await self._db.read(self._doubt_beside, long=True))
        content = await self._log.newest()
        if content is None:
            return False

        def read(session: Session) -> tuple[Anchor | None, Standing, int]:
            there = self._anchors.remembered(SOURCE, content)
            standing = self._anchors.standing(session, there)
            at = -1 if there is None or standing.past else there.known.head.seq
            return self._anchors.newest(session), standing, at

        newest, standing, at = await self._db.read(read, long=True)
        self._note(SOURCE, standing.doubt)
        if standing.doubt is not None or newest is None or newest.head.seq <= at:
            return True
        if standing.past:
            get_logger().warning("audit_anchors_another_history", before=content.decode())
        try:
            await self._log.put(newest)
        except Problem:
            return False
        await self._remember_put(newest)
        return True

    async def finish(self) -> None:
        """Anchor what was written until the stop, if the event log answers at once."""
        with suppress(Exception):
            async with asyncio.timeout(_LAST_SECONDS):
                await self.anchor()
                await self.compare()

    def _doubt_beside(self, session: Session) -> Doubt | None:
        return self._anchors.standing(session, self._anchors.beside()).doubt

    async def _remember_put(self, anchor: Anchor) -> None:
        seq = anchor.head.seq
        await self._db.write(lambda session: repository_facts.set_anchored_through(session, seq))

    def _note(self, source: str, doubt: Doubt | None) -> None:
        if doubt is None:
            if self._doubts.pop(source, None) is not None:
                get_logger().warning("audit_anchor_fits_again", source=source)
            return
        # Every time: whoever reads the log of today must find it.
        get_logger().error("audit_anchor_refused", source=source, seq=doubt.seq, reason=str(doubt))
        self._doubts[source] = doubt

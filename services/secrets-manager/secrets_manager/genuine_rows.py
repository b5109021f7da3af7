"""Whether all identities, keys and grants are such as were written here, and written last."""

import time
from collections.abc import Callable
from typing import Final

from fountain_common.db import Database
from fountain_common.logging import get_logger
from sqlalchemy.orm import Session

from secrets_manager.repository_identities import IdentityRows
from secrets_manager.row_state import RowState

_FRESH_SECONDS: Final = 5.0
_NAMED: Final = 20


class GenuineRows:
    """Goes over all of them now and then: a row put in, or put back, is seen.

    Args:
        rows: tells a row that was written here.
        state: tells whether they are those that were written last.
        monotonic: seconds.
    """

    def __init__(
        self,
        db: Database,
        rows: IdentityRows,
        state: RowState,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._db, self._rows, self._state, self._monotonic = db, rows, state, monotonic
        self._looked = float("-inf")
        self._refused: list[str] = []

    async def check(self) -> bool:
        """Tell whether all are, as of some seconds ago at most; a health check."""
        now = self._monotonic()
        if now - self._looked >= _FRESH_SECONDS:
            refused = await self._db.read(self._find, long=True)
            self._looked, self._refused = now, refused
            if refused:
                get_logger().error("rows_refused", rows=refused[:_NAMED])
        return not self._refused

    def _find(self, session: Session) -> list[str]:
        found = self._state.finding(session)
        older = [] if found is None else [f"older rows than record {found.first} left"]
        return self._rows.refused(session) + older

"""How many rows a statement changed."""

from typing import Any, cast

from sqlalchemy import CursorResult, Result


def changed(result: Result[Any]) -> int:
    """Return it; an UPDATE or DELETE always gives a result with a cursor, which its type does not say."""
    return int(cast("CursorResult[Any]", result).rowcount)

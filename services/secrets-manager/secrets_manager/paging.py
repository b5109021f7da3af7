"""Pages of a list: `limit` and an opaque `cursor` in, `items` and `next` out."""

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated, Generic, TypeVar

import orjson
from fastapi import Query
from fountain_common.errors import Unprocessable
from pydantic import BaseModel, Field

Item = TypeVar("Item")

NUMBERS = 2**31 - 1
"""The largest number of a version, a rotation or a segment: PostgreSQL's INTEGER refuses to compare more."""
POSITIONS = 2**63 - 1
"""The largest position of an audit record."""

Limit = Annotated[int, Query(ge=1, le=500, description="How many items at most.")]
Cursor = Annotated[
    str | None, Query(max_length=512, description="Where to go on: `next` of the page before.")
]


class Page(BaseModel, Generic[Item]):
    """A part of a list."""

    items: list[Item]
    next: str | None = Field(description="The cursor of the next page; null at the end.")


def encode(position: str | int) -> str:
    """Return the cursor that goes on behind a position."""
    return base64.urlsafe_b64encode(orjson.dumps(position)).decode().rstrip("=")


def text_position(cursor: str | None) -> str:
    """Return the position of a cursor in a list that is sorted by text; the start if there is none."""
    position = "" if cursor is None else _decode(cursor)
    if not isinstance(position, str):
        raise _not_ours()
    return position


def number_position(cursor: str | None, most: int = NUMBERS) -> int | None:
    """Return the position of a cursor in a list that is sorted by number, `most` at most; None if there is
    none.
    """
    position = None if cursor is None else _decode(cursor)
    if position is not None and not (isinstance(position, int) and abs(position) <= most):
        raise _not_ours()
    return position


def has_more(items: Sequence[object], limit: int) -> bool:
    """Whether a list that was asked for one item more than the limit goes on."""
    return len(items) > limit


def _decode(cursor: str) -> object:
    try:
        return orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError) as failure:
        raise _not_ours() from failure


def _not_ours() -> Unprocessable:
    return Unprocessable("This is no cursor of this list: take `next` of the page before, or leave it out.")

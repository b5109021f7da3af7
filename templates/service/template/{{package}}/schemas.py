"""Request bodies and answers."""

from datetime import datetime

from fountain_common import StrictModel
from pydantic import BaseModel, ConfigDict, Field


class NewItem(StrictModel):
    """An item to be kept."""

    title: str = Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")


class ItemView(BaseModel):
    """An item as it is stored."""

    model_config = ConfigDict(from_attributes=True)

    item_id: int
    title: str
    created_at: datetime


class ItemPage(BaseModel):
    """A page of items in the order of their ids, and where the next one begins."""

    items: list[ItemView]
    next: str | None = Field(description="What to send as `cursor` for the next page; null after the last.")

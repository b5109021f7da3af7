"""What the API answers, and what it takes beside events."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field


class EventOut(BaseModel):
    """A CloudEvent 1.0 as it is stored."""

    specversion: str = Field(examples=["1.0"])
    id: str
    source: str = Field(description="The identity that published it.")
    type: str
    subject: str | None = None
    time: datetime
    recipient: str | None = Field(default=None, description="The one identity that may see it.")
    expirytime: datetime | None = Field(default=None, description="When its data is erased.")
    datacontenttype: str | None = None
    data: Any = None
    position: int = Field(description="Its place in the log, without holes that are filled later.")


class EventPage(BaseModel):
    """Events in order."""

    items: list[EventOut]
    next: int | None = Field(description="What `after` must be for more; null at the end.")

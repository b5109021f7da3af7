"""An event: a CloudEvent 1.0 with its position in the log (design, section 6)."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Event(BaseModel):
    """Something that happened. A hint: what matters is fetched anew from whoever it is about."""

    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)

    specversion: Literal["1.0"] = "1.0"
    id: str = ""
    source: str = ""
    type: str
    subject: str | None = None
    time: datetime | None = None
    datacontenttype: str | None = None
    data: Any = None
    position: int | None = Field(default=None, description="Its place in the log; None before it is stored.")
    recipient: str | None = Field(
        default=None, description="The one identity that may see it; None is everyone."
    )
    expires_at: datetime | None = Field(default=None, description="When its data is erased.")

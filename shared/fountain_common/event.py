"""An event: a CloudEvent 1.0 with its position in the log."""

import json
import re
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field

from fountain_common.errors import PayloadTooLarge, Unprocessable
from fountain_common.names import service_name
from fountain_common.patterns import valid_type

MAX_EVENT_BYTES: Final = 64 * 1024
"""The largest CloudEvent, encoded, with everything that the log adds to it; larger things are fetched from
whoever they are about.
"""
MAX_SUBJECT_CHARACTERS: Final = 255
# What the log adds: id, source, time, expiry and position at their longest, and the names of all attributes.
_ENVELOPE_BYTES = 340
# C0, DEL and C1 are not text (CloudEvents 1.0, "Type System").
_NO_TEXT = re.compile("[\x00-\x1f\x7f-\x9f]")


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


def require_fit(event_type: str, subject: str | None, data: Any, recipient: str | None = None) -> bytes:
    """Return the data as JSON if the log can take such an event, whoever may publish it. It is asked before
    anything is written or sent, so that nothing waits that would be refused each time.

    Args:
        event_type, subject, data, recipient: of the event.

    Raises:
        Unprocessable: type, subject, data or recipient are none.
        PayloadTooLarge: over 64 KB, encoded.
    """
    around = _size_around(event_type, subject, recipient)
    # In a list, as it will be in more: one level less is left to it.
    encoded = _encoded([data])[1:-1]
    size = around + len(encoded)
    if size > MAX_EVENT_BYTES:
        raise PayloadTooLarge(
            f"An event has at most {MAX_EVENT_BYTES} bytes, its envelope included; this has about {size}. "
            "Publish where the rest can be fetched."
        )
    return encoded


@lru_cache(maxsize=4096)
def _size_around(event_type: str, subject: str | None, recipient: str | None) -> int:
    """Return how many bytes there are beside the data; raises as `require_fit`."""
    if not valid_type(event_type):
        raise Unprocessable("An event's type is words of letters, digits, _ and - with dots between them.")
    if subject is not None and not valid_subject(subject):
        raise Unprocessable("An event's subject is 1 to 255 characters without control characters, or none.")
    if recipient is not None:
        service_name(recipient)
    names = len(_encoded([subject or "", recipient or ""]))
    return _ENVELOPE_BYTES + len(event_type) + names + 1


def valid_subject(raw: str) -> bool:
    """Tell whether an event may be about this: 1 to 255 characters, none of them a control character."""
    return 0 < len(raw) <= MAX_SUBJECT_CHARACTERS and _NO_TEXT.search(raw) is None


def _encoded(value: Any) -> bytes:
    try:
        encoded = orjson.dumps(value)
        if b"null" in encoded:
            # There a number may have been that JSON has no word for: it must not become null on its way.
            json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise Unprocessable(
            "An event's data is JSON: objects with texts as names, lists, texts, finite numbers, true, false "
            "and null, not nested beyond 250 levels."
        ) from None
    return encoded

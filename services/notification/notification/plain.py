"""Reading a batch that is plain, as outboxes hand them on: each event has an id, a type, a subject and data.

The ordinary way judges each field of each event, and what it makes of it once more. Here a type is judged
once, and a text at a glance. Whatever is not plain is for the ordinary way, and so is all that is refused.
"""

from operator import itemgetter
from typing import Any

from fountain_common.errors import Forbidden
from fountain_common.patterns import valid_type
from fountain_common.tokens import Caller

from notification.authority import require_may_publish
from notification.event import Draft, TooLarge, timestamp
from notification.payloads import MAX_TEXT_CHARACTERS
from notification.routes_batches import MAX_EVENTS

_FIELDS = itemgetter("id", "type", "subject", "data")


def plain_drafts(events: Any, caller: Caller, now: float) -> list[Draft] | None:
    """Return what a body's JSON means, as `read_batch` and `batch_drafts` do; None if it is not plain."""
    if not isinstance(events, list) or not 0 < len(events) <= MAX_EVENTS:
        return None
    try:
        return _drafts(events, caller, timestamp(now))
    except (Forbidden, TooLarge, LookupError, TypeError, ValueError, RecursionError):
        return None


def _drafts(events: list[Any], caller: Caller, time: str) -> list[Draft] | None:
    source, judged, drafts = caller.subject, set[str](), list[Draft]()
    for event in events:
        id_, type_, subject, data = _FIELDS(event)
        if len(event) != 4 or not _are_plain(id_, subject) or data is None:
            return None
        if type_ not in judged:
            if not valid_type(type_):
                return None
            # Who may say it about nobody may say it about anybody.
            require_may_publish(source, caller.roles, type_, "")
            judged.add(type_)
        drafts.append(Draft.plain(id_, source, type_, subject, time, data))
    return drafts


def _are_plain(one: Any, other: Any) -> bool:
    """Tell whether these are texts as events have them; what can be printed is no control character."""
    return (
        isinstance(one, str)
        and isinstance(other, str)
        and 0 < len(one) <= MAX_TEXT_CHARACTERS
        and 0 < len(other) <= MAX_TEXT_CHARACTERS
        and (one + other).isprintable()
    )

"""An event on its way into the log, and one that is in it. Its JSON is made once and from then on only
copied.
"""

from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, NamedTuple, Self

import orjson
from fountain_common.event import MAX_EVENT_BYTES
from fountain_common.ids import new_id

_POSITION_BYTES = len(b',"position":%d}' % (2**63 - 1))


class TooLarge(Exception):
    """An event over the limit."""


def timestamp(unix: float) -> str:
    """Return a moment as RFC 3339 in UTC."""
    return datetime.fromtimestamp(unix, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Draft(NamedTuple):
    """An event that was accepted and has no position yet.

    Attributes:
        id, source, type: as in CloudEvents; `source` is the publisher.
        subject, recipient: "" is none.
        expires_at: unix seconds.
        key: the publisher's Idempotency-Key.
        made_id: the id was made here, so that nothing can be stored under it yet.
        fingerprint: of what was said, so that another thing under the same name is noticed.
        head: the CloudEvent's JSON without its closing brace.
    """

    id: str
    source: str
    type: str
    subject: str
    recipient: str
    expires_at: float | None
    key: str | None
    fingerprint: bytes
    head: bytes
    made_id: bool = False

    @classmethod
    def of(
        cls,
        *,
        id: str | None,  # noqa: A002 - the attribute's name in CloudEvents
        source: str,
        type: str,  # noqa: A002
        time: float,
        subject: str = "",
        data: Any = None,
        datacontenttype: str | None = None,
        recipient: str = "",
        expires_at: float | None = None,
        key: str | None = None,
    ) -> Self:
        """Encode an event. Without an id one is made. Raises `TooLarge`.

        `expires_at` is written as `expirytime`, as the CloudEvents extension calls it: names of attributes
        have no underscores there.
        """
        made_id = id is None
        id = id or new_id()  # noqa: A001
        attributes: dict[str, Any] = {"specversion": "1.0", "id": id, "source": source, "type": type}
        if subject:
            attributes["subject"] = subject
        attributes["time"] = timestamp(time)
        if recipient:
            attributes["recipient"] = recipient
        if expires_at is not None:
            attributes["expirytime"] = timestamp(expires_at)
        if data is not None:
            attributes["datacontenttype"] = datacontenttype or "application/json"
            attributes["data"] = data
        head, fingerprint = _head(attributes), _fingerprint([type, subject, recipient, expires_at, data])
        return cls(id, source, type, subject, recipient, expires_at, key, fingerprint, head, made_id)

    @classmethod
    def plain(cls, id: str, source: str, type: str, subject: str, time: str, data: Any) -> Self:  # noqa: A002
        """As `of`, for an event with all of these and nothing else, and its id as its key.

        `time` is its `timestamp`, which is made once for many. None is no data here.
        """
        attributes = {
            "specversion": "1.0",
            "id": id,
            "source": source,
            "type": type,
            "subject": subject,
            "time": time,
            "datacontenttype": "application/json",
            "data": data,
        }
        head, fingerprint = _head(attributes), _fingerprint([type, subject, "", None, data])
        return cls(id, source, type, subject, "", None, id, fingerprint, head)

    def at(self, position: int, now: float, accepted: float = 0.0) -> "Stored":
        """Give it its place in the log."""
        return Stored(
            position,
            self.id,
            self.source,
            self.type,
            self.subject,
            self.recipient,
            now,
            self.expires_at,
            b'%b,"position":%d}' % (self.head, position),
            accepted,
        )


def _head(attributes: dict[str, Any]) -> bytes:
    head = orjson.dumps(attributes)[:-1]
    if len(head) + _POSITION_BYTES > MAX_EVENT_BYTES:
        raise TooLarge
    return head


def _fingerprint(said: list[Any]) -> bytes:
    return blake2b(orjson.dumps(said, option=orjson.OPT_SORT_KEYS), digest_size=16).digest()


class Stored(NamedTuple):
    """An event of the log.

    Attributes:
        stored_at, expires_at: unix seconds.
        body: the CloudEvent's JSON, position included.
        accepted: monotonic seconds at which it came in; 0.0 if it is not from this run.
    """

    position: int
    id: str
    source: str
    type: str
    subject: str
    recipient: str
    stored_at: float
    expires_at: float | None
    body: bytes
    accepted: float = 0.0

    def expired(self, now: float) -> bool:
        """Tell whether its data must not be shown any more."""
        return self.expires_at is not None and self.expires_at <= now

    def at_time(self, now: float) -> "Stored":
        """Return it as it may be shown now: without its data once it has expired."""
        return self._replace(body=erased(self.body)) if self.expired(now) else self


def erased(body: bytes) -> bytes:
    """Return a CloudEvent's JSON without its data."""
    attributes = orjson.loads(body)
    attributes.pop("data", None)
    attributes.pop("datacontenttype", None)
    return orjson.dumps(attributes)

"""Server-sent events on the wire (pure; HTML Living Standard, section 9.2)."""

from dataclasses import dataclass

import orjson

HELLO = b": subscribed\n\n"


def heartbeat(epoch: str, position: int) -> bytes:
    """Return the sign of life; it moves the place from which the reader resumes, and is no event."""
    return b": heartbeat\nid: %b-%d\n\n" % (epoch.encode(), position)


def event_frame(epoch: str, position: int, body: bytes) -> bytes:
    """Return an event as it is sent; its JSON has no line breaks."""
    return b"id: %b-%d\ndata: %b\n\n" % (epoch.encode(), position, body)


def gap_frame(epoch: str, after: int, earliest: int, latest: int) -> bytes:
    """Return the notice that events before `earliest` are missing; the stream goes on with what there is
    behind `after`.
    """
    data = orjson.dumps({"epoch": epoch, "earliest_position": earliest, "latest_position": latest})
    return b"id: %b-%d\nevent: gap\ndata: %b\n\n" % (epoch.encode(), after, data)


@dataclass(frozen=True, slots=True)
class Resumption:
    """Where a stream begins.

    Attributes:
        after: events behind this position follow.
        gap: whether events are gone that the reader has not had, or may be.
    """

    after: int
    gap: bool


def resume(last_event_id: str | None, *, epoch: str, latest: int, removed_through: int) -> Resumption:
    """Return where a stream begins.

    Args:
        last_event_id: `<epoch>-<position>` of what the reader had last; None begins at the present.
        epoch: the log's.
        latest: the newest position of the log.
        removed_through: the newest position at which something was removed that the reader would have got.
    """
    if not last_event_id:
        return Resumption(latest, gap=False)
    theirs, _, raw = last_event_id.rpartition("-")
    known = theirs == epoch and raw.isascii() and raw.isdigit() and len(raw) < 19 and int(raw) <= latest
    if not known:
        return Resumption(removed_through, gap=True)
    # What is left behind a known place is delivered, even where something between is gone.
    return Resumption(int(raw), gap=int(raw) < removed_through)

"""Server-sent events, and where a stream begins."""

import orjson
from notification.sse import event_frame, gap_frame, resume


def test_an_event_is_one_frame_with_its_place() -> None:
    assert event_frame("ep", 7, b'{"a":1}') == b'id: ep-7\ndata: {"a":1}\n\n'


def test_a_gap_says_from_where_on_nothing_is_missing() -> None:
    frame = gap_frame("ep", 3, 6, 9).decode().splitlines()
    assert frame[:2] == ["id: ep-3", "event: gap"]
    assert orjson.loads(frame[2].removeprefix("data: ")) == {
        "epoch": "ep",
        "earliest_position": 6,
        "latest_position": 9,
    }


def start(last_event_id: str | None, removed: int = 0) -> tuple[int, bool]:
    found = resume(last_event_id, epoch="ep", latest=10, removed_through=removed)
    return found.after, found.gap


def test_without_a_last_event_it_begins_at_the_present() -> None:
    assert start(None) == start("") == (10, False)


def test_a_known_place_is_gone_on_from() -> None:
    assert start("ep-4") == (4, False)
    assert start("ep-10") == (10, False)
    assert start("ep-4", removed=4) == (4, False)


def test_what_was_removed_behind_it_is_told_and_what_is_left_still_comes() -> None:
    assert start("ep-4", removed=5) == (4, True)


def test_an_unknown_place_is_told_and_everything_that_is_whole_comes() -> None:
    for unknown in ("other-4", "ep-11", "ep-", "ep-x", "nonsense", "ep-٣", "-4", "ep-99999999999999999999"):
        assert start(unknown, removed=2) == (2, True), unknown

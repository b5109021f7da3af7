"""The newest events in memory."""

from hypothesis import given
from hypothesis import strategies as st
from notification.event import Draft, Stored
from notification.tail import Tail


def event(position: int, size: int = 10) -> Stored:
    return Draft.of(id=str(position), source="s", type="t", time=0, data="x" * size).at(position, 0)


def test_what_is_behind_a_position_is_answered_and_nothing_from_before_the_start() -> None:
    tail = Tail(start=4)
    tail.extend([event(6), event(9)])
    assert [each.position for each in tail.after(4) or ()] == [6, 9]
    assert [each.position for each in tail.after(6) or ()] == [9]
    assert tail.after(9) == []
    assert tail.after(3) is None


@given(st.lists(st.integers(1, 40), max_size=30), st.integers(0, 200))
def test_it_is_bounded_and_never_leaves_a_hole(groups: list[int], asked: int) -> None:
    tail, position = Tail(max_events=50, max_bytes=5000), 0
    for size in groups:
        tail.extend(event(position + number) for number in range(1, size + 1))
        position += size
    assert len(tail) <= 50
    found = tail.after(asked)
    if found is None:
        assert asked < tail.start
    else:
        assert [each.position for each in found] == list(range(asked + 1, position + 1))


def test_large_events_leave_sooner() -> None:
    tail = Tail(max_events=1000, max_bytes=10_000)
    tail.extend(event(number, 2000) for number in range(1, 20))
    assert len(tail) < 5


def test_erased_data_leaves_memory_too() -> None:
    tail = Tail()
    tail.extend([event(1), event(2)])
    tail.replace(Draft.of(id="1", source="s", type="t", time=0).at(1, 0))
    tail.replace(event(77))
    assert [b"xxx" in each.body for each in tail.after(0) or ()] == [False, True]


def test_what_the_log_removed_leaves_memory_too() -> None:
    tail = Tail()
    tail.extend(map(event, range(1, 6)))
    tail.remove([2, 4, 99])
    assert [each.position for each in tail.after(1) or ()] == [3, 5]

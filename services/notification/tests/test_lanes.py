"""The order of deliveries."""

from hypothesis import given
from hypothesis import strategies as st
from notification.lanes import Head, Lanes


def head(position: int, subject: str = "s", due: float = 0.0) -> Head:
    return Head(position, position, subject, 0, due)


def test_a_lane_gives_one_delivery_at_a_time() -> None:
    lanes = Lanes()
    lanes.offer(head(1))
    lanes.offer(head(2))
    assert lanes.take(0) == head(1)
    lanes.offer(head(2))
    assert lanes.take(0) is None
    lanes.finish("s", head(2))
    assert lanes.take(0) == head(2)


def test_other_lanes_go_on_while_one_waits_for_its_time() -> None:
    lanes = Lanes()
    lanes.offer(head(1, "a", due=100))
    lanes.offer(head(2, "b", due=5))
    assert lanes.take(4) is None
    assert lanes.next_due() == 5
    assert lanes.take(5) == head(2, "b", due=5)
    lanes.finish("b", None)
    assert lanes.next_due() == 100


def test_an_earlier_event_that_is_replayed_goes_first() -> None:
    lanes = Lanes()
    lanes.offer(head(9, due=50))
    lanes.offer(head(3))
    assert lanes.take(0) == head(3)
    assert lanes.next_due() is None


def test_the_same_delivery_with_a_new_time_takes_the_place_of_the_old() -> None:
    lanes = Lanes()
    lanes.offer(head(1, due=1000))
    lanes.offer(head(1, due=0))
    assert lanes.take(0) == head(1, due=0)
    assert lanes.take(2000) is None


def test_what_is_under_way_outlives_a_look_at_the_database() -> None:
    lanes = Lanes()
    lanes.offer(head(1, "a"))
    lanes.take(0)
    lanes.replace([head(1, "a"), head(2, "b")])
    assert lanes.take(0) == head(2, "b")
    assert lanes.take(0) is None
    assert len(lanes) == 2


def test_what_changed_during_a_look_at_the_database_is_neither_lost_nor_delivered_again() -> None:
    lanes = Lanes()
    lanes.offer(head(1, "done"))
    lanes.take(0)
    lanes.expect()
    found = [head(1, "done"), head(2, "waits"), head(3, "later", due=0)]
    lanes.finish("done", None)
    lanes.offer(head(4, "came"))
    lanes.offer(head(3, "later", due=50))
    lanes.replace(found)
    assert [lanes.take(0), lanes.take(0), lanes.take(0)] == [head(2, "waits"), head(4, "came"), None]
    assert lanes.next_due() == 50


@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from("abc")), unique_by=lambda item: item[0]))
def test_within_a_subject_the_order_is_that_of_the_log(events: list[tuple[int, str]]) -> None:
    waiting: dict[str, list[int]] = {}
    lanes = Lanes()
    for position, subject in sorted(events):
        waiting.setdefault(subject, []).append(position)
        lanes.offer(head(waiting[subject][0], subject))
    taken: dict[str, list[int]] = {}
    while (found := lanes.take(0)) is not None:
        taken.setdefault(found.subject, []).append(found.position)
        waiting[found.subject].pop(0)
        following = waiting[found.subject]
        lanes.finish(found.subject, head(following[0], found.subject) if following else None)
    assert all(positions == sorted(positions) for positions in taken.values())
    assert sum(map(len, taken.values())) == len(events)

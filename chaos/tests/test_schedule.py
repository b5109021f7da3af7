"""The schedule is drawn from its seed, reaches everything, and leaves parts time to get up."""

from collections import Counter
from itertools import pairwise

from chaos.schedule import LONGEST_AWAY_SECONDS, REST_SECONDS, SHORTEST_AWAY_SECONDS, Kind, Part, draw

PARTS = [Part("caddy"), Part("secrets-manager"), *(Part("example-consumer", number) for number in range(3))]


def test_the_same_seed_draws_the_same() -> None:
    assert draw(7, PARTS, 600) == draw(7, PARTS, 600)


def test_another_seed_draws_something_else() -> None:
    assert draw(7, PARTS, 600) != draw(8, PARTS, 600)


def test_a_longer_run_begins_as_a_shorter_one() -> None:
    short = draw(7, PARTS, 60)
    assert draw(7, PARTS, 600)[: len(short)] == short


def test_every_part_meets_every_kind() -> None:
    for seed in range(20):
        met = {(one.part, one.kind) for one in draw(seed, PARTS, 600)}
        assert met == {(part, kind) for part in PARTS for kind in Kind}


def test_parts_take_turns() -> None:
    for seed in range(20):
        counts = Counter(one.part for one in draw(seed, PARTS, 600))
        assert max(counts.values()) - min(counts.values()) <= 1


def test_nothing_is_broken_while_it_is_away_or_rests() -> None:
    for seed in range(20):
        until = dict.fromkeys(PARTS, 0.0)
        for one in draw(seed, PARTS, 600):
            assert one.at >= until[one.part] - 0.02
            until[one.part] = one.until + REST_SECONDS


def test_everything_is_over_in_time_and_in_order() -> None:
    for seed in range(20):
        drawn = draw(seed, PARTS, 600)
        assert all(0 <= one.at <= one.until <= 600 for one in drawn)
        assert [one.at for one in drawn] == sorted(one.at for one in drawn)


def test_who_is_stopped_or_frozen_is_away_for_a_while_and_others_are_not() -> None:
    for one in draw(7, PARTS, 600):
        if one.kind in (Kind.STOP, Kind.PAUSE):
            assert SHORTEST_AWAY_SECONDS <= one.seconds <= LONGEST_AWAY_SECONDS
        else:
            assert one.seconds == 0


def test_several_parts_are_away_together_at_times() -> None:
    drawn = draw(7, PARTS, 600)
    assert any(later.at < sooner.until for sooner, later in pairwise(drawn))


def test_in_no_time_nothing_is_broken() -> None:
    assert draw(7, PARTS, 0) == []

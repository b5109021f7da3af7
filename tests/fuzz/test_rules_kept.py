"""Pure rules about what is kept and sent: sealed values, and when something is tried again."""

import random
import string
from collections.abc import Callable
from typing import Any

import pytest
from fountain_common.outbox import LONGEST_WAIT_SECONDS, wait_seconds
from hypothesis import assume
from hypothesis import strategies as st
from notification.durations import parse_duration
from notification.schedule import (
    JITTER,
    LONGEST_RETRY_AFTER_SECONDS,
    next_attempt,
    parse_schedule,
    read_retry_after,
)
from secrets_manager import envelope
from secrets_manager.envelope import CannotOpenError
from test_rules import ForAll, rule

__all__ = ["rule"]

NOW = 1_800_000_000.0
keys = st.dictionaries(st.integers(0, 2**32 - 1), st.binary(min_size=32, max_size=32), min_size=1, max_size=3)
places = st.tuples(st.text(max_size=8), st.text(max_size=8))


def opens(do: Callable[[], bytes]) -> bytes | None:
    try:
        return do()
    except CannotOpenError:
        return None


def test_a_sealed_value_opens_in_its_place_with_its_key_and_nowhere_else(rule: ForAll) -> None:
    def check(ring: dict[int, bytes], here: Any, there: Any, value: bytes) -> None:
        assume(here != there)
        bound, elsewhere = envelope.associated_data(*here), envelope.associated_data(*there)
        key_id = min(ring)
        sealed = envelope.seal(key_id, ring[key_id], bound, value)
        assert envelope.open_sealed(ring, bound, sealed) == value
        assert opens(lambda: envelope.open_sealed(ring, elsewhere, sealed)) is None
        newer = max(ring)
        again = envelope.rewrap(ring, newer, bound, sealed)
        assert envelope.ring_key_of(again) == newer
        assert envelope.open_sealed({newer: ring[newer]}, bound, again) == value

    rule(keys, places, places, st.binary(max_size=60), do=check)


def test_whatever_lies_where_a_sealed_value_should_does_not_open(rule: ForAll) -> None:
    def check(ring: dict[int, bytes], junk: bytes, cut: int, place: Any) -> None:
        bound, key_id = envelope.associated_data(*place), min(ring)
        sealed = envelope.seal(key_id, ring[key_id], bound, b"value")
        assert opens(lambda: envelope.open_sealed(ring, bound, junk)) is None
        for altered in (sealed[: cut % len(sealed)], sealed[: cut % len(sealed)] + junk):
            assume(altered != sealed)
            assert opens(lambda altered=altered: envelope.open_sealed(ring, bound, altered)) is None  # type: ignore[misc]

    rule(keys, st.binary(max_size=150), st.integers(0, 999), places, do=check)


waits = st.lists(st.floats(0, 7 * 86400), min_size=1, max_size=12).map(tuple)


def test_a_retry_comes_after_its_wait_and_not_much_later_and_the_last_is_the_last(rule: ForAll) -> None:
    def check(schedule: tuple[float, ...], attempts: int, wish: float, luck: int) -> None:
        at = next_attempt(attempts, NOW, random.Random(luck), schedule, wish)
        if attempts >= len(schedule):
            assert at is None
            return
        wait, wished = schedule[attempts], min(wish, LONGEST_RETRY_AFTER_SECONDS)
        assert at is not None
        assert max(wait, wished) <= at - NOW + 1e-3
        assert at - NOW <= max(wait * (1 + JITTER), wished) + 1e-3

    rule(waits, st.integers(0, 14), st.floats(0, 1e12), st.integers(0, 99), do=check)


headers = (
    st.text(string.printable, max_size=40)
    | st.from_regex(
        r"[A-Z][a-z]{2}, [0-9]{1,20} [A-Z][a-z]{2} [0-9]{1,20} [0-9]{1,9}:[0-9]{2}:[0-9]{2} "
        r"([A-Z]{3}|[+-][0-9]{1,20})",
        fullmatch=True,
    )
    | st.builds(
        "{}, {:02} {} {} {:02}:{:02}:{:02} {}".format,
        st.sampled_from(["Mon", "x"]),
        st.integers(0, 40),
        st.sampled_from(["Jan", "Feb", "Dec"]),
        st.integers(-5, 20000),
        st.integers(0, 30),
        st.integers(0, 70),
        st.integers(0, 70),
        st.sampled_from(["GMT", "+9999", "-9999", "-0000", "EST", ""]),
    )
)


def test_whatever_a_receiver_asks_for_is_a_time_to_wait_or_nothing(rule: ForAll) -> None:
    def check(header: str) -> None:
        assert read_retry_after(header, NOW) >= 0

    rule(headers, do=check)


def test_a_schedule_is_read_or_refused(rule: ForAll) -> None:
    def check(raw: str) -> None:
        for read in (parse_duration, parse_schedule):
            try:
                said = read(raw)
            except ValueError:
                continue
            for seconds in said if isinstance(said, tuple) else (said,):
                assert 0 <= seconds < float("inf")

    rule(st.text("0123456789smhd., -+e_\u0664inf", max_size=12), do=check)


@pytest.mark.parametrize("jitter", [0.0, 0.5, 1.0])
def test_an_outbox_waits_longer_each_time_and_never_longest(rule: ForAll, jitter: float) -> None:
    def check(failures: int) -> None:
        wait = wait_seconds(failures, jitter)
        assert 0 < wait <= LONGEST_WAIT_SECONDS
        assert wait <= wait_seconds(failures + 1, jitter)

    rule(st.integers(1, 10**6), do=check)

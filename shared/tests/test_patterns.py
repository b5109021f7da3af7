"""Patterns over event types."""

import pytest
from fountain_common.patterns import matches, overlap, valid_pattern, valid_type
from hypothesis import given
from hypothesis import strategies as st

words = st.from_regex(r"[A-Za-z0-9_-]{1,8}", fullmatch=True)
types = st.lists(words, min_size=1, max_size=5).map(".".join)
few = st.sampled_from(["a", "b", "*"])
patterns = st.tuples(st.lists(few, min_size=1, max_size=3), st.booleans()).map(
    lambda drawn: ".".join([*drawn[0], ">"] if drawn[1] else drawn[0])
)


@pytest.mark.parametrize(
    ("pattern", "event_type", "covered"),
    [
        ("secret.rotated", "secret.rotated", True),
        ("secret.*", "secret.rotated", True),
        ("secret.*", "secret", False),
        ("secret.*", "secret.a.b", False),
        ("secret.>", "secret.a.b", True),
        ("secret.>", "secret", False),
        (">", "anything.at.all", True),
        ("*", "one", True),
        ("*", "one.two", False),
        ("*.rotated", "secret.rotated", True),
        ("a.*.c", "a.b.c", True),
        ("secret.*", "secretXrotated", False),
        ("rotation-overdue", "rotation-overdue", True),
    ],
)
def test_a_star_is_one_word_and_an_angle_is_the_rest(pattern: str, event_type: str, covered: bool) -> None:
    assert matches(pattern, event_type) is covered


@pytest.mark.parametrize(
    "text", ["", ".", "a.", ".a", "a..b", "a b", "a.>.b", "**", "a*", ">>", "é", "a\n", "a." * 200 + "a"]
)
def test_what_is_no_pattern_is_refused(text: str) -> None:
    assert not valid_pattern(text)
    with pytest.raises(ValueError, match="not a pattern"):
        matches(text, "a")


def test_a_pattern_is_no_type() -> None:
    assert valid_type("secret.rotated")
    assert not any(valid_type(text) for text in ("secret.*", ">", "", "a..b", "a\n"))


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ("secret.*", "secret.rotated", True),
        ("secret.*", "*.rotated", True),
        ("secret.*", ">", True),
        ("secret.*", "secret.>", True),
        ("secret.*", "secret.a.b", False),
        ("secret.*", "secret", False),
        ("secret.>", "secret", False),
        ("secret.*", "service.*", False),
        ("*", "secret.*", False),
    ],
)
def test_whether_a_type_can_be_of_two_patterns(one: str, other: str, both: bool) -> None:
    assert overlap(one, other) is overlap(other, one) is both


@given(st.lists(st.sampled_from("ab"), min_size=1, max_size=4).map(".".join), patterns, patterns)
def test_patterns_that_cover_one_type_overlap(event_type: str, one: str, other: str) -> None:
    if matches(one, event_type) and matches(other, event_type):
        assert overlap(one, other)


@given(types)
def test_every_type_is_covered_by_itself_by_stars_and_by_the_rest(event_type: str) -> None:
    assert matches(event_type, event_type)
    assert matches(">", event_type)
    assert matches(".".join("*" for _ in event_type.split(".")), event_type)


@given(types, types)
def test_a_pattern_without_wildcards_covers_nothing_else(one: str, other: str) -> None:
    assert matches(one, other) is (one == other)

"""Which events somebody wants, and may see."""

import pytest
from fountain_common.errors import Unprocessable
from hypothesis import given
from hypothesis import strategies as st
from notification.event import Draft, Stored
from notification.filters import MAX_PATTERNS, Filter, literal_prefix, read_about, read_patterns

WORD = st.from_regex(r"[a-z]{1,3}", fullmatch=True)
TYPE = st.lists(WORD, min_size=1, max_size=4).map(".".join)


def event(type_: str = "order.placed", **more: str) -> Stored:
    return Draft.of(id="1", source=more.pop("source", "shop"), type=type_, time=0, **more).at(1, 0)


def accepts(wanted: Filter, one: Stored) -> bool:
    return list(wanted.chosen([one])) == [one]


def test_an_event_for_one_is_seen_by_nobody_else_whatever_he_asks_for() -> None:
    private = event(recipient="alice")
    assert accepts(Filter("alice"), private)
    assert not accepts(Filter("admin"), private)
    assert not accepts(Filter("admin", ("order.>",), "shop"), private)


def test_type_source_and_subject_must_all_fit() -> None:
    found = event(subject="o1")
    assert accepts(Filter("me", ("order.*", "link.*"), "shop", "o1"), found)
    assert not accepts(Filter("me", ("link.*",)), found)
    assert not accepts(Filter("me", (), "other"), found)
    assert not accepts(Filter("me", (), None, "o2"), found)


def test_of_some_types_only_what_is_about_a_subject_is_wanted() -> None:
    wanted = Filter("me", ("secret.*", "order.*"), about=(("secret.*", "a"), ("secret.>", "b")))
    assert accepts(wanted, event("secret.rotated", subject="a"))
    assert accepts(wanted, event("secret.rotated", subject="b"))
    assert not accepts(wanted, event("secret.rotated", subject="c"))
    assert not accepts(wanted, event("secret.rotated"))
    assert accepts(wanted, event("order.placed", subject="c"))
    assert accepts(wanted, event("order.placed"))
    assert wanted.subjects("order.placed") is None
    both = Filter("me", subject="a", about=(("secret.*", "b"),))
    assert (both.subjects("secret.rotated"), both.subjects("order.placed")) == (frozenset(), {"a"})


def test_subjects_are_read_with_their_pattern() -> None:
    assert read_about(["secret.*:b:c", "secret.*:a,d", "secret.*:a,d"]) == (
        ("secret.*", "a,d"),
        ("secret.*", "b:c"),
    )
    assert read_about(None) == ()


@pytest.mark.parametrize("raw", ["secret.*", "secret.*:", ":a", "", "a..b:c", "a.b:\0", "a.b:" + "x" * 256])
def test_a_subject_without_a_pattern_is_refused(raw: str) -> None:
    with pytest.raises(Unprocessable, match="about"):
        read_about([raw])


def test_more_subjects_than_can_be_asked_for_are_refused() -> None:
    with pytest.raises(Unprocessable, match="At most"):
        read_about([f"secret.*:{number}" for number in range(MAX_PATTERNS + 1)])


def test_patterns_are_read_in_one_order_and_everything_is_none() -> None:
    assert read_patterns(["b.*,a.>", "b.*"]) == ("a.>", "b.*")
    assert read_patterns(None) == read_patterns([">", "a.b"]) == ()


@pytest.mark.parametrize("raw", ["a..b", ">.a", "a.b*", "a b", "*.>.x"])
def test_what_is_no_pattern_is_refused(raw: str) -> None:
    with pytest.raises(Unprocessable, match="pattern"):
        read_patterns([raw])


@given(
    type_=TYPE, pattern=st.lists(st.one_of(WORD, st.just("*")), min_size=1, max_size=4), rest=st.booleans()
)
def test_the_prefix_for_the_database_leaves_out_nothing_that_matches(
    type_: str, pattern: list[str], rest: bool
) -> None:
    raw = ".".join([*pattern, ">"] if rest else pattern)
    if Filter("me", (raw,)).wants_type(type_):
        assert type_.startswith(literal_prefix(raw))


SOME = st.builds(
    event,
    st.sampled_from(["a.x", "a.y", "b.x"]),
    subject=st.sampled_from(["", "one", "two"]),
    source=st.sampled_from(["shop", "other"]),
    recipient=st.sampled_from(["", "me", "she"]),
)
WISH = st.builds(
    Filter,
    st.sampled_from(["me", "she"]),
    st.sampled_from([(), ("a.*",), ("a.x", "b.>")]),
    st.sampled_from([None, "shop"]),
    st.sampled_from([None, "one"]),
    st.sampled_from([(), (("a.x", "one"),), (("a.*", "one"), ("a.y", "two"), (">", "two"))]),
)


@given(wanted=WISH, events=st.lists(SOME, max_size=12))
def test_of_many_events_those_are_chosen_that_would_be_alone(wanted: Filter, events: list[Stored]) -> None:
    def fits(one: Stored) -> bool:
        subjects = wanted.subjects(one.type)
        return (
            wanted.may_see(one)
            and wanted.source in (None, one.source)
            and wanted.wants_type(one.type)
            and (subjects is None or one.subject in subjects)
        )

    assert list(wanted.chosen(events)) == [one for one in events if fits(one)]

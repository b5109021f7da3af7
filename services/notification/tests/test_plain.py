"""A plain batch means the same by the short way, and everything else is left to the ordinary one."""

from typing import Any

import orjson
import pytest
from fountain_common.errors import Problem
from fountain_common.roles import Role
from fountain_common.tokens import Caller
from hypothesis import given
from hypothesis import strategies as st
from notification.event import Draft
from notification.plain import plain_drafts
from notification.routes_batches import MAX_EVENTS, batch_drafts, read_batch

NOW = 1_800_000_000.25
PLAIN: dict[str, Any] = {
    "id": "i",
    "type": "order.placed",
    "subject": "o1",
    "data": {"b": 1, "a": [None, "é"]},
}


def caller(name: str = "shop", *roles: Role) -> Caller:
    return Caller(
        name, roles, client_id=name, key_id="", token_id="t", audience=(), issued_at=NOW, expires_at=NOW + 60
    )


def ordinary(events: Any, who: Caller) -> list[Draft] | None:
    """Return what the ordinary way makes of it; None if it refuses."""
    try:
        return batch_drafts(read_batch(events), who, NOW)
    except (Problem, ValueError):
        return None


def short(events: Any, who: Caller) -> list[Draft] | None:
    return plain_drafts(orjson.loads(orjson.dumps(events)), who, NOW)


TEXT = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=5),
    st.sampled_from(["x", 'a"b\\', "a b", "x" * 255, "x" * 256, "é" * 255, "\x7f", "a\n", "\x85"]),
)
ANY = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        TEXT,
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=6,
)
TYPES = ["a", "a.b-c_d", "Secret.x", "secret.rotated", "service.up", "service.expired", "config.x", "message"]
TYPE = st.one_of(st.sampled_from([*TYPES, "a..b", "a b", "a\n", "x" * 255, "x" * 256, "é", ""]), ANY)
EVENT = st.fixed_dictionaries(
    {"id": TEXT | ANY, "type": TYPE, "subject": TEXT | ANY, "data": ANY},
    optional={
        "recipient": st.sampled_from(["shop", None]),
        "specversion": st.just("1.0"),
        "expires_at": st.just("2030-01-01T00:00:00Z"),
        "colour": st.just("red"),
    },
) | st.fixed_dictionaries(
    {},
    optional={
        "id": TEXT,
        "type": TYPE,
        "subject": TEXT,
        "data": ANY,
        "time": st.just("2030-01-01T00:00:00Z"),
    },
)
GOOD = st.fixed_dictionaries(
    {
        "id": st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=9),
        "type": st.sampled_from(["a", "a.b-c_d", "message"]),
        "subject": st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=9),
        "data": ANY.filter(lambda data: data is not None),
    }
)
WHO = st.builds(
    caller,
    st.sampled_from(["shop", "secrets-manager", "gateway-lookup", "notification"]),
    st.sampled_from([Role.SERVICE, Role.ADMIN]),
)


@given(events=st.lists(GOOD | EVENT | st.builds(lambda e, s: {**e, **s}, GOOD, EVENT), max_size=3), who=WHO)
def test_whatever_the_short_way_takes_it_takes_as_the_ordinary_one(events: Any, who: Caller) -> None:
    found = short(events, who)
    assert found is None or found == ordinary(events, who)


@given(events=st.lists(GOOD, min_size=1, max_size=4), who=WHO)
def test_what_is_plain_it_takes(events: Any, who: Caller) -> None:
    found = short(events, who)
    assert found is not None
    assert found == ordinary(events, who)


@pytest.mark.parametrize(
    "change",
    [
        {"id": ""},
        {"id": "x" * 256},
        {"id": "a\tb"},
        {"id": "\x7f"},
        {"id": 7},
        {"id": ["x"]},
        {"subject": ""},
        {"subject": "x" * 256},
        {"subject": "a\nb"},
        {"subject": None},
        {"subject": ["x"]},
        {"type": "a..b"},
        {"type": ""},
        {"type": "x" * 256},
        {"type": "a.b\n"},
        {"type": ["a"]},
        {"type": 5},
        {"type": "secret.rotated"},
        {"type": "Secret.rotated"},
        {"type": "service.registered"},
        {"type": "service.up"},
        {"type": "service.up", "subject": "shop"},
        {"type": "config.changed"},
        {"data": None},
        {"data": "x" * 70_000},
        {"recipient": "shop"},
        {"expires_at": "2030-01-01T00:00:00Z"},
        {"time": "2030-01-01T00:00:00Z"},
        {"colour": "red"},
    ],
    ids=str,
)
def test_one_that_is_not_plain_leaves_all_to_the_ordinary_way(change: dict[str, Any]) -> None:
    assert short([PLAIN], caller()) is not None
    assert short([PLAIN, {**PLAIN, **change}], caller()) is None


@pytest.mark.parametrize(
    "events",
    [[], {}, PLAIN, "order.placed", 7, None, ["x"], [["x"]], [7], [None], [PLAIN] * (MAX_EVENTS + 1)],
)
def test_what_is_no_batch_is_left_to_it_too(events: Any) -> None:
    assert short(events, caller()) is None
    assert short([PLAIN] * MAX_EVENTS, caller()) is not None


@pytest.mark.parametrize("missing", PLAIN)
def test_an_event_without_one_of_the_four_is_left_to_it(missing: str) -> None:
    less = {name: value for name, value in PLAIN.items() if name != missing}
    assert short([less], caller()) is None
    assert short([{**less, "time": None}], caller()) is None


def test_data_too_deep_to_be_encoded_is_left_to_it() -> None:
    deep: Any = 1
    for _ in range(400):
        deep = [deep]
    assert plain_drafts([{**PLAIN, "data": deep}], caller(), NOW) is None


@pytest.mark.parametrize("size", range(65_250, 65_450, 10))
def test_the_limit_is_the_same(size: int) -> None:
    events = [{**PLAIN, "data": "x" * size}]
    assert short(events, caller()) == ordinary(events, caller())

"""Pure rules, for all that may be given to them."""

import re
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from drawing import Strategies, for_all
from fountain_common.errors import Conflict, Forbidden, InvalidName
from fountain_common.names import service_name, snake
from fountain_common.openapi_303 import to_openapi_3_0_3
from fountain_common.patterns import matches, valid_pattern, valid_type
from gateway_lookup import leases
from gateway_lookup.leases import Claim, Key, Lease, State
from hypothesis import assume
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator
from secrets_manager import policies
from secrets_manager.policies import InvalidPolicyError, Policy

ROOT = Path(__file__).parents[2]
ForAll = Callable[..., None]


@pytest.fixture
def rule(seed: int, examples: int) -> ForAll:
    """Check a rule with twenty-five times the examples of a request: nothing is started for one."""

    def check(*kinds: Any, do: Callable[..., None]) -> None:
        strategies: Strategies = kinds
        for_all(strategies, seed, 25 * examples, do, shrink=True)

    return check


names = st.text(string.ascii_lowercase + string.digits + "-_", min_size=1, max_size=63)
anything = st.text() | names | st.text("aA0-_./\u0131\u212a\x00\n ", max_size=70)


def test_a_name_is_canonical_or_refused(rule: ForAll) -> None:
    def check(raw: str) -> None:
        try:
            name = service_name(raw)
        except InvalidName:
            assert not re.fullmatch("[a-z0-9][a-z0-9_-]{0,62}", raw)
        else:
            assert re.fullmatch("[a-z0-9][a-z0-9-]{0,62}", name)
            assert service_name(name) == name == service_name(snake(name))

    rule(anything, do=check)


words = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=3)
types = st.lists(words, min_size=1, max_size=6).map(".".join)
patterns = st.tuples(st.lists(words | st.just("*"), max_size=5), words | st.sampled_from("*>")).map(
    lambda parts: ".".join([*parts[0], parts[1]])
)


def _matches_by_words(pattern: list[str], words: list[str]) -> bool:
    """The same rule, told word by word."""
    if not pattern or not words:
        return not pattern and not words
    if pattern == [">"]:
        return True
    return pattern[0] in ("*", words[0]) and _matches_by_words(pattern[1:], words[1:])


def test_a_pattern_covers_what_it_covers_word_by_word(rule: ForAll) -> None:
    def check(pattern: str, event_type: str) -> None:
        assert valid_pattern(pattern)
        assert valid_type(event_type)
        assert matches(pattern, event_type) is _matches_by_words(pattern.split("."), event_type.split("."))

    rule(patterns, types, do=check)


def test_a_pattern_made_from_a_type_covers_it(rule: ForAll) -> None:
    def check(event_type: str, stars: int, cut: int) -> None:
        parts = ["*" if stars >> number & 1 else word for number, word in enumerate(event_type.split("."))]
        assert matches(".".join(parts), event_type)
        if 0 < cut < len(parts):
            assert matches(".".join([*parts[:cut], ">"]), event_type)

    rule(types, st.integers(0, 63), st.integers(0, 6), do=check)


def test_whatever_is_asked_a_pattern_is_valid_or_not_and_nothing_else(rule: ForAll) -> None:
    def check(text: str) -> None:
        assert valid_pattern(text) or not valid_type(text)
        if valid_type(text):
            assert matches(text, text)

    rule(anything, do=check)


claims = st.builds(
    Claim,
    service=st.sampled_from(["shop", "cart"]),
    instance=st.sampled_from(["a", "b", "c"]),
    identity=st.sampled_from(["shop", "cart"]),
    host=st.sampled_from(["10.0.0.1", "10.0.0.2"]),
    port=st.sampled_from([8000, 8001]),
    generation=st.integers(0, 3),
    draining=st.booleans(),
)
steps = st.lists(
    st.tuples(claims, st.sampled_from(["with", "without", "wrong"]), st.floats(0, 40)), max_size=25
)


def _live_at_one_address(found: dict[Key, Lease]) -> None:
    seen: dict[tuple[str, int], Lease] = {}
    for lease in found.values():
        if not lease.expired:
            assert lease.claim.address not in seen, (lease, seen)
            seen[lease.claim.address] = lease


def test_whoever_registers_no_address_has_two_and_nobody_loses_a_lease_to_a_stranger_or_a_ghost(
    rule: ForAll,
) -> None:
    def check(story: list[tuple[Claim, str, float]]) -> None:
        found: dict[Key, Lease] = {}
        told: dict[Key, str] = {}
        now = 0.0
        for claim, shown, later in story:
            now += later
            for expired in leases.sweep(list(found.values()), now).expired:
                found[expired.claim.key] = expired
            before = found.get(claim.key)
            secret = {"with": told.get(claim.key), "without": None, "wrong": "guess"}[shown]
            try:
                granted = leases.register(before, list(found.values()), claim, secret, now)
            except (Conflict, Forbidden):
                continue
            if before is not None:
                assert claim.identity == before.claim.identity
                assert claim.generation >= before.claim.generation
                assert claim.generation > before.claim.generation or shown == "with"
            for key in granted.displaced:
                gone = found.pop(key)
                assert gone.expired or (gone.claim.service, gone.claim.identity) == (
                    claim.service,
                    claim.identity,
                )
            found[claim.key] = granted.lease
            told[claim.key] = granted.secret or told[claim.key]
            assert granted.lease.expires_at > now
            _live_at_one_address(found)

    rule(steps, do=check)


def test_a_sweep_takes_only_what_is_late_and_never_most_of_it_unasked(rule: ForAll) -> None:
    def check(ends: list[float], now: float) -> None:
        held = [
            Lease(Claim("shop", str(number), "shop", "10.0.0.1", 8000 + number), b"", end)
            for number, end in enumerate(ends)
        ]
        swept = leases.sweep(held, now)
        late = {lease.claim.key for lease in held if lease.expires_at <= now}
        assert {lease.claim.key for lease in (*swept.expired, *swept.suspects)} == late
        assert not (swept.expired and swept.suspects)
        assert all(lease.state is State.EXPIRED for lease in swept.expired)
        if len(late) >= max(3, len(held) / 2):
            assert not swept.expired
        after = [leases.confirmed(lease, True, now) for lease in swept.suspects]
        assert not leases.sweep(after, now).suspects

    rule(st.lists(st.floats(0, 100), max_size=12), st.floats(0, 100), do=check)


fields = st.sampled_from(
    ["*", "*/5", "0", "1-3", "7", "30", "31", "2,4", "60", "L", "x", "", "-1", "*/0", "#"]
)
crons = st.lists(fields, min_size=1, max_size=6).map(" ".join) | st.text(max_size=20)
moments = st.floats(0, 4e9)


def test_a_policy_is_refused_or_names_a_later_moment_each_time(rule: ForAll) -> None:
    def check(cron: str | None, interval: int | None, moment: float) -> None:
        policy = Policy(cron, interval)
        try:
            policies.check(policy)
        except InvalidPolicyError:
            return
        first = policies.next_after(policy, moment)
        if cron is None and interval is None:
            assert first is None
            return
        assert first is not None
        assert first > moment
        second = policies.next_after(policy, first)
        assert second is not None
        assert second > first
        assert policies.due(first, first)
        assert not policies.due(second, first)

    rule(st.none() | crons, st.none() | st.integers(-5, 10**6), moments, do=check)


scalars = st.sampled_from(
    [
        {"type": "string"},
        {"type": ["string", "null"]},
        {"const": "a"},
        {"type": "null"},
        {"type": "integer", "exclusiveMinimum": 0},
        {"type": "string", "contentMediaType": "application/octet-stream"},
        {"$ref": "#/components/schemas/It", "description": "it"},
        {"examples": [{"const": 1}], "type": "object"},
        True,
    ]
)
schemas = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"anyOf": parts}),
        inner.map(lambda part: {"anyOf": [part, {"type": "null"}], "default": None}),
        st.lists(inner, min_size=1, max_size=2).map(lambda parts: {"type": "array", "prefixItems": parts}),
        st.dictionaries(st.sampled_from(["const", "a"]), inner).map(lambda them: {"properties": them}),
        inner.map(lambda part: {"patternProperties": {"^a": part}, "propertyNames": {"maxLength": 3}}),
    ),
    max_leaves=8,
)


def _document(body: Any, answer: Any, parameter: Any, summary: str) -> dict[str, Any]:
    media = {"application/json": {"schema": body, "examples": {"one": {"value": {"const": 1}}}}}
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://spec.openapis.org/oas/3.1/dialect/base",
        "info": {
            "title": "x",
            "version": "1",
            "summary": summary,
            "license": {"name": "n", "identifier": "MIT"},
        },
        "paths": {
            "/a/{b}": {
                "parameters": [{"name": "b", "in": "path", "required": True, "schema": parameter}],
                "post": {
                    "requestBody": {"content": media},
                    "responses": {"200": {"description": "d", "content": {"a/b": {"schema": answer}}}},
                },
            }
        },
        "webhooks": {"w": {"post": {"responses": {"200": {"description": "d"}}}}},
        "components": {"schemas": {"It": {"type": "string"}}, "pathItems": {}},
    }


def test_a_document_that_is_valid_3_1_becomes_one_that_is_valid_3_0_3_and_stays_it(rule: ForAll) -> None:
    def check(body: Any, answer: Any, parameter: Any) -> None:
        document = _document(body, answer, parameter, "s")
        assume(OpenAPIV31SpecValidator(document).is_valid())
        converted = to_openapi_3_0_3(document)
        assert not list(OpenAPIV30SpecValidator(converted).iter_errors()), converted
        assert to_openapi_3_0_3(converted) == converted

    rule(schemas, schemas, schemas, do=check)

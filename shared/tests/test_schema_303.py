import copy
from typing import Any

import pytest
from fountain_common.schema_303 import NULL, to_schema_3_0_3
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from openapi_schema_validator import OAS30Validator
from openapi_spec_validator import OpenAPIV30SpecValidator

REF = {"$ref": "#/components/schemas/Thing"}
EXAMPLES: list[tuple[str, Any, Any]] = [
    ("a boolean schema", True, {}),
    ("the one that nothing fits", False, {"not": {}}),
    ("a type or null", {"type": ["string", "null"]}, {"type": "string", "nullable": True}),
    (
        "an alternative or null",
        {"anyOf": [{"type": "string", "maxLength": 3}, {"type": "null"}], "title": "T", "default": None},
        {"type": "string", "maxLength": 3, "nullable": True, "title": "T", "default": None},
    ),
    (
        "an enumeration or null",
        {"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "null"}]},
        {"type": "string", "enum": ["a", None], "nullable": True},
    ),
    (
        "one value or null",
        {"anyOf": [{"type": "string", "const": "a"}, {"type": "null"}]},
        {"type": "string", "enum": ["a", None], "nullable": True},
    ),
    ("a reference or null", {"anyOf": [REF, {"type": "null"}]}, {"anyOf": [REF, NULL]}),
    (
        "several or null",
        {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]},
        {"anyOf": [{"type": "string"}, {"type": "integer"}, NULL]},
    ),
    (
        "alternatives that do not stand alone",
        {"anyOf": [{"type": "string"}, {"type": "null"}], "minLength": 2},
        {"anyOf": [{"type": "string"}, NULL], "minLength": 2},
    ),
    ("null alone", {"type": "null"}, NULL),
    ("several types", {"type": ["string", "integer"]}, {"anyOf": [{"type": "string"}, {"type": "integer"}]}),
    (
        "several types and null",
        {"type": ["string", "integer", "null"], "title": "T"},
        {"anyOf": [{"type": "string"}, {"type": "integer"}, NULL], "title": "T"},
    ),
    ("a constant", {"const": 1, "type": "integer"}, {"enum": [1], "type": "integer"}),
    (
        "a bound",
        {"type": "number", "exclusiveMinimum": 0},
        {"type": "number", "minimum": 0, "exclusiveMinimum": True},
    ),
    (
        "two bounds, the open one tighter",
        {"type": "number", "maximum": 9, "exclusiveMaximum": 5},
        {"type": "number", "maximum": 5, "exclusiveMaximum": True},
    ),
    (
        "two bounds, the closed one tighter",
        {"type": "number", "minimum": 9, "exclusiveMinimum": 5},
        {"type": "number", "minimum": 9, "exclusiveMinimum": False},
    ),
    ("examples", {"type": "integer", "examples": [1, 2]}, {"type": "integer", "example": 1}),
    (
        "a file",
        {"type": "string", "contentMediaType": "application/octet-stream"},
        {"type": "string", "format": "binary"},
    ),
    ("base64", {"type": "string", "contentEncoding": "base64"}, {"type": "string", "format": "byte"}),
    ("a reference with a description", {**REF, "description": "d"}, {"allOf": [REF], "description": "d"}),
    ("a reference with what goes", {**REF, "$comment": "c"}, REF),
    (
        "a tuple",
        {
            "type": "array",
            "prefixItems": [{"type": "integer"}, {"type": "string"}],
            "minItems": 2,
            "maxItems": 2,
        },
        {
            "type": "array",
            "items": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
            "minItems": 2,
            "maxItems": 2,
        },
    ),
    (
        "a tuple and what follows",
        {"type": "array", "prefixItems": [{"type": "integer"}], "items": {"type": "string"}},
        {"type": "array", "items": {"anyOf": [{"type": "integer"}, {"type": "string"}]}},
    ),
    (
        "a closed tuple",
        {"type": "array", "prefixItems": [{"type": "integer"}], "items": False},
        {"type": "array", "items": {"type": "integer"}, "maxItems": 1},
    ),
    (
        "an open tuple",
        {"type": "array", "prefixItems": [{"type": "integer"}]},
        {"type": "array", "items": {}},
    ),
    (
        "names by pattern",
        {"type": "object", "patternProperties": {"^a": {"type": "integer"}}},
        {"type": "object", "additionalProperties": {"type": "integer"}},
    ),
    ("an array of anything", {"type": "array"}, {"type": "array", "items": {}}),
    (
        "words that 3.0.3 does not have",
        {"type": "object", "propertyNames": {"pattern": "a"}, "if": {}},
        {"type": "object"},
    ),
    ("an empty list of required fields", {"type": "object", "required": []}, {"type": "object"}),
    ("extensions", {"type": "string", "x-order": {"const": 1}}, {"type": "string", "x-order": {"const": 1}}),
]


@pytest.mark.parametrize(
    ("given_", "wanted"), [row[1:] for row in EXAMPLES], ids=[row[0] for row in EXAMPLES]
)
def test_each_rule(given_: Any, wanted: Any) -> None:
    before = copy.deepcopy(given_)
    assert to_schema_3_0_3(given_) == wanted
    assert given_ == before, "the argument was changed"


@pytest.mark.parametrize("keyword", ["default", "example", "enum", "const", "examples"])
def test_data_is_not_mistaken_for_a_schema(keyword: str) -> None:
    data = {"const": 1, "type": ["string", "null"], "examples": [{"prefixItems": []}], "$ref": "x", "y": 1}
    value = [data] if keyword in ("enum", "examples") else data
    answer = to_schema_3_0_3({keyword: value})
    assert data in (answer.get("default"), answer.get("example"), *answer.get("enum", ()))


def test_properties_may_be_called_like_keywords() -> None:
    names = {
        name: {"type": "string"}
        for name in ("const", "examples", "type", "$ref", "x-a", "prefixItems", "enum")
    }
    assert to_schema_3_0_3({"type": "object", "properties": names}) == {"type": "object", "properties": names}


def test_the_rules_reach_everywhere() -> None:
    deep, flat = {"const": 1}, {"enum": [1]}
    answer = to_schema_3_0_3(
        {
            "properties": {"a": deep},
            "items": deep,
            "additionalProperties": deep,
            "not": deep,
            "allOf": [deep],
            "anyOf": [deep],
            "oneOf": [deep],
        }
    )
    assert answer == {
        "properties": {"a": flat},
        "items": flat,
        "additionalProperties": flat,
        "not": flat,
        "allOf": [flat],
        "anyOf": [flat],
        "oneOf": [flat],
    }


# --- for all schemas --------------------------------------------------------------------------------------

_json = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "abc"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
    max_leaves=5,
)
_types = st.sampled_from(["string", "integer", "number", "boolean", "object", "array", "null"])


def _object(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(
        {},
        optional={
            "type": _types | st.lists(_types, min_size=1, max_size=3, unique=True),
            "const": _json,
            "enum": st.lists(_json, min_size=1, max_size=3, unique_by=repr),
            "minimum": st.integers(-2, 2),
            "exclusiveMinimum": st.integers(-2, 2),
            "maximum": st.integers(-2, 2),
            "exclusiveMaximum": st.integers(-2, 2),
            "minLength": st.integers(0, 2),
            "title": st.just("T"),
            "examples": st.lists(_json, max_size=2),
            "properties": st.dictionaries(st.sampled_from(["a", "const"]), inner, max_size=2),
            "required": st.lists(st.sampled_from("ab"), max_size=2, unique=True),
            "additionalProperties": inner,
            "patternProperties": st.dictionaries(st.sampled_from(["^a", "b$"]), inner, max_size=2),
            "items": inner,
            "prefixItems": st.lists(inner, min_size=1, max_size=2),
            "maxItems": st.integers(0, 3),
            "allOf": st.lists(inner, min_size=1, max_size=2),
            "anyOf": st.lists(inner, min_size=1, max_size=3),
            "not": inner,
            "propertyNames": inner,
        },
    ).map(_consistent)


def _consistent(schema: dict[str, Any]) -> dict[str, Any]:
    # The validator asks, beyond the specification, that required fields are described.
    if "required" in schema:
        schema["required"] = [name for name in schema["required"] if name in schema.get("properties", {})]
    return schema


_schemas = st.recursive(
    st.booleans() | st.just({"type": "null"}) | _types.map(lambda name: {"type": name}), _object, max_leaves=6
)
_quick = hypothesis_settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))


def _document(schema: Any) -> dict[str, Any]:
    return {
        "openapi": "3.0.3",
        "info": {"title": "x", "version": "1"},
        "paths": {},
        "components": {"schemas": {"It": schema}},
    }


@_quick
@given(_schemas)
def test_every_answer_is_a_3_0_3_schema_and_final(schema: Any) -> None:
    answer = to_schema_3_0_3(schema)
    problems = list(OpenAPIV30SpecValidator(_document(answer)).iter_errors())
    assert not problems, (answer, problems)
    assert to_schema_3_0_3(answer) == answer


def _says_the_same(schema: Any) -> bool:
    """Leave out what is known not to: `not` turns wider into narrower, and patterns are taken to name all."""
    if isinstance(schema, list):
        return all(map(_says_the_same, schema))
    if isinstance(schema, dict):
        return not {"not", "patternProperties"} & schema.keys() and all(map(_says_the_same, schema.values()))
    return schema is not False


@_quick
@given(_schemas.filter(_says_the_same), _json)
def test_what_was_valid_stays_valid(schema: Any, instance: Any) -> None:
    if Draft202012Validator(schema).is_valid(instance):
        answer = to_schema_3_0_3(schema)
        assert OAS30Validator(answer).is_valid(instance), answer

"""A JSON Schema of OpenAPI 3.1 as the Schema Object of OpenAPI 3.0.3.

Where 3.0.3 has no word for a keyword (`if`, `propertyNames`, `contains`, ...) the keyword goes, and the
schema becomes wider: what was valid stays valid.
"""

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]

NULL: Json = {"type": "object", "enum": [None], "nullable": True}
"""Null and nothing else: 3.0.3 has no type for it, and `nullable` acts only beside a `type`."""

_COMPOSED = frozenset({"allOf", "anyOf", "oneOf", "not"})
_ANNOTATIONS = frozenset({"title", "description", "default", "example", "deprecated"}) | frozenset(
    {"readOnly", "writeOnly", "externalDocs", "xml"}
)
_KNOWN = (
    frozenset({"type", "format", "enum", "nullable", "discriminator"})
    | frozenset({"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf"})
    | frozenset({"minLength", "maxLength", "pattern", "minItems", "maxItems", "uniqueItems", "items"})
    | frozenset({"properties", "additionalProperties", "required", "minProperties", "maxProperties"})
    | _COMPOSED
    | _ANNOTATIONS
)


def to_schema_3_0_3(schema: Any) -> Any:
    """Return the schema as 3.0.3 has it; the argument is not changed."""
    if schema is True:
        return {}
    if schema is False:
        return {"not": {}}
    if not isinstance(schema, Mapping):
        return schema
    answer = _with_parts_changed(schema)
    for step in (_const, _tuple, _pattern_properties, _content, _bounds, _examples, _types, _alternatives):
        answer = step(answer)
    answer = {key: answer[key] for key in answer if key in _KNOWN or key.startswith("x-") or key == "$ref"}
    return _reference(_tidy(answer))


def _with_parts_changed(schema: Mapping[str, Any]) -> Json:
    """Return a copy with every schema below it changed, and null among alternatives still to be seen."""
    answer = dict(schema)
    for key in ("not", "items", "additionalProperties"):
        if isinstance(answer.get(key), Mapping):
            answer[key] = to_schema_3_0_3(answer[key])
    for key in ("properties", "patternProperties"):
        if isinstance(answer.get(key), Mapping):
            answer[key] = {name: to_schema_3_0_3(part) for name, part in answer[key].items()}
    for key in ("allOf", "prefixItems", "items"):
        if isinstance(answer.get(key), list):
            answer[key] = [to_schema_3_0_3(part) for part in answer[key]]
    for key in ("anyOf", "oneOf"):
        if isinstance(answer.get(key), list):
            answer[key] = [part if _is_null(part) else to_schema_3_0_3(part) for part in answer[key]]
    if isinstance(answer.get("not"), bool):
        answer["not"] = to_schema_3_0_3(answer["not"])
    return answer


def _is_null(schema: Any) -> bool:
    if (
        not isinstance(schema, Mapping)
        or "nullable" in schema
        or _COMPOSED & schema.keys()
        or "$ref" in schema
    ):
        return False
    if schema.get("type", "null") not in ("null", ["null"]):
        return False
    return "type" in schema or schema.get("enum") == [None] or ("const" in schema and schema["const"] is None)


def _const(schema: Json) -> Json:
    if "const" not in schema:
        return schema
    answer = {key: value for key, value in schema.items() if key != "const"}
    if schema["const"] is None and "type" not in schema:
        return {**answer, **NULL}
    return {**answer, "enum": [schema["const"]]}


def _tuple(schema: Json) -> Json:
    prefix = schema.get("prefixItems")
    rest = schema.get("items", True)
    if isinstance(rest, list):  # how drafts before 2020-12 spelt a tuple
        prefix, rest = rest, schema.get("additionalItems", True)
    answer = {key: value for key, value in schema.items() if key not in ("prefixItems", "additionalItems")}
    if prefix is None:
        if isinstance(rest, bool) and "items" in schema:
            answer["items"] = {}
            if rest is False:
                answer["maxItems"] = 0
        return answer
    length = len(prefix)
    if rest is False:
        answer["maxItems"] = min(length, schema.get("maxItems", length))
    closed = answer.get("maxItems", length + 1) <= length
    kinds = list(prefix) if closed else [*prefix, {} if rest in (True, False) else rest]
    distinct = [kind for index, kind in enumerate(kinds) if kind not in kinds[:index]]
    if {} in distinct or not distinct:
        answer["items"] = {}
    else:
        answer["items"] = distinct[0] if len(distinct) == 1 else {"anyOf": distinct}
    return answer


def _pattern_properties(schema: Json) -> Json:
    patterns = schema.get("patternProperties")
    if not isinstance(patterns, Mapping) or not patterns:
        return schema
    answer = {key: value for key, value in schema.items() if key != "patternProperties"}
    other = schema.get("additionalProperties", False)
    if other is True:
        return answer
    kinds = [*patterns.values(), *([other] if other is not False else [])]
    distinct = [kind for index, kind in enumerate(kinds) if kind not in kinds[:index]]
    answer["additionalProperties"] = distinct[0] if len(distinct) == 1 else {"anyOf": distinct}
    return answer


def _content(schema: Json) -> Json:
    answer = {
        key: value for key, value in schema.items() if key not in ("contentMediaType", "contentEncoding")
    }
    if str(schema.get("contentEncoding", "")).lower() in ("base64", "base64url"):
        answer.setdefault("format", "byte")
    elif schema.get("contentMediaType") == "application/octet-stream":
        answer.setdefault("format", "binary")
    return answer


def _bounds(schema: Json) -> Json:
    answer = dict(schema)
    for bound, exclusive, tighter in (
        ("minimum", "exclusiveMinimum", max),
        ("maximum", "exclusiveMaximum", min),
    ):
        limit = answer.get(exclusive)
        if limit is None or isinstance(limit, bool):
            continue
        other = answer.get(bound, limit)
        # The tighter of the two counts; at the same number that is the exclusive one.
        answer[bound] = tighter(limit, other)
        answer[exclusive] = answer[bound] == limit
    return answer


def _examples(schema: Json) -> Json:
    if "examples" not in schema:
        return schema
    answer = {key: value for key, value in schema.items() if key != "examples"}
    examples = schema["examples"]
    if isinstance(examples, list) and examples:
        answer.setdefault("example", examples[0])
    return answer


def _types(schema: Json) -> Json:
    """Say a list of types, and the type null, in the words of 3.0.3."""
    given = schema.get("type")
    names = given if isinstance(given, list) else [given]
    if not isinstance(given, list) and given != "null":
        return schema
    answer = {key: value for key, value in schema.items() if key != "type"}
    others = [name for name in names if name != "null"]
    allows_null = "null" in names and None in answer.get("enum", [None])
    if not others:
        answer.pop("enum", None)
        return {**answer, **(NULL if allows_null else {"not": {}})}
    if len(others) == 1:
        answer["type"] = others[0]
        if allows_null and not _COMPOSED & answer.keys():
            answer["nullable"] = True
            return answer
        if not allows_null:
            return answer
        del answer["type"]
    choice = {"anyOf": [*(_tidy({"type": name}) for name in others), *([NULL] if allows_null else [])]}
    if _COMPOSED & answer.keys():
        return {**answer, "allOf": [*answer.get("allOf", ()), choice]}
    return {**answer, **choice}


def _alternatives(schema: Json) -> Json:
    """Say "this or null" by `nullable` where that is enough, and by an alternative of its own elsewhere."""
    answer = schema
    for key in ("anyOf", "oneOf"):
        parts = answer.get(key)
        if not isinstance(parts, list) or not any(_is_null(part) for part in parts):
            continue
        rest = [part for part in parts if not _is_null(part)]
        outer = {name: value for name, value in answer.items() if name != key}
        if len(rest) == 1 and _takes_nullable(rest[0], outer):
            answer = {**rest[0], **outer, "nullable": True}
            if "enum" in rest[0] and None not in rest[0]["enum"]:
                answer["enum"] = [*rest[0]["enum"], None]
        elif rest:
            answer = {**outer, key: [*rest, NULL]}
        else:
            answer = {**outer, **NULL}
    return answer


def _takes_nullable(part: Any, outer: Json) -> bool:
    """Tell whether `part` may be merged into the schema around it, which may then say `nullable`."""
    if not isinstance(part, Mapping) or "type" not in part or "$ref" in part or _COMPOSED & part.keys():
        return False
    return all(name in _ANNOTATIONS or name.startswith("x-") for name in outer)


def _tidy(schema: Json) -> Json:
    answer = dict(schema)
    if answer.get("required") == []:
        del answer["required"]
    if answer.get("enum") == []:
        del answer["enum"]
        answer.setdefault("not", {})
    if answer.get("type") == "array":
        answer.setdefault("items", {})
    return answer


def _reference(schema: Json) -> Json:
    """In 3.0.3 whatever stands beside `$ref` is ignored: it moves around an `allOf`."""
    if "$ref" not in schema or len(schema) == 1:
        return schema
    answer = {key: value for key, value in schema.items() if key != "$ref"}
    answer["allOf"] = [{"$ref": schema["$ref"]}, *answer.get("allOf", ())]
    return answer

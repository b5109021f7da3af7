"""Requests with marks in them, by which to see whether an answer repeats what was sent (`echoes`)."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

import orjson
from echoes import ALL_SECRET, INPUT, NAMES, SECRET
from wire import Headers

_MARK = SECRET.encode()
CREDENTIALS: dict[str, Headers] = {
    "a marked token": [(b"Authorization", b"Bearer " + _MARK)],
    "a token with a marked part": [(b"Authorization", b"Bearer a." + _MARK + b".c")],
    "a marked credential of another kind": [(b"Authorization", b"Digest " + _MARK)],
    "a marked key": [(b"X-API-Key", _MARK)],
    "a marked key of the right form": [(b"X-API-Key", b"fnt_abcdefghijkl_" + _MARK)],
}
FORM = "application/x-www-form-urlencoded"
QUERY = urlencode(dict.fromkeys(sorted(NAMES), SECRET))
LEASE: Headers = [(b"X-Fountain-Lease", _MARK)]
_FITTING: dict[str, Any] = {
    "string": "example-consumer", "integer": 1, "number": 1.0, "boolean": True, "array": [], "object": {}
}  # fmt: skip
_DEEP = 6


def bodies(
    name: str, definition: Mapping[str, Any], document: Mapping[str, Any]
) -> Iterator[tuple[str, bytes, bytes]]:
    """Return bodies for an operation, with marks in all fields and in the secret ones alone: what it is,
    its media type, and the body itself.

    Args:
        name: its operationId.
        definition: of the operation, in this document.
        document: the description of its service.
    """
    for kind, content in definition.get("requestBody", {}).get("content", {}).items():
        for what, fits in (("marks in all fields", False), ("marks in secret fields", True)):
            body = _filled(content["schema"], document, secret=name in ALL_SECRET, fits=fits)
            if kind == FORM:
                yield f"{what} of a form", kind.encode(), urlencode(body).encode()
            else:
                yield what, kind.encode(), orjson.dumps(body)
                yield f"{what}, cut off", kind.encode(), orjson.dumps(body)[:-1]


def _filled(
    schema: Mapping[str, Any], document: Mapping[str, Any], *, secret: bool, fits: bool, depth: int = 0
) -> Any:
    """Return something for a schema. What is secret is marked; the rest only if it need not fit."""

    def part(name: str, of: Mapping[str, Any]) -> Any:
        return _filled(of, document, secret=secret or name in NAMES, fits=fits, depth=depth + 1)

    if depth > _DEEP:
        return None
    if (other := _other(schema, document)) is not None:
        return part("", other)
    if "properties" in schema:
        return {name: part(name, of) for name, of in schema["properties"].items()}
    if isinstance(schema.get("additionalProperties"), Mapping):
        return {"A": part("A", schema["additionalProperties"])}
    if schema.get("type") == "array":
        return [part("", schema.get("items", {}))]
    if secret:
        return SECRET
    return schema.get("enum", [_FITTING.get(schema.get("type", ""), {})])[0] if fits else INPUT


def _other(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Any:
    """Return the schema that one leads to: what it refers to, or the first that it is made of; or None."""
    if "$ref" in schema:
        place: Any = document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            place = place[step]
        return place
    return next((schema[word][0] for word in ("allOf", "anyOf", "oneOf") if word in schema), None)

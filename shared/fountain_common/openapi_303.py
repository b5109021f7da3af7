"""OpenAPI 3.1 to 3.0.3: a pure function over what FastAPI generates.

The two versions differ in what a schema is: 3.1 takes JSON Schema whole, 3.0.3 a dialect of an older draft.
Only what stands where a schema stands is rewritten (module `schema_303`); data inside `example`, `default`
and `enum` may look like a schema and is left alone.
Sources: OpenAPI 3.0.3, "Schema Object"; JSON Schema 2020-12.
"""

from collections.abc import Callable, Mapping
from typing import Any

from fountain_common.schema_303 import to_schema_3_0_3

Json = dict[str, Any]

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


def to_openapi_3_0_3(document: Mapping[str, Any]) -> Json:
    """Return a 3.0.3 document that says the same, as far as 3.0.3 can; the argument is not changed.

    What 3.0.3 has no place for goes: `webhooks` to `x-webhooks`, `info.summary`, an SPDX `identifier`,
    `jsonSchemaDialect` and `components.pathItems`. Applied to its own answer it changes nothing.
    """
    answer = {
        key: value for key, value in document.items() if key not in ("webhooks", "jsonSchemaDialect", "$self")
    }
    answer["openapi"] = "3.0.3"
    answer["info"] = _info(document.get("info", {}))
    answer["paths"] = _extensible(_path_item)(document.get("paths", {}))
    if "webhooks" in document:
        answer["x-webhooks"] = _map(_path_item)(document["webhooks"])
    if "components" in document:
        answer["components"] = _components(document["components"])
    return answer


def _with(thing: Any, **changes: Callable[[Any], Any]) -> Any:
    """Return a copy of an object with some members changed; a reference is an object of its own kind."""
    if not isinstance(thing, Mapping):
        return thing
    if "$ref" in thing:
        return {"$ref": thing["$ref"]}
    return {key: changes[key](value) if key in changes else value for key, value in thing.items()}


def _info(info: Mapping[str, Any]) -> Json:
    answer = {key: value for key, value in info.items() if key != "summary"}
    if isinstance(answer.get("license"), Mapping):
        answer["license"] = {key: value for key, value in answer["license"].items() if key != "identifier"}
    return answer


def _list(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda things: [change(thing) for thing in things] if isinstance(things, list) else things


def _map(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda things: (
        {name: change(thing) for name, thing in things.items()} if isinstance(things, Mapping) else things
    )


def _extensible(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Change a map whose names are fixed in form, so that `x-...` beside them is an extension: data."""
    return lambda things: (
        {name: thing if name.startswith("x-") else change(thing) for name, thing in things.items()}
        if isinstance(things, Mapping)
        else things
    )


def _media_type(media: Any) -> Any:
    if not isinstance(media, Mapping):
        return media
    # 3.2 describes a stream by its items; before that, a stream has the schema of one of them.
    renamed = {
        ("schema" if key == "itemSchema" and "schema" not in media else key): media[key] for key in media
    }
    renamed.pop("itemSchema", None)
    return _with(renamed, schema=to_schema_3_0_3, encoding=_map(_encoding))


def _encoding(encoding: Any) -> Any:
    return _with(encoding, headers=_map(_parameter))


def _parameter(parameter: Any) -> Any:
    """Change a parameter or a header: both say what they take by `schema` or by `content`."""
    return _with(parameter, schema=to_schema_3_0_3, content=_map(_media_type))


def _request_body(body: Any) -> Any:
    return _with(body, content=_map(_media_type))


def _response(response: Any) -> Any:
    return _with(response, content=_map(_media_type), headers=_map(_parameter))


def _operation(operation: Any) -> Any:
    return _with(
        operation,
        parameters=_list(_parameter),
        requestBody=_request_body,
        responses=_extensible(_response),
        callbacks=_map(_callback),
    )


def _callback(callback: Any) -> Any:
    if isinstance(callback, Mapping) and "$ref" in callback:
        return {"$ref": callback["$ref"]}
    return _extensible(_path_item)(callback)


def _path_item(item: Any) -> Any:
    if not isinstance(item, Mapping):
        return item
    answer = {
        key: _operation(value) if key in _METHODS else value
        for key, value in item.items()
        # 3.2 adds a method and a map of further ones; 3.0.3 knows neither.
        if key not in ("query", "additionalOperations")
    }
    if "parameters" in answer:
        answer["parameters"] = _list(_parameter)(answer["parameters"])
    return answer


def _components(components: Mapping[str, Any]) -> Json:
    changes: dict[str, Callable[[Any], Any]] = {
        "schemas": _map(to_schema_3_0_3),
        "parameters": _map(_parameter),
        "headers": _map(_parameter),
        "requestBodies": _map(_request_body),
        "responses": _map(_response),
        "callbacks": _map(_callback),
    }
    return {
        key: changes[key](value) if key in changes else value
        for key, value in components.items()
        if key not in ("pathItems", "mediaTypes")
    }

import copy
from typing import Any

import pytest
from fountain_common.openapi_303 import to_openapi_3_0_3
from openapi_spec_validator import OpenAPIV30SpecValidator

OLD, NEW = {"const": 1}, {"enum": [1]}


def _document(**more: Any) -> dict[str, Any]:
    return {"openapi": "3.1.0", "info": {"title": "T", "version": "1"}, "paths": {}, **more}


def _operation(**more: Any) -> dict[str, Any]:
    operation = {"responses": {"200": {"description": "d"}}, **more}
    answer = to_openapi_3_0_3(_document(paths={"/x": {"post": operation}}))
    OpenAPIV30SpecValidator(answer).validate()
    return answer["paths"]["/x"]["post"]


def test_what_3_0_3_has_no_place_for_goes() -> None:
    answer = to_openapi_3_0_3(
        {
            "openapi": "3.1.0",
            "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
            "info": {
                "title": "T",
                "version": "1",
                "summary": "S",
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "paths": {},
            "webhooks": {"made": {"post": {"requestBody": {"content": {"a/b": {"schema": OLD}}}}}},
            "components": {"pathItems": {"x": {}}, "schemas": {"x-name": OLD}},
        }
    )
    OpenAPIV30SpecValidator(answer).validate()
    assert answer == {
        "openapi": "3.0.3",
        "info": {"title": "T", "version": "1", "license": {"name": "Apache-2.0"}},
        "paths": {},
        "x-webhooks": {"made": {"post": {"requestBody": {"content": {"a/b": {"schema": NEW}}}}}},
        "components": {"schemas": {"x-name": NEW}},
    }


def test_schemas_are_found_wherever_they_stand() -> None:
    parameter = {"name": "p", "in": "query"}
    media = {"application/json": {"schema": OLD, "example": OLD}}
    answer = to_openapi_3_0_3(
        _document(
            paths={
                "/x": {
                    "parameters": [{**parameter, "schema": OLD}],
                    "post": {
                        "parameters": [{"name": "q", "in": "query", "content": media}],
                        "requestBody": {"content": media},
                        "responses": {
                            "200": {
                                "description": "d",
                                "content": media,
                                "headers": {"x-count": {"schema": OLD}},
                            },
                            "404": {"$ref": "#/components/responses/gone"},
                        },
                        "callbacks": {
                            "done": {
                                "{$url}": {
                                    "post": {"responses": {"200": {"description": "d", "content": media}}}
                                }
                            }
                        },
                    },
                }
            },
            components={
                "schemas": {"S": OLD},
                "parameters": {"P": {**parameter, "schema": OLD}},
                "headers": {"H": {"schema": OLD}},
                "requestBodies": {"B": {"content": media}},
                "responses": {"gone": {"description": "d", "content": media}},
            },
        )
    )
    OpenAPIV30SpecValidator(answer).validate()
    text = str(answer)
    assert text.count("'schema': {'const': 1}") == 0
    assert text.count("'schema': {'enum': [1]}") == 10
    assert text.count("'example': {'const': 1}") == 6, "an example is data"


def test_a_stream_of_events_has_the_schema_of_one() -> None:
    operation = _operation(
        responses={
            "200": {
                "description": "d",
                "content": {"text/event-stream": {"itemSchema": {"type": ["string", "null"]}}},
            }
        }
    )
    media = operation["responses"]["200"]["content"]["text/event-stream"]
    assert media == {"schema": {"type": "string", "nullable": True}}


def test_references_and_extensions_are_left_alone() -> None:
    operation = _operation(**{"x-data": {"schema": OLD, "content": {"a/b": {"schema": OLD}}}})
    assert operation["x-data"] == {"schema": OLD, "content": {"a/b": {"schema": OLD}}}
    answer = to_openapi_3_0_3(_document(paths={"/x": {"$ref": "#/y", "summary": "s"}, "x-paths": OLD}))
    assert answer["paths"] == {"/x": {"$ref": "#/y", "summary": "s"}, "x-paths": OLD}


@pytest.mark.parametrize("method", ["query", "additionalOperations"])
def test_later_methods_go(method: str) -> None:
    assert to_openapi_3_0_3(_document(paths={"/x": {method: {}}}))["paths"] == {"/x": {}}


def test_it_is_pure_and_final() -> None:
    document = _document(components={"schemas": {"S": {"anyOf": [OLD, {"type": "null"}]}}})
    before = copy.deepcopy(document)
    answer = to_openapi_3_0_3(document)
    assert document == before
    assert to_openapi_3_0_3(answer) == answer

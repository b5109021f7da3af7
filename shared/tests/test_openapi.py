from collections.abc import AsyncIterable
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from fastapi import APIRouter, FastAPI, File, Header, Query, UploadFile
from fastapi.sse import EventSourceResponse
from fastapi.testclient import TestClient
from fountain_common.app import Alone, create_service
from fountain_common.error_handlers import shown
from fountain_common.errors import problem_responses
from fountain_common.openapi import ERRORS, operations, violations
from fountain_common.schemas import InvalidPart, StrictModel
from fountain_common.settings import ServiceSettings
from openapi_spec_validator import OpenAPIV30SpecValidator
from pydantic import Field, conint


class Kind(StrEnum):
    ONE = "one"
    TWO = "two"


class Inner(StrictModel):
    value: Annotated[float, Field(gt=0, lt=10)] = 1


class Everything(StrictModel):
    """Each field is something that 3.0.3 says in other words."""

    maybe: str | None = None
    maybe_inner: Inner | None = Field(default=None, description="A reference with a sibling.")
    described: Inner = Field(description="A reference with a sibling.")
    kind: Kind | None = None
    literal: Literal["only"] = "only"
    choice: Literal["a", "b", None] = None
    several: int | str | None = Field(default=None, examples=[1, "a"])
    pair: tuple[int, str] = (1, "a")
    many: tuple[int, ...] = ()
    named: dict[Annotated[str, Field(pattern="^[a-z]+$")], conint(gt=1)] = Field(default_factory=dict)
    data: bytes = b""
    anything: Any = None
    const: str = Field(default="const", examples=["type"])


@pytest.fixture
def app(settings: ServiceSettings) -> FastAPI:
    router = APIRouter()

    @router.post("/everything", summary="Take everything", responses=problem_responses(409))
    async def take_everything(
        body: Everything,
        limit: Annotated[int | None, Query(gt=0, examples=[5])] = None,
        kinds: Annotated[list[Kind] | None, Query()] = None,
        x_mode: Annotated[str | None, Header()] = None,
    ) -> Everything:
        """Take it and give it back."""
        return body

    @router.post("/files", summary="Take a file")
    async def take_file(file: Annotated[UploadFile, File()]) -> int:
        """Count its bytes."""
        return 0

    @router.get("/stream", response_class=EventSourceResponse, summary="Stream")
    async def stream_everything() -> AsyncIterable[Everything]:
        """Send everything, again and again."""
        yield Everything(described=Inner())

    @router.get("/open", summary="Show what is open")
    async def show_open() -> None:
        """Show it."""

    return create_service(
        settings,
        title="Orders",
        description="x",
        version="1",
        platform=Alone(settings),
        routers=[router],
        public_paths=["/everything", "/files", "/stream", "/open"],
    )


def test_whatever_pydantic_can_say_becomes_valid_3_0_3(app: FastAPI) -> None:
    document = TestClient(app).get("/openapi.json").json()
    OpenAPIV30SpecValidator(document).validate()
    assert document["openapi"] == "3.0.3"
    assert violations(document) == []
    text = str(document)
    for word in (
        "'const':",
        "'prefixItems'",
        "'patternProperties'",
        "'itemSchema'",
        "'type': 'null'",
        "contentMedia",
    ):
        assert word not in text.replace("'const': {'type': 'string'", "")


def test_every_operation_declares_every_error_as_a_problem(app: FastAPI) -> None:
    for path, method, operation in operations(app.openapi()):
        for status in ERRORS:
            content = operation["responses"][str(status)]["content"]
            assert list(content) == ["application/problem+json"], (path, method, status)
        public = operation.get("security") == []
        assert ("429" in operation["responses"]) is not public, path
        assert public or "503" in operation["responses"], path
    assert "HTTPValidationError" not in app.openapi()["components"]["schemas"]
    assert "409" in app.openapi()["paths"]["/everything"]["post"]["responses"]


def test_what_is_not_valid_is_described_part_by_part(app: FastAPI) -> None:
    schemas = app.openapi()["components"]["schemas"]
    errors = schemas["Problem"]["properties"]["errors"]
    assert (errors["type"], errors["nullable"]) == ("array", True)
    assert errors["items"] == {"$ref": "#/components/schemas/InvalidPart"}
    part = schemas["InvalidPart"]
    assert part["required"] == ["type", "loc", "msg"]
    assert part["additionalProperties"] is False
    assert "$defs" not in schemas["Problem"]
    [sent] = shown([{"type": "missing", "loc": ("body", 0, "a"), "msg": "Field required", "input": "b"}])
    assert InvalidPart.model_validate(sent).model_dump() == sent


def test_credentials_are_declared_and_what_is_public_says_so(settings: ServiceSettings, app: FastAPI) -> None:
    document = app.openapi()
    assert set(document["components"]["securitySchemes"]) == {"bearer", "apiKey"}
    assert document["security"] == [{"bearer": []}, {"apiKey": []}]
    assert document["paths"]["/health"]["get"]["security"] == []
    assert document["paths"]["/open"]["get"]["security"] == []


def test_a_guarded_operation_takes_either_credential(settings: ServiceSettings) -> None:
    from fountain_common.auth import requires

    app = create_service(settings, title="x", description="x", version="1", platform=Alone(settings))

    @app.get("/guarded", summary="Guarded", dependencies=[requires("orders:read")])
    async def show_guarded() -> None:
        """Show it."""

    assert "security" not in app.openapi()["paths"]["/guarded"]["get"]
    assert violations(app.openapi()) == []


def _document(**operation: Any) -> dict[str, Any]:
    complete = {
        "operationId": "getThing",
        "summary": "s",
        "description": "d",
        "responses": {str(status): {} for status in ERRORS},
    }
    return {"openapi": "3.0.3", "paths": {"/x": {"get": {**complete, **operation}}}}


@pytest.mark.parametrize(
    ("operation", "complaint"),
    [
        ({"operationId": "get_thing"}, "camelCase"),
        ({"operationId": "GetThing"}, "camelCase"),
        ({"operationId": ""}, "camelCase"),
        ({"summary": ""}, "summary"),
        ({"description": "x" * 301}, "description"),
        ({"responses": {}}, "400 is not declared"),
        ({"parameters": [{"name": "p", "description": "x" * 701}]}, "parameter p"),
    ],
)
def test_a_description_that_owes_something_is_told_what(operation: dict[str, Any], complaint: str) -> None:
    assert violations(_document()) == []
    assert any(complaint in sentence for sentence in violations(_document(**operation)))


def test_an_operation_id_stands_once() -> None:
    document = _document()
    document["paths"]["/y"] = document["paths"]["/x"]
    assert any("twice" in sentence for sentence in violations(document))


def test_the_document_is_made_once(app: FastAPI) -> None:
    assert app.openapi() is app.openapi()

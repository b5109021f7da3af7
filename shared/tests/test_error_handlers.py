import json

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from fountain_common import error_handlers, errors
from fountain_common.schemas import StrictModel

MARKER = "marker-value-that-must-not-come-back"


class Body(StrictModel):
    name: str
    size: int = 1


@pytest.fixture
def client() -> TestClient:
    app = FastAPI()
    error_handlers.install(app)

    @app.post("/things")
    async def make(body: Body) -> None:
        raise errors.Conflict("It exists already.", thing=body.name)

    @app.get("/things/{number}")
    async def show(number: int) -> None:
        raise ValueError(MARKER)

    @app.get("/reserved")
    async def reserved() -> None:
        raise errors.NotFound("Not here.", type="urn:x", status=200, title="Fine", request_id="forged")

    return TestClient(app, raise_server_exceptions=False)


@pytest.mark.parametrize(
    ("method", "path", "content", "status"),
    [
        ("POST", "/things", '{"name":"a"}', 409),
        ("POST", "/things", f'{{"name":"a","colour":"{MARKER}"}}', 422),
        ("POST", "/things", f'{{"name":{{"x":"{MARKER}"}}}}', 422),
        ("POST", "/things", f'{{"name": {MARKER}', 400),
        ("POST", "/things", "", 422),
        ("GET", "/things/" + MARKER, "", 422),
        ("GET", "/things/1", "", 500),
        ("GET", "/nothing", "", 404),
        ("DELETE", "/things", "", 405),
    ],
)
def test_every_error_has_the_one_shape_and_repeats_nothing_that_was_sent(
    client: TestClient, method: str, path: str, content: str, status: int
) -> None:
    answer = client.request(method, path, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert {"type", "title", "status", "detail", "instance", "request_id"} <= problem.keys()
    assert problem["status"] == status
    problem.pop("instance")
    assert MARKER not in json.dumps(problem)


def test_a_422_names_place_and_reason_alone(client: TestClient) -> None:
    problem = client.post("/things", json={"nmae": "a"}).json()
    assert {frozenset(item) for item in problem["errors"]} == {frozenset({"type", "loc", "msg"})}
    assert ["body", "nmae"] in [item["loc"] for item in problem["errors"]]


def test_more_members_are_kept_and_cannot_replace_the_registered_ones(client: TestClient) -> None:
    assert client.post("/things", json={"name": "a"}).json()["thing"] == "a"
    problem = client.get("/reserved").json()
    assert (problem["status"], problem["title"]) == (404, "Not Found")
    assert problem["request_id"] != "forged"


def test_a_405_says_what_is_possible(client: TestClient) -> None:
    answer = client.delete("/things")
    assert answer.headers["allow"] == "POST"
    assert "POST" in answer.json()["detail"]


def test_validation_errors_are_bounded() -> None:
    found = [{"type": "x", "loc": ("body", "y" * 5000), "msg": "m"}] * 500
    shown = error_handlers.shown(found)
    assert len(json.dumps(shown)) < 10_000

from fastapi import FastAPI
from fastapi.testclient import TestClient
from fountain_common.routing import add_fixed


def _client(**options: object) -> TestClient:
    app = FastAPI()

    async def answer() -> str:
        return "here"

    add_fixed(app, "/here", answer)
    add_fixed(app, "/below/{name}", lambda name: name)
    return TestClient(app, **options)


def test_a_fixed_route_answers_at_its_path_alone() -> None:
    client = _client()
    assert client.get("/here").json() == "here"
    assert client.get("/there").status_code == 404
    assert client.post("/here").status_code == 405


def test_it_answers_below_a_root_path() -> None:
    client = _client(root_path="/orders")
    assert client.get("/here").json() == "here"
    assert client.get("/orders/here").json() == "here"


def test_a_parameter_may_end_it() -> None:
    client = _client()
    assert client.get("/below/x").json() == "x"
    assert client.get("/below/x/y").status_code == 404
    assert client.get("/belov/x").status_code == 404

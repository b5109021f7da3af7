"""Short ways answer the plain case; everything else goes the ordinary way, as if they were not there."""

import json
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient
from fountain_common.app import Alone, create_service
from fountain_common.auth import Caller, requires
from fountain_common.errors import Conflict
from fountain_common.settings import ServiceSettings
from fountain_common.shortcuts import Answer, QuickRequest, Shortcut, Shortcuts
from fountain_common.testing import TokenMaker
from fountain_common.verifier import TokenVerifier

router = APIRouter()


@router.get("/things/{name}")
async def get_thing(caller: Annotated[Caller, requires("things:read")], name: str) -> dict[str, str]:
    """Return a thing."""
    return {"way": "ordinary", "name": name, "caller": caller.subject}


@router.post("/things")
async def make_thing(body: dict[str, Any]) -> dict[str, Any]:
    """Make a thing."""
    return {"way": "ordinary", **body}


async def quick_thing(request: QuickRequest) -> Answer | None:
    caller = request.caller()
    if caller is None or request.argument == "declined":
        return None
    if request.argument == "taken":
        raise Conflict("It is taken.", by="somebody")
    if request.argument == "broken":
        raise RuntimeError("marker")
    body = json.dumps({"way": "short", "name": request.argument}).encode()
    return Answer(200, body, ((b"content-type", b"application/json"), (b"etag", b'"1"')))


async def quick_make(request: QuickRequest) -> Answer | None:
    body = await request.body()
    return Answer(201, body or b"", ()) if body and b"plain" in body else None


SHORTCUTS = (Shortcut("GET", "/things/{name}", quick_thing), Shortcut("POST", "/things", quick_make))


class Keys:
    def __init__(self, maker: TokenMaker) -> None:
        self._maker = maker

    async def jwks(self) -> dict[str, Any]:
        return self._maker.jwks()

    async def revocations(self) -> dict[str, Any]:
        return {"issued_at": 0, "revocations": []}


@pytest.fixture
def maker() -> TokenMaker:
    return TokenMaker()


@pytest.fixture
def app(settings: ServiceSettings, maker: TokenMaker) -> FastAPI:
    platform = Alone(settings)
    platform.api_keys = None  # type: ignore[attr-defined]
    platform.verifier = TokenVerifier(settings.issuer_url, settings.service_name, Keys(maker))  # type: ignore[attr-defined]
    return create_service(
        settings,
        title="Things",
        description="x",
        version="1",
        platform=platform,
        routers=[router],
        public_paths=["/things"],
        shortcuts=SHORTCUTS,
    )


@pytest.fixture
def client(app: FastAPI, settings: ServiceSettings, maker: TokenMaker) -> TestClient:
    token = maker.token("ada", ["admin"], settings.service_name)
    return TestClient(app, headers={"Authorization": f"Bearer {token}"}, raise_server_exceptions=False)


def _known(client: TestClient) -> None:
    assert client.get("/things/first").json()["way"] == "ordinary"


def test_a_caller_is_known_after_going_the_ordinary_way_once(
    client: TestClient,
) -> None:
    _known(client)
    answer = client.get("/things/second")
    assert answer.json() == {"way": "short", "name": "second"}
    assert answer.headers["etag"] == '"1"'
    assert answer.headers["content-length"] == str(len(answer.content))
    assert answer.headers["x-request-id"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_token_is_refused_the_ordinary_way(client: TestClient) -> None:
    _known(client)
    for headers in ({"Authorization": "Bearer nonsense"}, {"Authorization": ""}, {"X-API-Key": "fnt_a_b"}):
        answer = client.get("/things/x", headers=headers)
        assert answer.status_code in (400, 401)
        assert answer.headers["content-type"] == "application/problem+json"


def test_what_is_declined_and_what_has_parameters_goes_the_ordinary_way(client: TestClient) -> None:
    _known(client)
    assert client.get("/things/declined").json()["way"] == "ordinary"
    assert client.get("/things/x?verbose=1").json()["way"] == "ordinary"
    assert client.get("/things/").status_code == 404


def test_a_header_that_was_sent_twice_goes_the_ordinary_way(client: TestClient) -> None:
    _known(client)
    known = ("Authorization", client.headers.pop("authorization"))
    assert client.get("/things/x", headers=[known]).json()["way"] == "short"
    twice = [("X-Other", "a"), ("x-other", "b")]
    assert client.get("/things/x", headers=[known, *twice]).json()["way"] == "ordinary"
    for other in (known, ("Authorization", "Bearer nonsense")):
        assert client.get("/things/x", headers=[other, known]).status_code == 400


def test_a_problem_of_the_short_way_looks_like_any_other(client: TestClient) -> None:
    _known(client)
    answer = client.get("/things/taken")
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["detail"], answer.json()["by"]) == ("It is taken.", "somebody")
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


def test_an_error_of_the_short_way_is_a_500_that_says_nothing(client: TestClient) -> None:
    _known(client)
    answer = client.get("/things/broken")
    assert answer.status_code == 500
    assert "marker" not in answer.text


def test_the_ordinary_way_finds_the_body_that_the_short_one_has_read(client: TestClient) -> None:
    assert client.post("/things", json={"kind": "plain"}).status_code == 201
    assert client.post("/things", json={"kind": "other"}).json() == {"way": "ordinary", "kind": "other"}


def test_the_short_way_is_counted_and_logged_as_its_operation(
    client: TestClient, log: Callable[[], list[dict[str, Any]]]
) -> None:
    _known(client)
    client.get("/things/second")
    line = [entry for entry in log() if entry["event"] == "request"][-1]
    assert (line["route"], line["status"]) == ("/things/{name}", 200)
    metrics = client.get("/metrics").text
    assert 'http_requests_total{method="GET",path="/things/{name}",status="200"} 2.0' in metrics


def test_a_shortcut_without_an_operation_is_refused(settings: ServiceSettings) -> None:
    with pytest.raises(ValueError, match="GET /nothing"):
        create_service(
            settings,
            title="x",
            description="x",
            version="1",
            platform=Alone(settings),
            shortcuts=[Shortcut("GET", "/nothing", quick_thing)],
        )


def test_a_parameter_is_the_last_part_or_the_last_but_one() -> None:
    last = Shortcut("GET", "/things/{name}", quick_thing)
    before = Shortcut("POST", "/things/{name}/paint", quick_thing)
    shortcuts = Shortcuts([last, before])
    assert shortcuts.find("GET", "/things/a") == (last, "a")
    assert shortcuts.find("POST", "/things/a/paint") == (before, "a")
    assert shortcuts.find("GET", "/things/a/paint") is None
    assert shortcuts.find("POST", "/things/a") is None
    assert shortcuts.find("POST", "/things//paint") is None
    assert shortcuts.find("POST", "/things/a/b/paint") is None
    assert shortcuts.find("POST", "/others/a/paint") is None
    assert shortcuts.find("POST", "/paint") is None


@pytest.mark.parametrize("path", ["/{a}/b/c", "/things/{a}b", "/things/{a}/{b}", "/th{a}", "/things/{a}/"])
def test_any_other_template_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="last part"):
        Shortcuts([Shortcut("GET", path, quick_thing)])

"""An application with an index of its routes answers as the framework alone does."""

import asyncio
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, FastAPI, Form
from fastapi.responses import PlainTextResponse
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from routed import UUID, Asked, Build, add, application, ask, found, name_of, show, templates
from starlette.routing import Host, Match, Mount
from starlette.types import Scope

_NOBODY = PlainTextResponse("nobody", 404)


@pytest.mark.parametrize(
    ("paths", "path", "taken"),
    [
        (["/a/{x}", "/a/fixed"], "/a/fixed", "/a/{x}"),
        (["/a/fixed", "/a/{x}"], "/a/fixed", "/a/fixed"),
        (["/a/fixed", "/a/{x}"], "/a/other", "/a/{x}"),
        (["/a/{x:int}", "/a/{x}"], "/a/5", "/a/{x:int}"),
        (["/a/{x:int}", "/a/{x}"], "/a/five", "/a/{x}"),
        (["/a/{x}", "/a/{x:int}"], "/a/5", "/a/{x}"),
        (["/a/{x:uuid}", "/a/{x:float}", "/a/{x}"], f"/a/{UUID}", "/a/{x:uuid}"),
        (["/a/{x:uuid}", "/a/{x:float}", "/a/{x}"], "/a/1.5", "/a/{x:float}"),
        (["/a/{x:uuid}", "/a/{x:float}", "/a/{x}"], "/a/1.5.1", "/a/{x}"),
        (["/a/{x}/b", "/a/{x}/{y}", "/{x}/{y}/b"], "/a/1/b", "/a/{x}/b"),
        (["/{x}/{y}/b", "/a/{x}/{y}"], "/a/1/c", "/a/{x}/{y}"),
        (["/a/{x}.json", "/a/{x}"], "/a/1.json", "/a/{x}.json"),
        (["/a", "/{x}"], "/a\n", "/a"),
        (["/{x:int}", "/{x}"], "/1\n", "/{x:int}"),
        (["/{x}"], "/é ü", "/{x}"),
        (["/é", "/{x}"], "/é", "/é"),
        (["/a/{x}", "/{x}/"], "/a/", "/{x}/"),
        (["/a//b", "/a/{x}/b"], "/a//b", "/a//b"),
        (["/a/{z:path}", "/a/{x}"], "/a/1", "/a/{z:path}"),
        (["/a/{x}", "/a/{z:path}", "/a/{x}/{y}"], "/a/1/2", "/a/{z:path}"),
        (["/a/{z:path}", "/a/fixed"], "/a/fixed", "/a/{z:path}"),
        (["/a/fixed", "/{z:path}", "/b"], "/b", "/{z:path}"),
    ],
)
def test_the_first_that_fits_is_taken(paths: list[str], path: str, taken: str) -> None:
    assert name_of(found(templates(*paths), path)) == taken


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/a/", "GET", 404),
        ("/a//", "GET", 404),
        ("//a", "GET", 404),
        ("/a/1/", "GET", 404),
        ("", "GET", 404),
        ("*", "OPTIONS", 404),
        ("/a", "HEAD", 405),
        ("/a/1", "OPTIONS", 405),
        ("/a/1", "get", 405),
        ("/a/1", "DELETE", 405),
    ],
)
def test_what_no_route_answers_is_refused_as_the_framework_does(path: str, method: str, status: int) -> None:
    answer = found(templates("/a", "/a/{x}"), path, method)
    assert answer.status == status
    assert answer.allow == frozenset({"GET"} if status == 405 else {""})


def test_a_path_may_have_its_methods_in_several_routers() -> None:
    def build(app: FastAPI) -> None:
        reading, writing = APIRouter(), APIRouter(prefix="/a")
        add(reading, "read", "/a/{x}")
        add(reading, "options", "/a/{x}", "OPTIONS", "HEAD")
        add(writing, "write", "/{y}", "PUT", "DELETE")
        app.include_router(reading)
        app.include_router(writing)

    for method, name in [("GET", "read"), ("HEAD", "options"), ("OPTIONS", "options"), ("PUT", "write")]:
        assert name_of(found(build, "/a/1", method)) == name
    assert found(build, "/a/1", "PUT").found["parameters"] == {"y": "'1'"}
    assert found(build, "/a/1", "PATCH").allow == {"GET"}


def test_parameters_are_what_the_template_makes_of_them() -> None:
    answer = found(templates("/{i:int}/{f:float}/{u:uuid}/{s}"), f"/7/1.5/{UUID}/a b")
    assert answer.found["parameters"] == {"i": "7", "f": "1.5", "u": f"UUID('{UUID}')", "s": "'a b'"}


def _nested(app: FastAPI) -> None:
    inner, outer = APIRouter(prefix="/{inner}"), APIRouter(prefix="/outer")
    add(inner, "inner", "/x")
    add(outer, "before", "/before/x")
    outer.include_router(inner, prefix="/in")
    outer.include_router(inner)
    add(outer, "hidden", "/behind/x")
    app.include_router(outer, prefix="/all")
    app.include_router(outer)
    add(app, "late", "/outer/{a}/{b}")


@pytest.mark.parametrize(
    ("path", "name", "template"),
    [
        ("/all/outer/in/1/x", "inner", "/all/outer/in/{inner}/x"),
        ("/outer/in/1/x", "inner", "/outer/in/{inner}/x"),
        ("/outer/1/x", "inner", "/outer/{inner}/x"),
        ("/outer/before/x", "before", "/outer/before/x"),
        ("/outer/behind/x", "inner", "/outer/{inner}/x"),
        ("/outer/1/y", "late", "/outer/{a}/{b}"),
    ],
)
def test_a_router_within_a_router_answers_below_all_their_prefixes(
    path: str, name: str, template: str
) -> None:
    answer = found(_nested, path)
    assert name_of(answer) == name
    assert answer.found["template"] == template


def test_routers_are_asked_in_the_order_in_which_they_were_included() -> None:
    def build(app: FastAPI) -> None:
        general, special = APIRouter(), APIRouter(prefix="/things")
        add(general, "general", "/{kind}/{x}")
        add(special, "special", "/{x}")
        app.include_router(special)
        app.include_router(general)

    assert name_of(found(build, "/things/1")) == "special"
    assert name_of(found(build, "/others/1")) == "general"


class Handled(APIRoute):
    """A route that answers in its own way."""

    async def handle(self, scope: Scope, receive: Any, send: Any) -> None:
        await PlainTextResponse("handled")(scope, receive, send)


class Doubting(APIRouter):
    """A router that is not there for whoever asks by POST."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return (Match.NONE, {}) if scope["method"] == "POST" else super().matches(scope)


def _mount(app: FastAPI) -> None:
    app.mount("/a", PlainTextResponse("mounted"))


def _host(app: FastAPI) -> None:
    app.router.routes.append(Host("{name}.example", PlainTextResponse("hosted")))


def _plain(app: FastAPI) -> None:
    app.add_route("/{x}/fixed", lambda _: PlainTextResponse("plain"))


def _without_methods(app: FastAPI) -> None:
    app.router.generate_unique_id_function = lambda _: "any"
    app.router.add_api_route("/a/fixed", lambda: PlainTextResponse("any"), methods=[])


def _asked(app: FastAPI) -> None:
    app.router.add_api_route("/fixed", lambda: PlainTextResponse("asked"), route_class_override=Asked)


def _handled(app: FastAPI) -> None:
    app.router.add_api_route("/a/fixed", show("handled"), route_class_override=Handled)


def _mount_within(app: FastAPI) -> None:
    router = APIRouter()
    add(router, "within", "/{x}/within")
    router.mount("/", PlainTextResponse("mounted"))
    app.include_router(router, prefix="/a")


def _path_within(app: FastAPI) -> None:
    router = APIRouter(prefix="/a")
    router.add_api_route("/{z:path}", lambda: PlainTextResponse("path"))
    app.include_router(router)


@pytest.mark.parametrize(
    "first",
    [_mount, _host, _plain, _without_methods, _asked, _handled, _mount_within, _path_within],
)
def test_nothing_comes_before_one_that_has_to_be_asked(first: Build) -> None:
    def build(app: FastAPI) -> None:
        add(app, "before", "/a/before")
        first(app)
        add(app, "fixed", "/a/fixed")
        add(app, "template", "/a/{x}")

    headers = [(b"host", b"one.example")]
    assert name_of(found(build, "/a/before", headers=headers)) == "before"
    answer = found(build, "/a/fixed", headers=headers)
    assert answer.status == 200
    assert answer.found is None
    assert name_of(found(templates("/a/{x}"), "/a/fixed", headers=headers)) == "/a/{x}"


def test_a_router_that_is_more_than_its_routes_is_asked() -> None:
    def build(app: FastAPI) -> None:
        outer, doubting = APIRouter(), Doubting(prefix="/a")
        add(doubting, "doubting", "/{x}", "GET", "POST")
        outer.include_router(doubting)
        app.include_router(outer)
        add(app, "late", "/{y}/{x}", "GET", "POST")

    assert name_of(found(build, "/a/1", "GET")) == "doubting"
    found(build, "/a/1", "POST")


class Form3(APIRouter):
    """A router with a route that takes a form of any three fields."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)

        async def take(
            a: Annotated[str, Form()], b: Annotated[str, Form()], c: Annotated[str, Form()]
        ) -> str:
            return a + b + c

        self.add_api_route("/form", take, methods=["POST"])


def _limits_of_the_application(app: FastAPI) -> None:
    app.router.form_limits = {"max_fields": 2}
    app.include_router(Form3())


def _limits_of_a_router(app: FastAPI) -> None:
    app.include_router(Form3(form_limits={"max_fields": 2}))


def _limits_of_an_inclusion(app: FastAPI) -> None:
    app.include_router(Form3(), form_limits={"max_fields": 2})


def _limits_around(app: FastAPI) -> None:
    outer = APIRouter(form_limits={"max_fields": 2})
    outer.include_router(Form3())
    app.include_router(outer)


def _limits_within(app: FastAPI) -> None:
    outer = APIRouter()
    outer.include_router(Form3(form_limits={"max_fields": 2}))
    app.include_router(outer)


@pytest.mark.parametrize(
    ("build", "status"),
    [
        (lambda app: app.include_router(Form3()), 200),
        (_limits_of_the_application, 400),
        (_limits_of_a_router, 400),
        (_limits_of_an_inclusion, 400),
        (_limits_around, 400),
        (_limits_within, 400),
    ],
)
def test_limits_for_forms_hold(build: Build, status: int) -> None:
    for indexed in (True, False):
        client = TestClient(application(build, indexed=indexed))
        answer = client.post("/form", data={"a": "x", "b": "y", "c": "z"})
        assert answer.status_code == status, (indexed, answer.text)


def test_a_slash_that_is_spelled_otherwise_is_a_slash() -> None:
    clients = [
        TestClient(application(templates("/a/{x}", "/a/{x}/{y}"), indexed=each)) for each in (True, False)
    ]
    for path in ["/a/1%2F2", "/a/%2F", "/a/%C3%A9", "/a/%0A", "/a/1%2f", "/a/", "/a//", "/a/%FF", "/a/%25"]:
        answers = [client.get(path) for client in clients]
        assert answers[0].status_code == answers[1].status_code, path
        assert answers[0].json() == answers[1].json(), path
    assert clients[0].get("/a/1%2F2").json()["parameters"] == {"x": "'1'", "y": "'2'"}
    assert clients[0].get("/a/%C3%A9").json()["parameters"] == {"x": "'é'"}


@pytest.mark.parametrize("path", ["/a/1", "/below/a/1", "/below", "/belowa/1", "/a/1/below"])
def test_it_answers_below_a_root_path(path: str) -> None:
    found(templates("/a/{x}", "/{x}", "/{x}/{y}/{z}"), path, root_path="/below")
    assert name_of(found(templates("/a/{x}"), "/below/a/1", root_path="/below")) == "/a/{x}"


@pytest.mark.parametrize(
    "around", [Mount("/", _NOBODY), Mount("/{tenant}", _NOBODY), Host("{tenant}.example", _NOBODY)]
)
def test_an_application_within_another_one_keeps_what_that_has_found(around: Any) -> None:
    def build(app: FastAPI) -> None:
        add(app, "own", "/{x}/own")

    path = "/one/2/own" if getattr(around, "path", "") else "/2/own"
    answers = []
    for indexed in (True, False):
        outer = FastAPI()
        around.app = application(build, indexed=indexed)
        outer.router.routes.append(around)
        for template in ("/elsewhere/{x}", "/elsewhere/{tenant}/{x}"):
            add(outer, "own", template)
        answers.append(asyncio.run(ask(outer, "GET", path, headers=[(b"host", b"one.example")])))
    assert answers[0] == answers[1]


def test_a_route_that_is_added_later_is_found() -> None:
    for indexed in (True, False):
        app = application(templates("/a"), indexed=indexed)
        client = TestClient(app)
        assert client.get("/late/1").status_code == 404
        add(app, "late", "/late/{x}")
        router = APIRouter(prefix="/later")
        add(router, "later", "/{x}")
        app.include_router(router)
        assert client.get("/late/1").json()["name"] == "late"
        assert client.get("/later/1").json()["name"] == "later"


def test_the_framework_is_not_asked_for_what_is_found_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    app = application(_nested, indexed=True)

    async def asked(scope: Scope, receive: Any, send: Any) -> None:
        await PlainTextResponse("asked", 404)(scope, receive, send)

    monkeypatch.setattr(app.router, "app", asked)
    client = TestClient(app)
    assert client.get("/outer/before/x").json()["name"] == "before"
    assert client.get("/all/outer/in/1/x").json()["name"] == "inner"
    assert client.get("/elsewhere").text == "asked"

"""An application with an index of its routes answers as the framework alone does."""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Annotated, Any, NamedTuple

import pytest
from fastapi import APIRouter, Depends, FastAPI, Form, Request
from fastapi.responses import PlainTextResponse
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from fountain_common.app import Alone, create_service
from fountain_common.middleware import route_template
from fountain_common.route_index import RouteIndex
from fountain_common.settings import ServiceSettings
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from starlette.routing import Host, Match, Mount, Route
from starlette.types import Scope

_NOBODY = PlainTextResponse("nobody", 404)
UUID = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
Build = Callable[[FastAPI], None]


class Answer(NamedTuple):
    """What was answered, and which endpoint did it; nothing of one that none of ours has answered."""

    status: int
    allow: frozenset[str]
    found: Any


def show(name: str) -> Callable[[Request], Any]:
    """An endpoint that tells how it was found."""

    async def endpoint(request: Request) -> dict[str, Any]:
        scope = request.scope
        parameters = request.path_params
        return {
            "name": name,
            "endpoint": scope["endpoint"] is endpoint,
            "parameters": {key: repr(value) for key, value in parameters.items()},
            "route": scope["route"].path,
            "template": route_template(scope),
            "router": scope["router"] is scope["app"].router,
            "url": str(request.url_for(name, **parameters)),
        }

    return endpoint


def add(router: FastAPI | APIRouter, name: str, path: str, *methods: str, **options: Any) -> None:
    router.add_api_route(path, show(name), methods=list(methods or ("GET",)), name=name, **options)


async def ask(app: Any, method: str, path: str, **more: Any) -> Answer:
    scope = {
        "type": "http", "method": method, "path": path, "raw_path": b"", "query_string": b"", "headers": [],
        "client": ("127.0.0.1", 5000), "server": ("127.0.0.1", 80), "scheme": "http", "http_version": "1.1",
        **more,
    }  # fmt: skip
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start, *parts = sent
    headers = {name: value.decode() for name, value in start["headers"]}
    body = b"".join(part.get("body", b"") for part in parts)
    found = (
        json.loads(body) if start["status"] == 200 and b"json" in headers[b"content-type"].encode() else None
    )
    return Answer(start["status"], frozenset(headers.get(b"allow", "").split(", ")), found)


def application(build: Build, *, indexed: bool) -> FastAPI:
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    build(app)
    if indexed:
        app.router.middleware_stack = RouteIndex(app.router)
    return app


def found(build: Build, path: str, method: str = "GET", **more: Any) -> Answer:
    """What both answer, and it is the same."""
    answers = [
        asyncio.run(ask(application(build, indexed=indexed), method, path, **more))
        for indexed in (True, False)
    ]
    assert answers[0] == answers[1]
    return answers[0]


def name_of(answer: Answer) -> str:
    assert answer.status == 200
    assert answer.found["endpoint"]
    return str(answer.found["name"])


def templates(*paths: str) -> Build:
    def build(app: FastAPI) -> None:
        for path in paths:
            add(app, path, path)

    return build


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


class Asked(APIRoute):
    """A route that answers every path that ends in its own."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["path"].endswith(self.path):
            return Match.FULL, {"endpoint": self.endpoint, "path_params": {}, "route": self}
        return Match.NONE, {}


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


def who() -> str:
    return "somebody"


Who = Annotated[str, Depends(who)]


def _guarded(happened: list[str]) -> APIRouter:
    router = APIRouter(prefix="/things", dependencies=[Depends(lambda: happened.append("router"))])

    @router.get("/{x}", tags=["own"])
    async def thing(x: int, name: Who, request: Request) -> list[Any]:
        return [x, name, request.scope["fastapi"]["effective_route_context"].tags]

    return router


@pytest.mark.parametrize("indexed", [True, False])
def test_what_an_inclusion_adds_is_kept(indexed: bool) -> None:
    happened: list[str] = []

    def build(app: FastAPI) -> None:
        dependencies = [Depends(lambda: happened.append("included"))]
        app.include_router(_guarded(happened), prefix="/v1", dependencies=dependencies, tags=["given"])
        app.include_router(_guarded(happened), prefix="/v2")

    client = TestClient(application(build, indexed=indexed))
    assert client.get("/v1/things/1").json() == [1, "somebody", ["given", "own"]]
    assert happened == ["included", "router"]
    assert client.get("/v2/things/2").json() == [2, "somebody", ["own"]]
    assert happened == ["included", "router", "router"]
    assert client.get("/v2/things/two").status_code == 422


@pytest.mark.parametrize("indexed", [True, False])
def test_dependencies_can_be_overridden_at_any_time(indexed: bool) -> None:
    app = application(lambda app: app.include_router(_guarded([])), indexed=indexed)
    client = TestClient(app)
    assert client.get("/things/1").json()[1] == "somebody"
    app.dependency_overrides[who] = lambda: "somebody else"
    assert client.get("/things/1").json()[1] == "somebody else"


def test_the_framework_is_not_asked_for_what_is_found_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    app = application(_nested, indexed=True)

    async def asked(scope: Scope, receive: Any, send: Any) -> None:
        await PlainTextResponse("asked", 404)(scope, receive, send)

    monkeypatch.setattr(app.router, "app", asked)
    client = TestClient(app)
    assert client.get("/outer/before/x").json()["name"] == "before"
    assert client.get("/all/outer/in/1/x").json()["name"] == "inner"
    assert client.get("/elsewhere").text == "asked"


@pytest.fixture
def service(settings: ServiceSettings) -> FastAPI:
    router = APIRouter(prefix="/orders")
    add(router, "order", "/{number}/lines/{line:int}")
    return create_service(
        settings,
        title="Orders",
        description="x",
        version="1",
        platform=Alone(settings),
        routers=[router],
        public_paths=["/orders/{number}/lines/{line:int}", "/direct/{x}"],
    )


@pytest.mark.parametrize("indexed", [True, False])
def test_requests_are_counted_and_logged_by_the_whole_template(
    service: FastAPI, log: Callable[[], list[dict[str, Any]]], indexed: bool
) -> None:
    service.indexed = indexed  # type: ignore[attr-defined]
    add(service, "direct", "/direct/{x}")
    client = TestClient(service)
    for path in ("/orders/7/lines/1", "/direct/1", "/orders/7/lines/x"):
        client.get(path)
    assert [line["route"] for line in log()] == ["/orders/{number}/lines/{line}", "/direct/{x}", "unmatched"]
    metrics = client.get("/metrics").text
    assert (
        'http_requests_total{method="GET",path="/orders/{number}/lines/{line}",status="200"} 1.0' in metrics
    )


def test_every_service_has_an_index_unless_spans_are_made(
    service: FastAPI, settings: ServiceSettings
) -> None:
    assert TestClient(service).get("/health").status_code == 200
    assert isinstance(service.router.middleware_stack, RouteIndex)
    settings.tracing = True
    traced = create_service(settings, title="x", description="x", version="1", platform=Alone(settings))
    assert TestClient(traced).get("/health").status_code == 200
    assert not isinstance(traced.router.middleware_stack, RouteIndex)


PARTS = ("a", "b", "{}", "{:int}", "{:float}", "{:uuid}", "{:path}", "a{}", "{}.b", "")
ALIKE = (["a"], ["{}"], ["{:int}"], ["a", "a"], ["a", "{}"], ["{}", "a"], ["{}", "{}"])
"""Templates of which several fit one path."""
VALUES = ("a", "b", "1", "1.5", UUID, "ab", "1.b", "", "é", "a\n", "b/a")
METHODS = ("GET", "POST", "HEAD")
ASKED_ALWAYS = ("/a", "/b", "/1", "/a\n", "/1\n", "/a/a", "/a/b", "/a/1", "/b/a", "/a/a/a", "/a/1/a")


def named(parts: list[str], depth: int) -> str:
    """A path with a name of its own for each parameter."""
    parts = [part.replace("{", f"{{p{depth}{number}") for number, part in enumerate(parts)]
    return "".join(f"/{part}" for part in parts)


class Planned(NamedTuple):
    """One route, mount or inclusion."""

    parts: list[str]
    methods: list[str]
    kind: str
    within: "list[Planned] | None"


def routes(kinds: st.SearchStrategy[str], depth: int = 0) -> st.SearchStrategy[list[Planned]]:
    parts = st.sampled_from(ALIKE) | st.lists(st.sampled_from(PARTS), min_size=1, max_size=3)
    methods = st.just(["GET"]) | st.lists(st.sampled_from(METHODS), min_size=1, max_size=2, unique=True)
    route = st.builds(Planned, parts, methods, kinds, st.none())
    if depth == 2:
        return st.lists(route, max_size=4)
    prefixes = st.lists(st.sampled_from(["a", "b", "{}", "a{}"]), max_size=1)
    included = st.builds(Planned, prefixes, methods, st.just("inclusion"), routes(kinds, depth + 1))
    return st.lists(st.one_of(route, included), max_size=6)


KINDS = st.sampled_from(["route"] * 12 + ["asked", "plain", "mount"])


def build_planned(router: Any, planned: list[Planned], depth: int = 0, name: str = "") -> None:
    for number, (parts, methods, kind, within) in enumerate(planned):
        path, own = named(parts, depth), f"{name}{number}"
        if within is not None:
            inner = APIRouter()
            build_planned(inner, within, depth + 1, f"{own}.")
            router.include_router(inner, prefix=path)
        elif kind == "mount":
            router.mount("/a", PlainTextResponse("mounted"), name="mounted")
        elif kind == "plain":
            router.routes.append(Route(path, lambda _: PlainTextResponse("plain"), methods=methods))
        elif kind == "asked":
            router.add_api_route(
                "/a", lambda: PlainTextResponse("asked"), methods=methods, route_class_override=Asked
            )
        else:
            add(router, own, path, *methods)


def all_parts(planned: list[Planned], before: list[str]) -> Iterator[list[str]]:
    for each in planned:
        parts = [*before, *each.parts]
        if each.within is None:
            yield parts
        else:
            yield from all_parts(each.within, parts)


@st.composite
def questions(draw: st.DrawFn, planned: list[Planned]) -> tuple[str, str]:
    """A path that a route may fit, and one that no route may."""
    known = list(all_parts(planned, []))
    parts = draw(st.sampled_from([*known, ["a"], ["", "b"]]))
    filled = []
    for part in parts:
        value = draw(st.sampled_from(VALUES))
        before, brace, _ = part.partition("{")
        filled.append(
            before + value + part.rpartition("}")[2] if brace else draw(st.sampled_from([part] * 5 + [value]))
        )
    end = draw(st.sampled_from(["", "", "", "/", "\n"]))
    return draw(st.sampled_from([*METHODS, "GET", "OPTIONS"])), "".join(f"/{part}" for part in filled) + end


@hypothesis_settings(max_examples=80)
@given(st.data())
def test_whatever_the_routes_are_the_answers_are_the_frameworks(data: st.DataObject) -> None:
    planned = data.draw(routes(KINDS))

    def build(app: FastAPI) -> None:
        build_planned(app.router, planned)

    both = [application(build, indexed=indexed) for indexed in (True, False)]
    asked = [*data.draw(st.lists(questions(planned), max_size=8)), *(("GET", path) for path in ASKED_ALWAYS)]
    with asyncio.Runner() as runner:
        for method, path in asked:
            with_index, without = (runner.run(ask(app, method, path)) for app in both)
            assert with_index == without, (method, path)

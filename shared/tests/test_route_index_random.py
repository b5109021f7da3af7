"""Whatever the routes are, an application with an index of them answers as the framework alone does."""

import asyncio
from collections.abc import Iterator
from typing import Any, NamedTuple

from fastapi import APIRouter, FastAPI
from fastapi.responses import PlainTextResponse
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from routed import UUID, Asked, add, application, ask
from starlette.routing import Route

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

from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, FastAPI
from fountain_common.guard import UnguardedOperation, require_guards


def _guard() -> None: ...


_guard.permissions = ("orders:read",)  # type: ignore[attr-defined]


def _around(inner: Annotated[None, Depends(_guard)]) -> None: ...


def _app(**options: object) -> FastAPI:
    app, router = FastAPI(docs_url=None, redoc_url=None, openapi_url=None), APIRouter(prefix="/orders")
    router.add_api_route("/{number}", lambda number: number, **options)
    app.include_router(router, prefix="/v1")
    return app


def test_an_open_operation_is_named_with_its_whole_path() -> None:
    with pytest.raises(UnguardedOperation, match=r"GET /v1/orders/\{number\}"):
        require_guards(_app(), [])


def test_a_public_path_may_be_open() -> None:
    require_guards(_app(), ["/v1/orders/{number}"])


@pytest.mark.parametrize("guard", [_guard, _around])
def test_a_guard_may_stand_anywhere_among_the_dependencies(guard: object) -> None:
    require_guards(_app(dependencies=[Depends(guard)]), [])


def test_what_is_no_operation_of_ours_is_not_let_through() -> None:
    app = _app(dependencies=[Depends(_guard)])
    app.mount("/files", lambda scope, receive, send: None)
    with pytest.raises(UnguardedOperation, match="/files"):
        require_guards(app, [])

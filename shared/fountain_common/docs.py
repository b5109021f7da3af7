"""`/docs`: Swagger UI from this service itself, under a Content-Security-Policy without inline scripts."""

from functools import cache
from html import escape
from importlib.resources import files

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse

from fountain_common.errors import NotFound
from fountain_common.landing import page_template

_ASSETS = {
    "swagger-ui-bundle.js": ("fastapi_swagger.resources", "text/javascript; charset=utf-8"),
    "swagger-ui.css": ("fastapi_swagger.resources", "text/css; charset=utf-8"),
    "favicon.svg": ("fountain_common.static", "image/svg+xml"),
    "docs.css": ("fountain_common.static", "text/css; charset=utf-8"),
    "fountain.css": ("fountain_common.static", "text/css; charset=utf-8"),
    "docs-init.js": ("fountain_common.static", "text/javascript; charset=utf-8"),
}
DOCS_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


@cache
def _asset(name: str) -> bytes:
    package, _ = _ASSETS[name]
    return (files(package) / name).read_bytes()


def add_docs(app: FastAPI) -> None:
    """Add the routes `/docs`, `/docs/assets/*` and `/openapi.json`."""
    page = page_template("docs.html").substitute(title=escape(app.title))

    async def get_docs_page() -> HTMLResponse:
        return HTMLResponse(page, headers=DOCS_HEADERS)

    async def get_openapi_document(request: Request) -> Response:
        return Response(
            request.app.state.openapi_bytes(),
            media_type="application/json",
            headers={"Cache-Control": "no-cache"},
        )

    app.add_api_route("/docs", get_docs_page, include_in_schema=False)
    app.add_api_route("/openapi.json", get_openapi_document, include_in_schema=False)
    app.add_api_route("/docs/assets/{name}", get_docs_asset, include_in_schema=False)


async def get_docs_asset(name: str) -> Response:
    """Return one of the files that the pages need."""
    if name not in _ASSETS:
        raise NotFound("There is no such asset.")
    headers = {"content-type": _ASSETS[name][1], "Cache-Control": "public, max-age=3600"}
    return Response(_asset(name), headers=headers)

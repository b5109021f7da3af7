"""The page at `/`: what this service is, and where to go from here."""

from html import escape
from importlib.resources import files
from string import Template

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from fountain_common.settings import ServiceSettings

MAX_DESCRIPTION = 300
PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def page_template(name: str) -> Template:
    """Return a page that ships with the library; what goes into it must have been escaped."""
    return Template((files("fountain_common") / "static" / name).read_text(encoding="utf-8"))


def shortened(text: str, limit: int = MAX_DESCRIPTION) -> str:
    """Return the text on one line, cut at a word if it is longer than the limit."""
    line = " ".join(text.split())
    if len(line) <= limit:
        return line
    cut = line[: limit - 1]
    return (cut.rpartition(" ")[0] or cut).rstrip(" ,;:") + "…"


def render(*, service: str, title: str, description: str, version: str, domain: str) -> str:
    """Return the page; every text is escaped, so that a title cannot become markup."""
    texts = {
        "service": service,
        "title": title,
        "description": shortened(description),
        "version": version,
        "domain": domain,
    }
    return page_template("landing.html").substitute({name: escape(text) for name, text in texts.items()})


def add_landing(app: FastAPI, settings: ServiceSettings) -> None:
    """Add the route `GET /`, with what the application says about itself."""
    page = render(
        service=settings.service_name,
        title=app.title,
        description=app.description,
        version=app.version,
        domain=settings.domain,
    )

    async def get_landing_page() -> HTMLResponse:
        """Return a page for people: name, version, description, and links to documentation and health."""
        return HTMLResponse(page, headers=PAGE_HEADERS)

    app.add_api_route(
        "/",
        get_landing_page,
        tags=["service"],
        operation_id="getLandingPage",
        summary="Show what this service is",
        response_class=HTMLResponse,
    )

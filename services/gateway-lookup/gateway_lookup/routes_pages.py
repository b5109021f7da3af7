"""The portal at `/` and every service's operations at `/apis`."""

import hashlib
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import HTMLResponse
from fountain_common.errors import NotFound

from gateway_lookup import pages
from gateway_lookup.catalog import site
from gateway_lookup.deps import CatalogueDep, GatewayDep, ServiceName
from gateway_lookup.lookups import not_modified

router = APIRouter(tags=["portal"])


@router.get("/", operation_id="getLandingPage", summary="Show the portal", response_class=HTMLResponse)
async def get_landing_page(
    request: Request,
    gateway: GatewayDep,
    catalogue: CatalogueDep,
    if_none_match: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Response:
    """Return a page with every service: version, description, instances and health. An open page keeps
    itself up to date.
    """
    app = request.app
    page = pages.portal_page(gateway.settings, app.title, app.version, *catalogue.shown()).encode()
    etag = f'"{hashlib.blake2b(page, digest_size=12).hexdigest()}"'
    headers = {**pages.page_headers(), "ETag": etag}
    if not_modified(if_none_match, etag):
        return Response(status_code=304, headers=headers)
    return HTMLResponse(page, headers=headers)


@router.get(
    "/apis",
    operation_id="getApiPortal",
    summary="Show every service's operations",
    response_class=HTMLResponse,
)
async def get_api_portal(gateway: GatewayDep, catalogue: CatalogueDep) -> HTMLResponse:
    """Return a page where the operations of every running service are read and tried, one service at a
    time.
    """
    services, more = catalogue.described()
    page = pages.apis_page(gateway.settings, services, more)
    sites = " ".join(site(gateway.settings, service.service_name) for service in services)
    return HTMLResponse(page, headers=pages.page_headers(connect_src=f"'self' {sites}", font_src="'self'"))


@router.get("/apis/{serviceName}/openapi.json", include_in_schema=False)
async def get_presented_openapi(name: ServiceName, gateway: GatewayDep, catalogue: CatalogueDep) -> Response:
    """Return what a service says that it does, with requests sent to its own site alone."""
    found = catalogue.seen.openapi.get(name)
    if found is None or gateway.registry.lookup(name) is None:
        raise NotFound(f"The operations of {name} are not known. It may be starting, or have none.")
    if found.note:
        raise NotFound(f"The OpenAPI document of {name} cannot be shown: {found.note}.")
    return Response(found.body, media_type="application/json", headers={"Cache-Control": "no-cache"})


@router.get("/assets/{name}", include_in_schema=False)
async def get_asset(name: str) -> Response:
    """Return a style or a script of the pages."""
    if name not in pages.ASSETS:
        raise NotFound("There is no such asset.")
    return Response(
        pages.asset(name),
        headers={"content-type": pages.ASSETS[name], "Cache-Control": "public, max-age=300"},
    )

"""`/internal`: what Caddy asks, and nobody else gets to see."""

import itertools
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse
from fountain_common.errors import MEDIA_TYPE, Forbidden, document
from fountain_common.requests import current

from gateway_lookup.catalog import site
from gateway_lookup.deps import GatewayDep, edge_only
from gateway_lookup.pages import not_found_page, page_headers

router = APIRouter(dependencies=[Depends(edge_only)], include_in_schema=False)

Host = Annotated[str, Query(max_length=255)]
UPSTREAMS = tuple(f"X-Fountain-Upstream{suffix}" for suffix in ("", "-2", "-3", "-4"))


@router.get("/internal/route")
async def route(request: Request, gateway: GatewayDep, host: Host) -> Response:
    """Return four upstreams for a Host header, `host:port` each: who cannot reach one tries another. Where
    there are fewer instances, they repeat.
    """
    label = gateway.label_of(host)
    found = gateway.registry.upstreams(label) if label else None
    if found is not None and all(url.startswith("http://") for url in found):
        places = [_with_port(urlsplit(url).netloc) for url in found]
        return Response(headers=dict(zip(UPSTREAMS, itertools.cycle(places), strict=False)))
    near = gateway.registry.near(label) if label else []
    if "text/html" in request.headers.get("accept", ""):
        # The page is on the host that was asked for; its style and its icon are the portal's.
        own = site(gateway.settings)
        return HTMLResponse(
            not_found_page(gateway.settings, label or "", near),
            404,
            headers=page_headers(style_src=own, img_src=own),
        )
    return Response(_nobody(near), 404, media_type=MEDIA_TYPE)


@router.get("/internal/tls-ask")
async def tls_ask(gateway: GatewayDep, domain: Host) -> Response:
    """Return 200 if the edge may get a certificate for this host name."""
    if not await gateway.may_have_certificate(domain):
        raise Forbidden("No certificate for this name.")
    return Response()


def _nobody(near: list[str]) -> bytes:
    """Return the problem that the edge hands on. The caller's own path is not known here, and ours is nothing
    that he could ask for.
    """
    request = current()
    detail = "No service has this name now. Check the address, or start the service."
    return document(404, detail, "/", request.request_id if request else "", {"near": near})


def _with_port(netloc: str) -> str:
    return netloc if netloc.rpartition(":")[2].isdigit() and not netloc.endswith("]") else f"{netloc}:80"

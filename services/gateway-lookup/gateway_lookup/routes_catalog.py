"""The catalogue for programs, and the targets for Prometheus."""

from urllib.parse import urlsplit

import orjson
from fastapi import APIRouter, Response

from gateway_lookup.deps import CatalogReader, CatalogueDep, GatewayDep, Scraper
from gateway_lookup.schemas import Catalog, ScrapeTarget

router = APIRouter(tags=["catalog"])


@router.get(
    "/catalog",
    operation_id="getCatalog",
    summary="List every service with its health",
    response_model=Catalog,
)
async def get_catalog(_: CatalogReader, catalogue: CatalogueDep) -> Response:
    """Return every service: version, description, how many instances are in which state, health, and public
    links.
    """
    # What we made ourselves need not be validated: with many services that takes longer than making it.
    return Response(catalogue.catalog().model_dump_json(), media_type="application/json")


@router.get(
    "/discovery/prometheus",
    operation_id="listScrapeTargets",
    summary="List what Prometheus scrapes",
    response_model=list[ScrapeTarget],
)
async def list_scrape_targets(_: Scraper, gateway: GatewayDep) -> Response:
    """Return every instance that holds a lease, in the form of Prometheus' HTTP service discovery."""
    targets = [
        {
            "targets": [urlsplit(lease.claim.url).netloc],
            "labels": {
                "service": lease.claim.service,
                "fountain_instance": lease.claim.instance,
                "fountain_version": lease.claim.version,
                "__scheme__": lease.claim.scheme,
            },
        }
        for name in gateway.registry.names()
        for lease in gateway.registry.live(name)
    ]
    return Response(orjson.dumps(targets), media_type="application/json")

"""What routes ask for. All of it is `async`: the others would each cost a request a trip through a thread."""

from typing import Annotated

from fastapi import Depends, Path, Request
from fountain_common.auth import Caller, authenticate, requires
from fountain_common.errors import Forbidden, NotFound
from fountain_common.issuer import NAME as SECRETS_MANAGER
from fountain_common.names import service_name
from fountain_common.requests import Edge, current
from fountain_common.roles import Permission

from gateway_lookup.catalog import Catalogue
from gateway_lookup.service import Gateway
from gateway_lookup.watcher import Watcher

RawName = Annotated[str, Path(alias="serviceName", description="The name of a service; `_` is read as `-`.")]


async def _gateway(request: Request) -> Gateway:
    gateway: Gateway = request.app.state.gateway
    return gateway


async def _watcher(request: Request) -> Watcher:
    watcher: Watcher = request.app.state.watcher
    return watcher


async def _catalogue(request: Request) -> Catalogue:
    catalogue: Catalogue = request.app.state.catalogue
    return catalogue


async def _name(raw: RawName) -> str:
    return service_name(raw)


async def _may_look_up(request: Request, raw: RawName) -> str:
    name = service_name(raw)
    context = current()
    # The first token comes from the Secrets Manager: who wants one from inside must be able to find it
    # without.
    if name == SECRETS_MANAGER and context is not None and not context.through_edge:
        return name
    caller = await authenticate(request)
    if not caller.may(Permission.REGISTRY_LOOKUP):
        raise Forbidden.missing(Permission.REGISTRY_LOOKUP, caller.roles)
    return name


_may_look_up.permissions = (str(Permission.REGISTRY_LOOKUP),)  # type: ignore[attr-defined]


async def tcp_peer(request: Request) -> str:
    """Return the address at the other end of the connection; no header has a say in it."""
    return request.client.host if request.client else ""


async def _registrar(request: Request) -> Caller:
    caller = await authenticate(request)
    if not caller.may(Permission.REGISTRY_REGISTER):
        raise Forbidden.missing(Permission.REGISTRY_REGISTER, caller.roles)
    # Asked last: to a stranger we say that he is one, wherever he comes from.
    context = current()
    if context is None or context.through_edge:
        raise Forbidden("Instances register from inside the platform's network, never through the edge.")
    return caller


_registrar.permissions = (str(Permission.REGISTRY_REGISTER),)  # type: ignore[attr-defined]


async def edge_only(request: Request) -> None:
    """Let Caddy alone in; to everybody else there is nothing here."""
    edge: Edge = request.app.state.edge
    if not await edge.is_edge(await tcp_peer(request)):
        raise NotFound


GatewayDep = Annotated[Gateway, Depends(_gateway)]
WatcherDep = Annotated[Watcher, Depends(_watcher)]
CatalogueDep = Annotated[Catalogue, Depends(_catalogue)]
ServiceName = Annotated[str, Depends(_name)]
LookedUp = Annotated[str, Depends(_may_look_up)]
TcpPeer = Annotated[str, Depends(tcp_peer)]
Registrar = Annotated[Caller, Depends(_registrar)]
Admin = Annotated[Caller, requires(Permission.REGISTRY_WRITE)]
Reader = Annotated[Caller, requires(Permission.REGISTRY_READ)]
CatalogReader = Annotated[Caller, requires(Permission.CATALOG_READ)]
Scraper = Annotated[Caller, requires(Permission.REGISTRY_LOOKUP)]

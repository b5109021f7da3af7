"""`/registry`: instances come and go by themselves; an admin adds what cannot."""

import bisect
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Response
from fountain_common.errors import NotFound, problem_responses
from fountain_common.names import service_name

from gateway_lookup.deps import Admin, GatewayDep, Reader, Registrar, ServiceName, TcpPeer, WatcherDep
from gateway_lookup.leases import AddressLeasedError, Claim, Lease
from gateway_lookup.lookups import StaticEntry
from gateway_lookup.registry import Registry
from gateway_lookup.schemas import (
    InstanceRegistration,
    LeaseAnswer,
    NamedStaticRegistration,
    RegistryEntry,
    RegistryInstance,
    RegistryPage,
    StaticAnswer,
    StaticRegistration,
)

router = APIRouter(tags=["registry"])

InstanceId = Annotated[
    str, Path(alias="instanceId", pattern="^[0-9a-f]{32}$", description="32 hex digits, random per process.")
]
LeaseSecret = Annotated[
    str | None,
    Header(
        alias="X-Fountain-Lease", description="The lease's secret, from the first answer.", max_length=128
    ),
]


@router.get(
    "/registry",
    operation_id="listRegistry",
    summary="List everything that is registered",
    response_model=RegistryPage,
)
async def list_registry(
    _: Reader,
    gateway: GatewayDep,
    limit: Annotated[int, Query(ge=1, le=500, description="How many entries at most.")] = 50,
    cursor: Annotated[str | None, Query(max_length=63, description="From `next` of the page before.")] = None,
) -> RegistryPage:
    """Return every service with its instances, expired ones included, by name. For those who run the
    platform.
    """
    names = gateway.registry.names()
    begin = 0 if cursor is None else bisect.bisect_right(names, cursor)
    page = names[begin : begin + limit]
    items = [_entry(gateway.registry, name, gateway.monotonic()) for name in page]
    return RegistryPage(items=items, next=page[-1] if len(names) > begin + limit else None)


@router.get(
    "/registry/{serviceName}",
    operation_id="getRegistryEntry",
    summary="Show what is registered for a service",
    response_model=RegistryEntry,
    responses=problem_responses(404),
)
async def get_registry_entry(_: Reader, name: ServiceName, gateway: GatewayDep) -> RegistryEntry:
    """Return a service's instances with their generations and leases, its static entry and its pinned
    address.
    """
    if not gateway.registry.knows(name):
        raise NotFound(f"Nothing is registered for {name}.", near=gateway.registry.near(name))
    return _entry(gateway.registry, name, gateway.monotonic())


@router.post(
    "/registry",
    operation_id="createRegistryEntry",
    summary="Add a service that does not register itself",
    status_code=201,
    response_model=RegistryEntry,
    responses=problem_responses(409),
)
async def create_registry_entry(
    _: Admin, body: NamedStaticRegistration, gateway: GatewayDep
) -> RegistryEntry:
    """Add a static entry. It stands over instances that register under the name; names of the platform are
    refused.
    """
    name = service_name(body.service_name)
    await gateway.put_static(StaticEntry(name, body.url, tuple(body.hosts)), create=True)
    return _entry(gateway.registry, name, gateway.monotonic())


@router.put(
    "/registry/{serviceName}",
    operation_id="updateRegistryEntry",
    summary="Add or change a static entry",
    response_model=RegistryEntry,
    responses=problem_responses(409),
)
async def update_registry_entry(
    _: Admin, name: ServiceName, body: StaticRegistration, gateway: GatewayDep
) -> RegistryEntry:
    """Put a static entry in the place of the one that there is, if any."""
    await gateway.put_static(StaticEntry(name, body.url, tuple(body.hosts)), create=False)
    return _entry(gateway.registry, name, gateway.monotonic())


@router.delete(
    "/registry/{serviceName}",
    operation_id="deleteRegistryEntry",
    summary="Remove a static entry, or free a name",
    status_code=204,
    responses=problem_responses(404),
)
async def delete_registry_entry(_: Admin, name: ServiceName, gateway: GatewayDep) -> None:
    """Remove a static entry; instances that have registered under the name are found again. Where there is no
    entry and no instance lives, the name is freed: another service may then ask for it as a subdomain.
    """
    await gateway.forget(name)


@router.put(
    "/registry/{serviceName}/instances/{instanceId}",
    operation_id="registerInstance",
    summary="Register an instance or renew its lease",
    response_model=LeaseAnswer,
    response_model_exclude_none=True,
    responses=problem_responses(409),
)
async def register_instance(
    caller: Registrar,
    name: ServiceName,
    instance: InstanceId,
    body: InstanceRegistration,
    gateway: GatewayDep,
    watcher: WatcherDep,
    peer: TcpPeer,
    lease_secret: LeaseSecret = None,
) -> LeaseAnswer:
    """Hold a lease on a name. The address is the caller's own; the first answer carries the secret that
    renewals need.
    """
    said = Claim(
        service=name,
        instance=instance,
        identity=caller.subject,
        host="",
        port=body.port,
        generation=body.generation,
        scheme=body.scheme,
        version=body.version,
        title=body.title,
        description=body.description,
        hosts=tuple(body.hosts),
        draining=body.status == "draining",
    )
    claim = gateway.admitted(said, peer)
    try:
        granted = await gateway.register(claim, lease_secret)
    except AddressLeasedError as leased:
        # A container that has started may have been given the address of one that was killed a moment ago.
        await watcher.look_again(leased.key, name)
        granted = await gateway.register(claim, lease_secret)
    state = granted.lease.state.value
    return LeaseAnswer(
        service_name=name,
        instance_id=instance,
        url=claim.url,
        status=state,
        lease_seconds=gateway.settings.lease_seconds,
        renew_seconds=gateway.settings.renew_seconds,
        lease_secret=granted.secret,
    )


@router.delete(
    "/registry/{serviceName}/instances/{instanceId}",
    operation_id="deregisterInstance",
    summary="Give up a lease",
    status_code=204,
)
async def deregister_instance(
    caller: Registrar,
    name: ServiceName,
    instance: InstanceId,
    gateway: GatewayDep,
    lease_secret: LeaseSecret = None,
) -> Response:
    """Leave: the instance is not found from now on. A lease that is gone already is given up."""
    await gateway.deregister((name, instance), caller.subject, lease_secret)
    return Response(status_code=204)


def _entry(registry: Registry, name: str, now: float) -> RegistryEntry:
    static = registry.statics.get(name)
    return RegistryEntry(
        service_name=name,
        pinned_url=registry.pinned.get(name),
        static=StaticAnswer(url=static.url, hosts=list(static.hosts)) if static else None,
        instances=[_instance(lease, now) for lease in registry.instances(name)],
    )


def _instance(lease: Lease, now: float) -> RegistryInstance:
    claim = lease.claim
    return RegistryInstance(
        instance_id=claim.instance,
        url=claim.url,
        version=claim.version,
        status=lease.state.value,
        identity=claim.identity,
        generation=claim.generation,
        title=claim.title,
        description=claim.description,
        hosts=list(claim.hosts),
        expires_in_seconds=max(0.0, round(lease.expires_at - now, 3)),
    )

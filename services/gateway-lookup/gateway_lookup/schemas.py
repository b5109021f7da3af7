"""What is sent and answered."""

from typing import Annotated, Literal

from fountain_common.schemas import StrictModel
from pydantic import BaseModel, Field, StringConstraints

Label = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]


class InstanceRegistration(StrictModel):
    """What an instance says of itself. Its address is the one that it connects from."""

    port: int = Field(ge=1, le=65535, description="The port where it listens.")
    version: str = Field(default="", max_length=64)
    hosts: list[Label] = Field(
        default=[],
        max_length=8,
        description="Further subdomains, single labels; the service's name is always one.",
    )
    generation: int = Field(
        default=0,
        ge=0,
        le=2**62,
        description="Grows with every start (milliseconds since 1970 will do), so that an older process "
        "cannot come back. Without it, an instance takes the place of no other at its address before the "
        "lease of that one has run out.",
    )
    scheme: Literal["http", "https"] = Field(
        default="http", description="https is the Secrets Manager's alone."
    )
    status: Literal["up", "draining"] = Field(
        default="up", description="draining: finishes what it has and wants nothing new."
    )
    title: str = Field(default="", max_length=120)
    description: str = Field(default="", max_length=300)


class StaticRegistration(StrictModel):
    """Where a service is that does not register itself."""

    url: str = Field(
        max_length=2048,
        description="http:// or https://, host and port, no path. The edge serves those with http:// alone.",
    )
    hosts: list[Label] = Field(default=[], max_length=8, description="Further subdomains, single labels.")


class NamedStaticRegistration(StaticRegistration):
    """The same, with its name."""

    service_name: str = Field(max_length=63)


class LeaseAnswer(BaseModel):
    """A lease."""

    service_name: str
    instance_id: str
    url: str = Field(description="The address as the gateway sees it.")
    status: Literal["up", "draining", "down"]
    lease_seconds: float
    renew_seconds: float
    lease_secret: str | None = Field(
        default=None, description="In the first answer alone: to be sent as X-Fountain-Lease from now on."
    )


class InstanceAnswer(BaseModel):
    """One running instance."""

    instance_id: str
    url: str
    version: str
    status: Literal["up", "draining", "down", "expired"]


class LookupAnswer(BaseModel):
    """Where a service is."""

    service_name: str
    url: str = Field(description="An instance that is up, if there is one.")
    source: Literal["leased", "static", "pinned"]
    instances: list[InstanceAnswer]
    hosts: list[str] = Field(description="The subdomains where the edge serves it.")


class RegistryInstance(InstanceAnswer):
    """One lease, as the registry holds it."""

    identity: str
    generation: int
    title: str
    description: str
    hosts: list[str]
    expires_in_seconds: float = Field(description="Until the lease runs out; 0 if it has.")


class StaticAnswer(BaseModel):
    """A static entry."""

    url: str
    hosts: list[str]


class RegistryEntry(BaseModel):
    """Everything that the registry holds about a service."""

    service_name: str
    pinned_url: str | None
    static: StaticAnswer | None
    instances: list[RegistryInstance]


class RegistryPage(BaseModel):
    """Entries by name."""

    items: list[RegistryEntry]
    next: str | None = Field(description="The `cursor` of the next page; null on the last one.")


class CatalogLinks(BaseModel):
    """Where people and programs go."""

    site: str
    docs: str
    health: str
    openapi: str


class CatalogService(BaseModel):
    """A service as the portal shows it."""

    service_name: str
    title: str
    description: str
    version: str
    status: Literal["healthy", "degraded", "unhealthy", "draining", "expired", "unknown"]
    degraded: list[str] = Field(description="What it misses although it does its own job.")
    instances: dict[str, int] = Field(description="How many instances are in which state.")
    links: CatalogLinks


class Catalog(BaseModel):
    """Every service."""

    domain: str
    services: list[CatalogService]


class ScrapeTarget(BaseModel):
    """A group of targets in the form of Prometheus' HTTP service discovery."""

    targets: list[str]
    labels: dict[str, str]

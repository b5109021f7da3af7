"""What the gateway reads besides what every service reads."""

from typing import Annotated

from fountain_common.settings import ServiceSettings
from pydantic import Field
from pydantic_settings import SettingsConfigDict


class GatewaySettings(ServiceSettings):
    """Settings of the gateway."""

    model_config = SettingsConfigDict(populate_by_name=True)

    service_name: str = "gateway-lookup"
    """The service's name."""
    pinned_issuer_url: Annotated[str, Field(validation_alias="FOUNTAIN_ISSUER_URL")] = ""
    """Where the Secrets Manager is, `https://host:port`: the answer to a lookup of it, whatever registers.
    Empty means: as leased.
    """
    http_port: int = Field(default=80, ge=1, le=65535)
    """The edge's port for HTTP: no instance may register with it."""
    https_port: int = Field(default=443, ge=1, le=65535)
    """The edge's port for HTTPS: no instance may register with it; links in pages carry it unless it is
    443.
    """
    tls: Annotated[str, Field(pattern="^(local|acme)$")] = "local"
    """Who issues the edge's certificates: `local` allows any single label, `acme` only names that an
    identity has leased.
    """
    acme_names_per_week: int = Field(default=20, ge=0)
    """How many names may get their first public certificate in any seven days."""
    acme_names_per_service: int = Field(default=5, ge=0)
    """How many of them may be one service's, so that none uses up what is everybody's."""
    lease_seconds: float = Field(default=30, gt=0)
    """How long a lease lasts without being renewed, in seconds."""
    renew_seconds: float = Field(default=10, gt=0)
    """How often an instance is asked to renew, in seconds."""
    sweep_seconds: float = Field(default=1, gt=0)
    """How often the gateway looks for leases that have run out, in seconds."""
    probe_seconds: float = Field(default=5, gt=0)
    """How often the gateway asks every instance how it is, in seconds."""
    vigil_seconds: float = Field(default=1, gt=0)
    """How often the gateway begins to watch the instances that have come, by a connection to each, in
    seconds.
    """
    describe_seconds: float = Field(default=60, gt=0)
    """How often the gateway fetches the OpenAPI document of every service, in seconds."""

    @property
    def reserved_ports(self) -> frozenset[int]:
        """The edge's ports, its admin port included: nothing that registers is there."""
        return frozenset({80, 443, 2019, self.http_port, self.https_port})

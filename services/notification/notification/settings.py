"""What the notification service reads from its environment, beside what every service reads."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated

from fountain_common.settings import ServiceSettings
from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from notification.retention import Rule, parse_rules
from notification.schedule import Schedule, parse_schedule

Network = IPv4Network | IPv6Network


class Settings(ServiceSettings):
    """Settings of the notification service."""

    service_name: str = "notification"
    port: int = Field(default=8000, ge=1, le=65535)

    retention: Annotated[tuple[Rule, ...], NoDecode] = parse_rules("secret.>=90d:100000,>=7d:1000000")
    """How long and how many events are kept, by type: `<pattern>=<age>[:<count>]`, the first that matches a
    type counts.
    An age is a number with s, m, h or d; the count holds for each type."""
    retained_per_type: int = Field(default=10_000, ge=0)
    """Of each type, the newest event of so many subjects stays however old it is; of more subjects, those
    longest silent go.
    """
    retention_interval_seconds: float = Field(default=300, gt=0)
    """How often what is too old is looked for, in seconds."""

    stream_heartbeat_seconds: float = Field(default=15, gt=0)
    """A stream without events says so this often, in seconds."""
    stream_stall_seconds: float = Field(default=10, gt=0)
    """A reader that takes nothing for so long is disconnected, in seconds."""
    max_streams: int = Field(default=5000, ge=1)
    """How many streams may be open at once; the next is a 503."""

    webhook_allowed_networks: Annotated[tuple[Network, ...], NoDecode] = ()
    """Networks, in CIDR notation with commas between, to which webhooks may go although they are not public.
    """
    delivery_schedule: Annotated[Schedule, NoDecode] = parse_schedule("0,5s,5m,30m,2h,5h,10h,14h,20h,24h")
    """How long after the attempt before it each attempt of a delivery comes."""
    delivery_timeout_seconds: float = Field(default=15, gt=0)
    """How long a receiver may take to answer, in seconds."""
    delivery_concurrency: int = Field(default=8, ge=1, le=64)
    """How many deliveries of one subscription may be under way at once."""
    disable_after_seconds: float = Field(default=5 * 86400, gt=0)
    """A subscription that has failed for so long without one success is disabled."""
    delivery_retention_days: float = Field(default=30, gt=0)
    """How long finished deliveries, dead letters and the records of attempts are kept."""

    @field_validator("retention", mode="before")
    @classmethod
    def _rules(cls, value: object) -> object:
        return parse_rules(value) if isinstance(value, str) else value

    @field_validator("delivery_schedule", mode="before")
    @classmethod
    def _schedule(cls, value: object) -> object:
        return parse_schedule(value) if isinstance(value, str) else value

    @field_validator("webhook_allowed_networks", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(ip_network(part.strip()) for part in value.split(",") if part.strip())
        return value

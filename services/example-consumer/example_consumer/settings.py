"""Settings of the example consumer."""

from typing import Annotated

from fountain_common import ServiceSettings
from pydantic import Field, field_validator
from pydantic_settings import NoDecode


class Settings(ServiceSettings):
    """What it reads besides the settings of every service."""

    service_name: str = "example-consumer"
    link_hosts: Annotated[frozenset[str], NoDecode] = frozenset({"example.com", "www.example.com"})
    """The hosts that links may lead to, separated by spaces: our name is not lent to any page there is."""
    link_seconds: int = Field(default=900, ge=1)
    """The longest life of a link, in seconds; a shorter `overlap_seconds` ends links early."""
    https_port: int = Field(default=443, ge=1, le=65535)
    """The port of the edge, which links name."""

    @field_validator("link_hosts", mode="before")
    @classmethod
    def _split(cls, raw: object) -> object:
        return frozenset(raw.lower().split()) if isinstance(raw, str) else raw

    @property
    def public_url(self) -> str:
        """Where this service is reached from outside."""
        port = "" if self.https_port == 443 else f":{self.https_port}"
        return f"https://{self.service_name}.{self.domain}{port}"

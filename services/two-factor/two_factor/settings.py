"""Settings of the two-factor service."""

from fountain_common import ServiceSettings
from pydantic import Field, field_validator

from two_factor.couriers import is_identity


class Settings(ServiceSettings):
    """What it reads besides the settings of every service."""

    service_name: str = "two-factor"
    otp_issuer: str = Field(default="FountainAI", min_length=1, max_length=64, pattern=r"^[^:\x00-\x1f]+$")
    """The name that authenticator apps show beside the code."""
    one_time_code_seconds: int = Field(default=300, ge=30, le=3600)
    """How long a code that went out as an event is good, in seconds."""
    otp_couriers: str = Field(default="", max_length=1024)
    """Identities that may receive one-time codes for others, separated by spaces, such as the one that sends
    mail. Without any, a code goes to the identity of the person alone."""

    @field_validator("otp_couriers")
    @classmethod
    def _identities(cls, raw: str) -> str:
        for name in raw.split():
            if not is_identity(name):
                raise ValueError(f"{name!r} is not the name of an identity")
        return raw

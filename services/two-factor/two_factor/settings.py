"""Settings of the two-factor service."""

from fountain_common.settings import ServiceSettings
from pydantic import Field


class Settings(ServiceSettings):
    """What it reads besides the settings of every service."""

    service_name: str = "two-factor"
    otp_issuer: str = Field(default="FountainAI", min_length=1, max_length=64, pattern=r"^[^:\x00-\x1f]+$")
    """The name that authenticator apps show beside the code."""
    one_time_code_seconds: int = Field(default=300, ge=30, le=3600)
    """How long a code that went out as an event is good, in seconds."""

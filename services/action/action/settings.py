"""Settings of the action service."""

from fountain_common import ServiceSettings


class Settings(ServiceSettings):
    """It reads what every service reads."""

    service_name: str = "action"

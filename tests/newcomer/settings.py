"""What the guest book is called."""

from fountain_common.settings import ServiceSettings


class Settings(ServiceSettings):
    """Settings of the guest book."""

    service_name: str = "guest-book"

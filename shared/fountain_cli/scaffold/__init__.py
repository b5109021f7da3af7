"""A new service from the template, wired into the platform: `make new-service name=stories`."""

from fountain_cli.scaffold.new import NotMade, make_service
from fountain_cli.scaffold.upgrade import upgrade_service

__all__ = ["NotMade", "make_service", "upgrade_service"]

"""A new service from the template, wired into the platform: `make new-service name=stories`."""

from fountain_cli.scaffold.new import NotMade, make_service

__all__ = ["NotMade", "make_service"]

"""All routes about secrets, for main.py."""

from secrets_manager import (
    routes_factory,
    routes_grants,
    routes_holders,
    routes_keys,
    routes_policies,
    routes_rotations,
    routes_secrets,
    routes_versions,
)

ROUTERS = (
    routes_secrets.router,
    routes_versions.router,
    routes_holders.router,
    routes_policies.router,
    routes_grants.router,
    routes_rotations.router,
    routes_factory.router,
    routes_keys.router,
)

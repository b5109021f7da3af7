"""Makes a FastAPI application a service of the FountainAI platform.

    app = create_service(settings, title="Orders", description="Takes orders.", version="1.0.0")

What is named here is the public face, with two modules beside it: `fountain_common.migrations`, for a
service's `env.py` and the test of its tables, and `fountain_common.testing`, for its tests. All other modules
are the library's own and may change. A name is loaded when it is first used, so that a service pays, in time
to start and in memory, only for what it needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fountain_common.app import create_service as create_service
    from fountain_common.auth import requires as requires
    from fountain_common.db import Database as Database
    from fountain_common.db import UtcDateTime as UtcDateTime
    from fountain_common.db import new_metadata as new_metadata
    from fountain_common.entrypoint import run as run
    from fountain_common.errors import BadRequest as BadRequest
    from fountain_common.errors import Conflict as Conflict
    from fountain_common.errors import Forbidden as Forbidden
    from fountain_common.errors import Gone as Gone
    from fountain_common.errors import InvalidName as InvalidName
    from fountain_common.errors import NotFound as NotFound
    from fountain_common.errors import PayloadTooLarge as PayloadTooLarge
    from fountain_common.errors import PreconditionFailed as PreconditionFailed
    from fountain_common.errors import Problem as Problem
    from fountain_common.errors import TooManyRequests as TooManyRequests
    from fountain_common.errors import Unauthenticated as Unauthenticated
    from fountain_common.errors import Unavailable as Unavailable
    from fountain_common.errors import Unprocessable as Unprocessable
    from fountain_common.errors import problem_responses as problem_responses
    from fountain_common.event import Event as Event
    from fountain_common.events import Events as Events
    from fountain_common.health import Health as Health
    from fountain_common.health import HealthCheck as HealthCheck
    from fountain_common.holding import HeldVersion as HeldVersion
    from fountain_common.http import Peers as Peers
    from fountain_common.logging import get_logger as get_logger
    from fountain_common.logging import set_level as set_level
    from fountain_common.metrics import Metrics as Metrics
    from fountain_common.names import service_name as service_name
    from fountain_common.outbox import OutboxDispatcher as OutboxDispatcher
    from fountain_common.outbox import enqueue as enqueue
    from fountain_common.outbox import outbox_table as outbox_table
    from fountain_common.platform import Platform as Platform
    from fountain_common.platform import create_platform as create_platform
    from fountain_common.requests import RequestContext as RequestContext
    from fountain_common.requests import current as current
    from fountain_common.roles import Permission as Permission
    from fountain_common.roles import Role as Role
    from fountain_common.schemas import StrictModel as StrictModel
    from fountain_common.sealing import SealBroken as SealBroken
    from fountain_common.sealing import Sealer as Sealer
    from fountain_common.secrets import Secrets as Secrets
    from fountain_common.settings import ServiceSettings as ServiceSettings
    from fountain_common.settings import load as load
    from fountain_common.store import dispatch_outbox as dispatch_outbox
    from fountain_common.store import open_store as open_store
    from fountain_common.tokens import Caller as Caller

_HOME = {
    "BadRequest": "errors",
    "Caller": "tokens",
    "Conflict": "errors",
    "Database": "db",
    "Event": "event",
    "Events": "events",
    "Forbidden": "errors",
    "Gone": "errors",
    "Health": "health",
    "HealthCheck": "health",
    "HeldVersion": "holding",
    "InvalidName": "errors",
    "Metrics": "metrics",
    "NotFound": "errors",
    "OutboxDispatcher": "outbox",
    "PayloadTooLarge": "errors",
    "Peers": "http",
    "Permission": "roles",
    "Platform": "platform",
    "PreconditionFailed": "errors",
    "Problem": "errors",
    "RequestContext": "requests",
    "Role": "roles",
    "SealBroken": "sealing",
    "Sealer": "sealing",
    "Secrets": "secrets",
    "ServiceSettings": "settings",
    "StrictModel": "schemas",
    "TooManyRequests": "errors",
    "Unauthenticated": "errors",
    "Unavailable": "errors",
    "Unprocessable": "errors",
    "UtcDateTime": "db",
    "create_platform": "platform",
    "create_service": "app",
    "current": "requests",
    "dispatch_outbox": "store",
    "enqueue": "outbox",
    "get_logger": "logging",
    "load": "settings",
    "new_metadata": "db",
    "open_store": "store",
    "outbox_table": "outbox",
    "problem_responses": "errors",
    "requires": "auth",
    "run": "entrypoint",
    "service_name": "names",
    "set_level": "logging",
}
PUBLIC_MODULES = ("migrations", "testing")
"""What is needed apart from a running service, and would cost it: Alembic, and the fakes. Their `__all__`
is public too.
"""

__all__ = sorted(_HOME)  # noqa: PLE0605 - a list, by its type


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})

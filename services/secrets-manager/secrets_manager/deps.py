"""What routes of identities, tokens and the audit depend on."""

from typing import Annotated

from fastapi import Depends, Request
from fountain_common.auth import Caller, requires
from fountain_common.requests import RequestContext, current
from fountain_common.roles import Permission
from fountain_common.tracing import TraceParent

from secrets_manager.core import Core
from secrets_manager.identities import Actor


async def get_core(request: Request) -> Core:
    """Return the open core; Unavailable while it is not."""
    core: Core = request.app.state.core
    core.require_open()
    return core


async def get_context() -> RequestContext:
    """Return what is known about this request."""
    return current() or RequestContext("", TraceParent("0" * 32, "0" * 16))


def _actor(permission: Permission) -> object:
    # A coroutine, as a plain function would be sent through a thread.
    async def actor(caller: Annotated[Caller, requires(permission)]) -> Actor:
        return Actor(caller, current())

    return Depends(actor)


TheCore = Annotated[Core, Depends(get_core)]
Context = Annotated[RequestContext, Depends(get_context)]
IdentityReader = Annotated[Actor, _actor(Permission.IDENTITIES_READ)]
IdentityWriter = Annotated[Actor, _actor(Permission.IDENTITIES_WRITE)]
KeyWriter = Annotated[Actor, _actor(Permission.KEYS_WRITE)]
SigningKeyRotator = Annotated[Actor, _actor(Permission.SIGNING_KEYS_ROTATE)]
AuditReader = Annotated[Actor, _actor(Permission.AUDIT_READ)]
AuditWriter = Annotated[Actor, _actor(Permission.AUDIT_WRITE)]

"""What routes about secrets depend on: the services, and the parts of requests that several share."""

from typing import Annotated

from fastapi import Depends, Header, Path, Request
from fountain_common.names import service_name

from secrets_manager.parts import SecretsParts


async def _parts(request: Request) -> SecretsParts:
    parts: SecretsParts = request.app.state.secrets_parts
    return parts


async def _canonical(
    serviceName: Annotated[str, Path(max_length=200, description="The service whose secret it is.")],  # noqa: N803
) -> str:
    return service_name(serviceName)


async def _canonical_identity(
    identity: Annotated[str, Path(max_length=200, description="The name of an identity.")],
) -> str:
    return service_name(identity)


#: The services of this half, made when the application started.
Parts = Annotated[SecretsParts, Depends(_parts)]

#: The service in the path, in its one spelling; anything else is refused.
SecretName = Annotated[str, Depends(_canonical)]

#: The identity in the path, in its one spelling.
IdentityName = Annotated[str, Depends(_canonical_identity)]

_INSTANCE = r"^[A-Za-z0-9._-]{1,64}$"

#: An instance that reads and thereby becomes a holder, or is renewed as one.
InstanceHeader = Annotated[
    str | None,
    Header(
        alias="X-Fountain-Instance",
        pattern=_INSTANCE,
        description="Random for each process. With it, the caller becomes a holder, for whom rotations wait.",
    ),
]

#: The instance that speaks as a holder.
HolderHeader = Annotated[
    str,
    Header(alias="X-Fountain-Instance", pattern=_INSTANCE, description="The instance that read the secret."),
]

InstancePath = Annotated[str, Path(pattern=_INSTANCE, description="The instance that stops.")]

IdempotencyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="For 24 hours, the request may be sent again: it is done once, and answered alike.",
    ),
]

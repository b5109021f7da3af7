"""Who may say what (pure).

Some types are believed by whoever receives them, so only the one that they are about may publish them.
"""

from collections.abc import Iterable

from fountain_common.errors import Forbidden
from fountain_common.roles import Role

SECRETS_MANAGER = "secrets-manager"
GATEWAY = "gateway-lookup"
NOTIFICATION = "notification"

_OWNERS = {
    "secret": SECRETS_MANAGER,
    "identity": SECRETS_MANAGER,
    "signing-key": SECRETS_MANAGER,
    "audit": SECRETS_MANAGER,
    "subscription": NOTIFICATION,
}
_OF_THE_GATEWAY = frozenset({"service.registered", "service.expired"})


def require_may_publish(publisher: str, roles: Iterable[str], type_: str, subject: str) -> None:
    """Return if an identity may publish an event of this type about this subject.

    Raises:
        Forbidden: says whose type it is.
    """
    folded = type_.lower()
    family = folded.partition(".")[0]
    owner = GATEWAY if folded in _OF_THE_GATEWAY else _OWNERS.get(family)
    if owner is not None:
        if publisher != owner:
            raise Forbidden(f"Only {owner} publishes events of the type {type_}.")
    elif family == "service" and subject != publisher:
        raise Forbidden(f"A service publishes {type_} only about itself: the subject must be {publisher}.")
    elif family == "config" and Role.ADMIN not in roles:
        raise Forbidden(f"Only the role admin publishes events of the type {type_}.")


def require_may_announce_rotation(publisher: str, roles: Iterable[str]) -> None:
    """Return if an identity may use the short form that becomes `secret.rotated`.

    Raises:
        Forbidden: it is neither an admin nor the Secrets Manager.
    """
    if publisher != SECRETS_MANAGER and Role.ADMIN not in roles:
        raise Forbidden("Only secrets-manager and the role admin announce a rotation.")

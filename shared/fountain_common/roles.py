"""Permissions and the roles that are sets of them.

A permission is `<resource>:<action>`, both in lower case. Resources are plural nouns of the API; `read` is
looking, `write` is making, changing and removing, and every other action is named for the one operation that
it allows.
"""

from collections.abc import Iterable
from enum import StrEnum


class Permission(StrEnum):
    """Everything that an operation of the platform can ask for."""

    IDENTITIES_READ = "identities:read"
    """List identities and look at one, with the metadata of its keys."""
    IDENTITIES_WRITE = "identities:write"
    """Create, change and revoke identities."""
    KEYS_WRITE = "keys:write"
    """Create and revoke API keys."""
    TOKENS_EXCHANGE = "tokens:exchange"
    """Exchange an API key that a caller presented for a token for oneself."""

    SECRETS_LIST = "secrets:list"
    """See which secrets exist, their versions, holders and states; never a value."""
    SECRETS_READ = "secrets:read"
    """Read values: an admin any, a service its own and those granted to it."""
    SECRETS_WRITE = "secrets:write"
    """Choose values; create, replace, revoke, restore, destroy, rotate at once."""
    SECRETS_ROTATE = "secrets:rotate"
    """Rotate to generated values, waiting for every holder."""
    SECRETS_ACK = "secrets:ack"
    """Acknowledge as a holder that a version is accepted or used."""
    SECRETS_GENERATE = "secrets:generate"
    """Have a random value made that is stored nowhere."""
    GRANTS_READ = "grants:read"
    """See who else may read a service's secrets."""
    GRANTS_WRITE = "grants:write"
    """Let another identity read a service's secrets, or no more."""
    ROTATIONS_READ = "rotations:read"
    """Follow rotations."""
    ROTATIONS_FORCE = "rotations:force"
    """Take a rotation on without those who are late."""
    ROTATIONS_ABORT = "rotations:abort"
    """Give up a staged version."""
    POLICIES_READ = "policies:read"
    """See when a service's secrets rotate by themselves."""
    POLICIES_WRITE = "policies:write"
    """Set when a service's secrets rotate by themselves."""
    AUDIT_READ = "audit:read"
    """Read the audit records and verify their chain."""
    AUDIT_WRITE = "audit:write"
    """Export and prune sealed segments of the audit."""
    KEK_ROTATE = "kek:rotate"
    """Rotate the key-encryption key."""
    SIGNING_KEYS_ROTATE = "signing-keys:rotate"
    """Rotate the key that signs tokens."""

    EVENTS_PUBLISH = "events:publish"
    """Publish an event."""
    EVENTS_READ = "events:read"
    """List events and hold a stream."""
    NOTIFICATIONS_DELIVER = "notifications:deliver"
    """Hand an event to a service at its `POST /notifications`."""
    SUBSCRIPTIONS_READ = "subscriptions:read"
    """See subscriptions and their deliveries."""
    SUBSCRIPTIONS_WRITE = "subscriptions:write"
    """Put and remove subscriptions, rotate their signing secrets."""
    SUBSCRIPTIONS_REPLAY = "subscriptions:replay"
    """Have events delivered again."""

    REGISTRY_LOOKUP = "registry:lookup"
    """Ask where a service is."""
    REGISTRY_READ = "registry:read"
    """See all entries of the registry."""
    REGISTRY_REGISTER = "registry:register"
    """Register, renew and remove an instance of oneself."""
    REGISTRY_WRITE = "registry:write"
    """Make, change and remove static entries."""
    CATALOG_READ = "catalog:read"
    """See the catalogue of services."""


class Role(StrEnum):
    """What an identity is."""

    ADMIN = "admin"
    OPERATOR = "operator"
    SERVICE = "service"
    AUDITOR = "auditor"
    VIEWER = "viewer"


_P = Permission
ROLES: dict[Role, frozenset[Permission]] = {
    Role.ADMIN: frozenset(Permission),
    Role.OPERATOR: frozenset(
        {
            _P.SECRETS_LIST, _P.SECRETS_ROTATE, _P.ROTATIONS_READ, _P.ROTATIONS_FORCE,
            _P.ROTATIONS_ABORT, _P.POLICIES_READ, _P.POLICIES_WRITE, _P.EVENTS_PUBLISH,
            _P.EVENTS_READ, _P.SUBSCRIPTIONS_READ, _P.SUBSCRIPTIONS_WRITE, _P.SUBSCRIPTIONS_REPLAY,
            _P.REGISTRY_LOOKUP, _P.REGISTRY_READ, _P.CATALOG_READ,
        }
    ),
    Role.SERVICE: frozenset(
        {
            _P.TOKENS_EXCHANGE, _P.SECRETS_READ, _P.SECRETS_ACK, _P.SECRETS_GENERATE,
            _P.EVENTS_PUBLISH, _P.EVENTS_READ, _P.REGISTRY_LOOKUP, _P.REGISTRY_REGISTER,
            _P.CATALOG_READ,
        }
    ),
    Role.AUDITOR: frozenset(
        {
            _P.AUDIT_READ, _P.SECRETS_LIST, _P.ROTATIONS_READ, _P.POLICIES_READ, _P.GRANTS_READ,
            _P.IDENTITIES_READ, _P.SUBSCRIPTIONS_READ, _P.REGISTRY_LOOKUP, _P.REGISTRY_READ,
            _P.CATALOG_READ,
        }
    ),
    Role.VIEWER: frozenset({_P.CATALOG_READ, _P.EVENTS_READ, _P.REGISTRY_LOOKUP}),
}  # fmt: skip
"""What each role may do."""

_PLATFORM_PERMISSIONS = frozenset(str(permission) for permission in Permission)
_OWN_READERS = frozenset({Role.ADMIN, Role.OPERATOR, Role.SERVICE, Role.VIEWER})
_OWN_WRITERS = frozenset({Role.ADMIN, Role.OPERATOR, Role.SERVICE})
_OF_IDENTITIES = {"notification": frozenset({Permission.NOTIFICATIONS_DELIVER})}


def read_roles(claim: object) -> tuple[str, ...]:
    """Return the roles of a token's claim: a list of words, or one string with commas.

    Words that are no role of ours stay; they allow nothing.

    Raises:
        ValueError: the claim is neither.
    """
    words = claim.split(",") if isinstance(claim, str) else claim
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ValueError("roles is neither a list of words nor a string of words with commas")
    return tuple(dict.fromkeys(word.strip() for word in words if word.strip()))


def permissions_of(roles: Iterable[str], subject: str = "") -> frozenset[Permission]:
    """Return what these roles may do on the platform.

    Args:
        roles: names of roles; unknown ones allow nothing.
        subject: the identity. The notification service alone, of all services, delivers events to others.
    """
    held = {role for role in Role if role in set(roles)}
    granted = frozenset[Permission]().union(*(ROLES[role] for role in held))
    if Role.SERVICE in held:
        granted |= _OF_IDENTITIES.get(subject, frozenset())
    return granted


def allows(roles: Iterable[str], permission: str, subject: str = "") -> bool:
    """Tell whether these roles carry a permission, one of the platform or one of a team's own service.

    A team's service names permissions of its own (`links:create`). There, `read` is for viewers too, and
    every other action for operators, services and admins.
    """
    if permission in _PLATFORM_PERMISSIONS:
        return permission in permissions_of(roles, subject)
    enough = _OWN_READERS if permission.endswith(":read") else _OWN_WRITERS
    return not enough.isdisjoint(roles)

"""Who may see the values of a secret, and who may do what to it."""

from collections.abc import Iterable
from typing import Final

from fountain_common.auth import Caller
from fountain_common.errors import Forbidden
from fountain_common.roles import Permission

#: What has a value in it, or lets one be chosen: named alike for those who may not know whether a secret
#: exists.
_VALUES: Final = Permission.SECRETS_READ


class Grants:
    """Which identities may read which secrets besides their own; kept whole in memory."""

    def __init__(self) -> None:
        self._granted: set[tuple[str, str]] = set()
        self._generation = 0

    @property
    def generation(self) -> int:
        """How many changes there were; what was read before another one is out of date."""
        return self._generation

    def replace(self, granted: Iterable[tuple[str, str]], generation: int) -> None:
        """Take these pairs of service and identity for all there are, unless they are out of date."""
        if generation == self._generation:
            self._granted = set(granted)

    def add(self, service_name: str, identity: str) -> None:
        """Let an identity read."""
        self._generation += 1
        self._granted.add((service_name, identity))

    def remove(self, service_name: str, identity: str) -> None:
        """Let it read no more."""
        self._generation += 1
        self._granted.discard((service_name, identity))

    def has(self, service_name: str, identity: str) -> bool:
        """Whether the identity may read that service's secret."""
        return (service_name, identity) in self._granted


class Access:
    """Decides over callers and secrets; what it says of a secret never depends on whether it exists."""

    def __init__(self, grants: Grants) -> None:
        self.grants = grants

    def sees_values(self, caller: Caller, service_name: str) -> bool:
        """Whether the caller may read values: an admin any, a service its own and those granted to it."""
        if not caller.may(_VALUES):
            return False
        return (
            caller.is_admin or caller.subject == service_name or self.grants.has(service_name, caller.subject)
        )

    def require_sight(self, caller: Caller, service_name: str) -> bool:
        """Return whether the caller sees values, or raise Forbidden if not even that the secret exists."""
        if self.sees_values(caller, service_name):
            return True
        if caller.may(Permission.SECRETS_LIST):
            return False
        raise Forbidden.missing(f"{_VALUES} for {service_name}", caller.roles)

    def require_values(self, caller: Caller, service_name: str) -> None:
        """Raise Forbidden unless the caller may read values."""
        if not self.sees_values(caller, service_name):
            raise Forbidden.missing(f"{_VALUES} for {service_name}", caller.roles)


def require(caller: Caller, permission: Permission) -> None:
    """Raise Forbidden unless the caller has a permission that this request, though not the operation,
    needs.
    """
    if not caller.may(permission):
        raise Forbidden.missing(permission, caller.roles)

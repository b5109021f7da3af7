"""Who may say what."""

import pytest
from fountain_common.errors import Forbidden
from notification.authority import require_may_announce_rotation, require_may_publish

RESERVED = {
    "secret.rotated": "secrets-manager",
    "secret.a.b": "secrets-manager",
    "identity.revoked": "secrets-manager",
    "signing-key.rotated": "secrets-manager",
    "audit.anchored": "secrets-manager",
    "service.registered": "gateway-lookup",
    "service.expired": "gateway-lookup",
    "subscription.disabled": "notification",
    "Secret.rotated": "secrets-manager",
}


@pytest.mark.parametrize(("type_", "owner"), RESERVED.items())
def test_a_reserved_type_is_its_owners_alone_and_not_even_an_admins(type_: str, owner: str) -> None:
    require_may_publish(owner, ["service"], type_, "x")
    for publisher, roles in (("two-factor", ["service"]), ("root", ["admin"]), ("olga", ["operator"])):
        with pytest.raises(Forbidden, match=owner):
            require_may_publish(publisher, roles, type_, "x")


def test_a_service_speaks_of_itself_alone() -> None:
    require_may_publish("two-factor", ["service"], "service.started", "two-factor")
    for subject in ("example-consumer", ""):
        with pytest.raises(Forbidden, match="itself"):
            require_may_publish("two-factor", ["service"], "service.started", subject)


def test_configuration_is_admins_to_change() -> None:
    require_may_publish("root", ["admin"], "config.updated", "example-consumer")
    with pytest.raises(Forbidden, match="admin"):
        require_may_publish("two-factor", ["service"], "config.updated", "example-consumer")


def test_everything_else_is_anybodys() -> None:
    require_may_publish("two-factor", ["service"], "order.placed", "o1")
    require_may_publish("two-factor", ["service"], "secrets.of.the.kitchen", "")


def test_a_rotation_is_announced_by_admin_or_the_secrets_manager() -> None:
    require_may_announce_rotation("root", ["admin"])
    require_may_announce_rotation("secrets-manager", ["service"])
    with pytest.raises(Forbidden):
        require_may_announce_rotation("two-factor", ["service"])

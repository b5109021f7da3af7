"""Permissions and roles."""

import re

import pytest
from fountain_common.roles import ROLES, Permission, Role, allows, permissions_of, read_roles


def test_every_permission_is_a_resource_and_an_action() -> None:
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*:[a-z]+", permission) for permission in Permission)


def test_an_admin_may_do_everything() -> None:
    assert permissions_of(["admin"]) == set(Permission)
    assert allows(["admin"], "anything:whatsoever")


def test_an_operator_rotates_and_never_sees_or_chooses_a_value() -> None:
    held = ROLES[Role.OPERATOR]
    assert {Permission.SECRETS_ROTATE, Permission.SUBSCRIPTIONS_WRITE, Permission.EVENTS_PUBLISH} <= held
    assert held.isdisjoint({Permission.SECRETS_READ, Permission.SECRETS_WRITE})


def test_grants_identities_keys_and_static_entries_are_the_admins_alone() -> None:
    alone = {
        Permission.GRANTS_WRITE,
        Permission.IDENTITIES_WRITE,
        Permission.KEYS_WRITE,
        Permission.REGISTRY_WRITE,
    }
    assert all(alone.isdisjoint(held) for role, held in ROLES.items() if role is not Role.ADMIN)


def test_only_the_notification_service_delivers_events_to_others() -> None:
    assert allows(["service"], Permission.NOTIFICATIONS_DELIVER, "notification")
    assert not allows(["service"], Permission.NOTIFICATIONS_DELIVER, "example-consumer")
    assert not allows(["viewer"], Permission.NOTIFICATIONS_DELIVER, "notification")


def test_a_role_that_is_none_of_ours_allows_nothing() -> None:
    assert permissions_of(["superuser", "Admin", ""]) == frozenset()


@pytest.mark.parametrize(
    ("role", "permission", "allowed"),
    [
        ("viewer", "links:read", True),
        ("viewer", "links:create", False),
        ("operator", "links:create", True),
        ("service", "links:create", True),
        ("auditor", "links:read", False),
        ("", "links:read", False),
    ],
)
def test_a_services_own_permissions_follow_one_rule(role: str, permission: str, allowed: bool) -> None:
    assert allows([role], permission) is allowed


def test_roles_are_read_from_a_list_or_from_a_string_with_commas() -> None:
    assert read_roles(["admin", "viewer"]) == ("admin", "viewer")
    assert read_roles("admin, viewer,,admin") == ("admin", "viewer")


@pytest.mark.parametrize("claim", [None, 7, {"admin": True}, ["admin", 7]])
def test_roles_in_any_other_form_are_refused(claim: object) -> None:
    with pytest.raises(ValueError, match="roles"):
        read_roles(claim)

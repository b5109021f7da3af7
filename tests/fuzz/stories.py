"""An administrator's well-formed calls of every operation, in an order in which each has something to do."""

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

import pyotp

INSTANCE = "b" * 32
NOTHING = object()
"""In place of a body."""


@dataclass(frozen=True)
class Call:
    """One request, by the id of its operation; `path` fills the parameters of the path, `inside` is one that
    no edge lets through.
    """

    operation: str
    path: dict[str, str | int] = field(default_factory=dict)
    body: Any = NOTHING
    query: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    inside: bool = False
    caller: str = "admin"


Story = Generator[Call, Any, None]
"""Yields calls, and is sent the JSON of each answer; None if it is none, or if the call was left out."""


def _of_every_service() -> Story:
    yield Call("getLandingPage")
    yield Call("getHealthStatus")


def _receiving() -> Story:
    yield from _of_every_service()
    event = {"specversion": "1.0", "id": "1", "source": "shop", "type": "order.placed", "data": {"a": 1}}
    for body in (event, {"type": "order.placed"}, {"message": "Closed tomorrow"}):
        yield Call("receiveNotification", body=body)
    notice = {"serviceName": "shop", "rotationTime": "2026-01-01T00:00:00Z", "version": 2}
    yield Call("receiveNotification", body=notice)


def _action() -> Story:
    yield from _receiving()
    made = yield Call("createAction", body={"description": "Enters", "characterId": 7, "comment": "slowly"})
    yield Call("createAction", body={"description": "Leaves", "characterId": 7})
    one = {"actionId": made["actionId"]}
    yield Call("listActions", query={"characterId": 7, "limit": 1})
    yield Call("getActionById", one)
    yield Call("updateAction", one, body={"description": "Runs in", "comment": None})
    yield Call("deleteAction", one)


def _example_consumer() -> Story:
    yield from _receiving()
    made = yield Call("createLink", body={"target": "https://example.com/a", "ttl_seconds": 60})
    yield Call("openLink", {"token": made["token"]})
    yield Call("getConsumerStatus")
    yield Call("getPeerHealth", {"serviceName": "notification"})


def _gateway_lookup() -> Story:
    yield from _receiving()
    yield Call("getApiPortal")
    entry = {"url": "http://127.0.0.1:9000", "hosts": ["shop-too"]}
    yield Call("createRegistryEntry", body={"service_name": "shop", **entry})
    yield Call("updateRegistryEntry", {"serviceName": "shop"}, body={"url": "http://127.0.0.1:9001"})
    # An instance registers under its own identity.
    own = {"serviceName": "admin", "instanceId": INSTANCE}
    instance = {"port": 9100, "version": "1", "title": "Own"}
    granted = yield Call("registerInstance", own, body=instance, inside=True)
    yield Call("lookupService", {"serviceName": "shop"})
    yield Call("lookupService", {"serviceName": "admin"}, inside=True)
    yield Call("listRegistry", query={"limit": 1})
    yield Call("getRegistryEntry", {"serviceName": "admin"}, inside=True)
    yield Call("getRegistryEntry", {"serviceName": "shop"})
    yield Call("getCatalog")
    yield Call("listScrapeTargets")
    lease = {"X-Fountain-Lease": granted["lease_secret"]} if granted else {}
    yield Call("deregisterInstance", own, headers=lease, inside=True)
    yield Call("deleteRegistryEntry", {"serviceName": "shop"})


def _notification() -> Story:
    yield from _of_every_service()
    shop = {"name": "shop"}
    wish = {"service": "shop", "types": ["order.*"], "schedule_seconds": [0, 60], "timeout_seconds": 1}
    yield Call("putSubscription", shop, body=wish)
    yield Call("putSubscription", shop, body={**wish, "concurrency": 2})
    event = {"type": "order.placed", "subject": "shop", "data": {"a": 1}}
    made = yield Call("publishNotification", body={**event, "recipient": "admin"})
    yield Call("publishNotification", body={"message": "Closed tomorrow"})
    yield Call("publishNotification", body={"serviceName": "shop", "version": 2})
    yield Call("publishNotificationBatch", body=[{**event, "id": "a"}, {**event, "id": "b"}])
    yield Call("listNotifications", query={"type": "order.*", "limit": 1})
    yield Call("getRetainedNotification", query={"type": "order.placed", "subject": "shop"})
    yield Call("getNotification", {"id": made["id"]})
    yield Call("streamNotifications")
    yield Call("listSubscriptions")
    yield Call("getSubscription", shop)
    yield Call("rotateSubscriptionSecret", shop)
    yield Call("replaySubscription", shop, body={"after": 0, "dry_run": True})
    yield Call("replaySubscription", shop, body={"after": 0})
    listed = yield Call("listDeliveries", shop)
    yield Call("redeliverDelivery", {"id": listed["items"][-1]["id"]})
    yield Call("deleteSubscription", shop)


def _secrets_manager() -> Story:
    yield from _receiving()
    for name in ("getJsonWebKeySet", "getAuthorizationServerMetadata", "getRevocations"):
        yield Call(name)
    yield from _identities()
    yield from _secrets()
    yield from _versions()
    for kind in ("token", "hex", "password", "uuid", "ed25519", "fernet"):
        yield Call("generateSecret", body={"kind": kind})
    yield from _audit()
    yield Call("rotateKeyEncryptionKey")
    yield Call("rotateSigningKey", body={"emergency": False})


def _identities() -> Story:
    ada = {"name": "ada"}
    yield Call("createIdentity", body={"name": "ada", "kind": "person", "roles": ["operator"]})
    made = yield Call("createApiKey", ada, body={"description": "of her own", "audiences": ["shop"]})
    form = {"grant_type": "client_credentials", "client_secret": made["api_key"], "resource": "shop"}
    yield Call("issueToken", body=form, caller="none")  # the key says who it is
    yield Call("getIdentity", ada)
    yield Call("listIdentities", query={"limit": 1})
    yield Call("listApiKeys", ada)
    key = {**ada, "keyId": made["key_id"]}
    yield Call("updateApiKey", key, body={"enabled": False})
    yield Call("updateIdentity", ada, body={"roles": ["auditor"], "description": "looks"})
    yield Call("revokeApiKey", key)
    yield Call("revokeIdentity", ada)
    yield Call("getRevocations")


def _secrets() -> Story:
    shop = {"serviceName": "shop"}
    yield Call("createSecretsForService", shop, body={"A": "b"})
    yield Call("listSecrets", query={"limit": 1})
    # Each in its short way, and in the long one.
    yield Call("getSecretsForService", shop)
    yield Call("getSecretsForService", shop, headers={"X-Fountain-Instance": INSTANCE})
    yield Call("getSecretsForService", shop, query={"version": 1})
    yield Call("removeSecretHolder", {**shop, "instanceId": INSTANCE})
    yield Call("rotateSecretsForService", shop)
    yield Call("rotateSecretsForService", shop, body={})
    yield Call("rotateSecretsForService", shop, body={"newSecrets": {"A": "c"}})
    yield Call("replaceSecretsForService", shop, body={"A": "d"})
    yield Call("setRotationPolicy", shop, body={"interval_seconds": 3600, "overlap_seconds": 60})
    yield Call("setRotationPolicy", shop, body={"cron": "0 3 * * 0"})
    yield Call("getRotationPolicy", shop)
    yield Call("deleteRotationPolicy", shop)
    grant = {**shop, "identity": "notification"}
    yield Call("grantSecretAccess", grant)
    yield Call("getSecretGrant", grant)
    yield Call("listSecretGrants", shop)
    yield Call("revokeSecretAccess", grant)
    yield Call("revokeSecretsForService", shop)
    yield Call("restoreSecretsForService", shop)


def _versions() -> Story:
    stock, instance = {"serviceName": "stock"}, {"X-Fountain-Instance": INSTANCE}
    yield Call("createSecretsForService", stock)
    held = yield Call("getSecretsForService", stock, headers=instance)
    begun = yield Call("rotateSecretsForService", stock)
    assert begun["state"] == "staged", "its one holder has not accepted it"
    rotation = {"rotationId": begun["rotation_id"]}
    yield Call("getRotation", rotation)
    yield Call("listRotations", query={"service_name": "stock", "state": "staged"})
    accepted = {**stock, "version": held["version"]}
    yield Call("acknowledgeSecretVersion", accepted, body={"phase": "uses"}, headers=instance)
    yield Call("abortRotation", rotation)
    yield Call("removeSecretHolder", {**stock, "instanceId": INSTANCE})
    begun = yield Call("rotateSecretsForService", stock)
    forced = yield Call("forceRotation", {"rotationId": begun["rotation_id"]})
    assert forced["state"] == "retired"
    yield Call("listSecretVersions", stock)
    yield Call("destroySecretVersion", accepted)


def _audit() -> Story:
    yield Call("listAuditRecords", query={"limit": 2, "outcome": "allowed"})
    yield Call("verifyAuditChain")
    yield Call("sealAuditSegment", body={"through": None})
    yield Call("sealAuditSegment")
    listed = yield Call("listAuditSegments")
    first = {"number": next(one["number"] for one in listed["items"] if one["pruned_at"] is None)}
    yield Call("exportAuditSegment", first)
    yield Call("pruneAuditSegment", first)


def _two_factor() -> Story:
    yield from _receiving()
    ada = {"username": "ada"}
    made = yield Call("enrolFactor", body=ada)
    yield Call("getFactor", ada)
    code = pyotp.parse_uri(made["otpauth_uri"]).at(int(time.time()))  # type: ignore[union-attr]
    done = yield Call("confirmFactor", ada, body={"otp_code": code})
    right = yield Call("verifyOtp", body={**ada, "otp_code": done["recovery_codes"][0]})
    wrong = yield Call("verifyOtp", body={**ada, "otp_code": done["recovery_codes"][0]})
    assert (right["success"], wrong["success"]) == (True, False)
    yield Call("generateOtp", body={**ada, "recipient": "mailer"})
    yield Call("getFactor", ada)
    yield Call("removeFactor", ada)


STORIES: dict[str, Callable[[], Story]] = {
    "action": _action,
    "example-consumer": _example_consumer,
    "gateway-lookup": _gateway_lookup,
    "notification": _notification,
    "secrets-manager": _secrets_manager,
    "two-factor": _two_factor,
}


REFUSED_AT_EDGE = {
    "registerInstance": "instances register from inside the platform's network",
    "deregisterInstance": "and leave from there",
}
"""What cannot succeed through the edge, and why. By itself a service is asked everything."""

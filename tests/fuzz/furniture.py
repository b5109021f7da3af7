"""What is made at a service before it is asked anything, so that there is something to be asked about."""

import itertools
from collections.abc import Callable
from typing import Any

import httpx2

INSTANCE = "a" * 32
ALREADY = (400, 409)
"""How a service says that it has it."""
_rounds = itertools.count(1)


class Maker:
    """Sends an administrator's requests.

    Args:
        send: takes method, path and body, and returns the answer.
    """

    def __init__(self, send: Callable[[str, str, Any], httpx2.Response]) -> None:
        self._send = send

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        """Return the JSON of an answer; None where it was there already, or there is nothing to say."""
        made = self._send(method, path, body)
        if made.status_code in ALREADY:
            return None
        assert made.is_success, (method, path, made.text)
        return made.json() if made.content else None


def powerless(make: Maker) -> str:
    """Make an identity that has no role, and return a key of it. A name that was taken is not given again."""
    name = f"powerless-{next(_rounds)}"
    made = make("POST", "/identities", {"name": name, "kind": "person", "roles": [], "remote": True})
    assert made, name
    return str(make("POST", f"/identities/{name}/keys", {})["api_key"])


def _action(make: Maker) -> dict[str, str]:
    made = make("POST", "/actions", {"description": "Enters", "characterId": 1})
    return {"actionId": str(made["actionId"])}


def _gateway_lookup(make: Maker) -> dict[str, str]:
    make("POST", "/registry", {"service_name": "example-consumer", "url": "https://example.com"})
    return {"serviceName": "example-consumer", "instanceId": INSTANCE}


def _notification(make: Maker) -> dict[str, str]:
    wanted = {"service": "example-consumer", "types": ["order.*"]}
    make("PUT", "/subscriptions/example-consumer", wanted)
    published = make("POST", "/notifications", {"type": "order.placed", "subject": "example-consumer"})
    make("POST", "/notifications", {"type": "stock.low"})
    return {"name": "example-consumer", "id": published["id"]}


def _secrets_manager(make: Maker) -> dict[str, str]:
    secret = "/secrets/example-consumer"
    make("POST", secret, {})
    make("POST", f"{secret}/restore")  # it may have been revoked
    make("PUT", f"{secret}/rotation-policy", {"interval_seconds": 86400, "overlap_seconds": 2})
    make("PUT", f"{secret}/grants/notification")
    newest = "/rotations?service_name=example-consumer&limit=1"
    # Of what administrators were made holders of, nobody acknowledges anything: it is not waited for.
    held = [holder for rotation in make("GET", newest)["items"] for holder in rotation["holders"]]
    for holder in held:
        if holder["identity"] == "admin":
            make("DELETE", f"{secret}/holders/{holder['instance_id']}")
    make("POST", f"{secret}/rotate", {})  # refused where very much drains
    [rotation] = make("GET", newest)["items"]
    name = f"guest-{next(_rounds)}"
    make("POST", "/identities", {"name": name, "roles": ["service"]})
    key = make("POST", f"/identities/{name}/keys", {})
    sealed = make("POST", "/audit/segments", {})
    return {
        "serviceName": "example-consumer",
        "version": str(rotation["previous_version"]),
        "rotationId": rotation["rotation_id"],
        "identity": "notification",
        "instanceId": INSTANCE,
        "name": name,
        "keyId": key["key_id"],
        "number": str(sealed["number"] if sealed else 1),
    }


def _two_factor(make: Maker) -> dict[str, str]:
    make("POST", "/factors", {"username": "example-consumer"})
    return {"username": "example-consumer"}


_FURNITURE: dict[str, Callable[[Maker], dict[str, str]]] = {
    "action": _action,
    "gateway-lookup": _gateway_lookup,
    "notification": _notification,
    "secrets-manager": _secrets_manager,
    "two-factor": _two_factor,
}


def furnish(service: str, make: Maker) -> dict[str, str]:
    """Make what is missing, bring back what was removed, and return what is there by the names that the
    paths of the service have for it.
    """
    made = _FURNITURE.get(service)
    return made(make) if made else {}

"""Every operation of every service, ready to be called: what its path, query and body are filled with."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

METHODS = ("get", "put", "post", "patch", "delete")

QUERIES: dict[str, dict[str, str]] = {"getRetainedNotification": {"type": "e2e.hidden"}}

BODIES: dict[str, Any] = {
    "acknowledgeSecretVersion": {"phase": "accepts"},
    "confirmFactor": {"otp_code": "000000"},
    "createAction": {"description": "walks in", "characterId": 1},
    "createApiKey": {"label": "found"},
    "createIdentity": {"name": "e2e-found", "kind": "person", "roles": ["admin"]},
    "createLink": {"target": "https://example.com/"},
    "createRegistryEntry": {"service_name": "e2e-static", "url": "https://example.com"},
    "createSecretsForService": {"A": "chosen"},
    "enrolFactor": {"username": "e2e-other"},
    "generateOtp": {"username": "e2e-ada"},
    "issueToken": {"grant_type": "client_credentials", "client_secret": "none"},
    "publishNotification": {"type": "e2e.said", "data": {}},
    "publishNotificationBatch": [{"specversion": "1.0", "id": "e2e-1", "source": "e2e", "type": "e2e.said"}],
    "putSubscription": {"service": "example-consumer", "types": ["e2e.*"]},
    "receiveNotification": {"type": "secret.rotated", "subject": "e2e-marked"},
    "registerInstance": {"port": 9},
    "replaceSecretsForService": {"A": "chosen"},
    "replaySubscription": {"missing": True},
    "setRotationPolicy": {"interval_seconds": 3600},
    "updateAction": {"comment": "and out again"},
    "updateApiKey": {"enabled": True},
    "updateIdentity": {"roles": ["admin"]},
    "updateRegistryEntry": {"url": "https://example.com"},
    "verifyOtp": {"username": "e2e-ada", "otp_code": "000000"},
}


@dataclass(frozen=True)
class Operation:
    """One operation of a service, as its OpenAPI document names it."""

    service: str
    name: str
    method: str
    path: str

    @property
    def body(self) -> Any:
        """What is sent: None for methods that send nothing."""
        return None if self.method == "GET" else BODIES.get(self.name, {})

    @property
    def query(self) -> dict[str, str]:
        """The parameters that it cannot do without."""
        return QUERIES.get(self.name, {})

    def url(self, parameters: dict[str, str]) -> str:
        """Fill the path; KeyError names a parameter that nobody knows.

        What is filled in for one operation alone goes by `<operation>.<parameter>`.
        """

        def filled(part: str) -> str:
            if not part.startswith("{"):
                return part
            name = part.strip("{}")
            own = f"{self.name}.{name}"
            return quote(parameters[own if own in parameters else name], safe="")

        return "/".join(map(filled, self.path.split("/")))


def operations(service: str, document: dict[str, Any]) -> Iterator[Operation]:
    """Return all operations of a document, those that remove last."""
    found = [
        Operation(service, operation["operationId"], method.upper(), path)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in METHODS
    ]
    yield from sorted(found, key=lambda one: (one.method == "DELETE", one.name))

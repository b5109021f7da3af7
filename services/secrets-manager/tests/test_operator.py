"""An operator calls every operation there is, and no value ever comes back to him."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

MARKER = "m4rk3r-value-that-no-operator-may-see"
FORBIDDEN = {
    "createSecretsForService",
    "replaceSecretsForService",
    "revokeSecretsForService",
    "restoreSecretsForService",
    "destroySecretVersion",
    "grantSecretAccess",
    "revokeSecretAccess",
    "createIdentity",
    "updateIdentity",
    "revokeIdentity",
    "createApiKey",
    "revokeApiKey",
    "rotateKeyEncryptionKey",
}
"""What chooses values or gives power: an operator is refused."""
PARAMETERS = {
    "serviceName": "marked",
    "version": "1",
    "identity": "notification",
    "name": "notification",
    "instanceId": "1" * 32,
}
BODIES: dict[str, Any] = {
    "createSecretsForService": {},
    "replaceSecretsForService": {"A": "b"},
    "acknowledgeSecretVersion": {"phase": "accepts"},
    "createIdentity": {"name": "someone", "roles": ["admin"]},
    "updateIdentity": {"roles": ["admin"]},
    "setRotationPolicy": {"interval_seconds": 3600},
}
METHODS = ("get", "put", "post", "patch", "delete")


def operations(document: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Every operation as its name, method and path; what removes comes last."""
    found = [
        (operation["operationId"], method.upper(), path)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in METHODS
    ]
    return sorted(found, key=lambda one: (one[1] == "DELETE", one[0]))


FIRST = {"setRotationPolicy", "sealAuditSegment", "createIdentity", "createApiKey", "grantSecretAccess"}


def calls_of_an_admin(running: Any, **filled: dict[str, str]) -> Iterator[tuple[str, str, str, Any]]:
    """Every operation as its name, method, URL and body, in an order in which they have something to do.

    `filled` is put into the paths of single operations, in place of what all others have.
    """
    admin = {**running.as_("admin"), "X-Fountain-Instance": PARAMETERS["instanceId"]}
    created = running.client.post("/secrets/marked", json={"A": "b"}, headers=admin)
    assert created.status_code == 201, created.text
    rotated = running.client.post("/secrets/marked/rotate", json={}, headers=admin).json()
    running.person("ada", "operator")
    [key] = running.client.get("/identities/ada/keys", headers=admin).json()["items"]
    parameters = {
        **PARAMETERS,
        "name": "ada",
        "keyId": key["key_id"],
        "rotationId": rotated["rotation_id"],
        "number": "1",
    }
    filled = {"createSecretsForService": {"serviceName": "another"}, **filled}
    bodies = {**BODIES, "createSecretsForService": None, "updateApiKey": {"enabled": True}}
    bodies["rotateSecretsForService"] = {"newSecrets": {"A": "c"}}
    found = operations(running.client.get("/openapi.json").json())
    for name, method, path in sorted(found, key=lambda one: (one[1] == "DELETE", one[0] not in FIRST)):
        url = path
        for parameter, value in {**parameters, **filled.get(name, {})}.items():
            url = url.replace("{" + parameter + "}", value)
        assert "{" not in url, name
        yield name, method, url, None if method == "GET" else bodies.get(name, {})


@pytest.fixture
def marked(running: Any) -> Any:
    """A secret manager with a secret whose every version holds the marker."""
    admin = running.as_("admin")
    made = running.client.post("/secrets/marked", json={"A": MARKER, "B": f"{MARKER}-b"}, headers=admin)
    assert made.status_code == 201
    rotated = running.client.post(
        "/secrets/marked/rotate", json={"newSecrets": {"B": f"{MARKER}-again"}}, headers=admin
    )
    assert MARKER in rotated.text
    return running


def test_an_operator_calls_every_operation_and_no_value_comes_back(marked: Any) -> None:
    rotation = marked.client.get("/rotations", headers=marked.as_("admin")).json()["items"][0]["rotation_id"]
    key = marked.person("olga", "operator")
    operator = {"Authorization": f"Bearer {marked.token(key)}", "X-Fountain-Instance": "1" * 32}
    document = marked.client.get("/openapi.json").json()
    statuses: dict[str, int] = {}
    for name, method, path in operations(document):
        url = path
        for parameter, value in {**PARAMETERS, "rotationId": rotation}.items():
            url = url.replace("{" + parameter + "}", value)
        url = url.replace("{keyId}", "a" * 12).replace("{number}", "1")
        body = None if method == "GET" else BODIES.get(name, {})
        answer = marked.client.request(method, url, json=body, headers=operator)
        assert MARKER not in answer.text, name
        assert MARKER not in str(answer.headers), name
        assert "{" not in url, f"{name} was not called: {url}"
        statuses[name] = answer.status_code
    assert {name for name in FORBIDDEN if statuses[name] != 403} == set()
    assert statuses["getSecretsForService"] == statuses["rotateSecretsForService"] == 200
    assert all(status < 500 for status in statuses.values()), statuses


@pytest.mark.parametrize("version", [None, 1, 2])
def test_an_operator_sees_names_and_versions_where_an_admin_sees_values(
    marked: Any, version: int | None
) -> None:
    params = {} if version is None else {"version": version}
    operator = {"Authorization": f"Bearer {marked.token(marked.person('olga', 'operator'))}"}
    seen = marked.client.get("/secrets/marked", params=params, headers=operator).json()
    assert seen["secrets"] == {}
    held = marked.client.get("/secrets/marked", params=params, headers=marked.as_("admin")).json()
    assert MARKER in str(held["secrets"])
    assert seen["version"] == held["version"]
    records = marked.client.get("/audit", params={"caller": "olga"}, headers=marked.as_("admin")).json()
    [record] = [one for one in records["items"] if one["action"] == "secrets:read"]
    assert (record["target"], record["detail"]["values"]) == ("secrets/marked", False)


@pytest.mark.parametrize(
    "body", [{"newSecrets": {"A": "chosen"}}, {"immediate": True}, {"newSecrets": {"A": "b"}, "keys": ["B"]}]
)
def test_an_operator_rotates_without_choosing_values(marked: Any, body: dict[str, Any]) -> None:
    operator = {"Authorization": f"Bearer {marked.token(marked.person('olga', 'operator'))}"}
    refused = marked.client.post("/secrets/marked/rotate", json=body, headers=operator)
    assert (refused.status_code, "secrets:write" in refused.text) == (403, True)
    allowed = marked.client.post("/secrets/marked/rotate", json={"keys": ["A"]}, headers=operator)
    assert (allowed.status_code, allowed.json()["secrets"]) == (200, {})


def test_the_list_of_what_is_refused_names_operations_that_exist(running: Any) -> None:
    names = {name for name, _, _ in operations(running.client.get("/openapi.json").json())}
    assert set(itertools.chain(FORBIDDEN, BODIES)) <= names

"""An operator calls every operation of every service: what is secret is in no answer, and nothing gives him
power.
"""

import json
import secrets
from typing import Any

import httpx2
import pytest
from fountain_cli.stack.layout import KNOWN
from leaks import Needles, keys
from operations import BODIES, Operation, operations
from polling import poll_until
from steward import CONSUMER, Steward
from test_no_value_leaks import values_of

SERVICES = [service.name for service in KNOWN]
"""Those for which `operations` says what is sent: of a team's own it cannot know."""
MARKED = "e2e-marked"
MARKER = f"marker-{secrets.token_hex(12)}"
POWER = {
    "createSecretsForService", "replaceSecretsForService", "revokeSecretsForService",
    "restoreSecretsForService", "destroySecretVersion", "generateSecret",
    "grantSecretAccess", "listSecretGrants", "getSecretGrant", "revokeSecretAccess",
    "listIdentities", "createIdentity", "getIdentity", "updateIdentity", "revokeIdentity",
    "listApiKeys", "createApiKey", "updateApiKey", "revokeApiKey",
    "rotateKeyEncryptionKey", "rotateSigningKey", "listAuditRecords", "verifyAuditChain",
    "listAuditSegments", "sealAuditSegment", "exportAuditSegment", "pruneAuditSegment",
    "createRegistryEntry", "updateRegistryEntry", "deleteRegistryEntry",
    "registerInstance", "deregisterInstance", "receiveNotification",
}  # fmt: skip
"""What chooses values, gives power or speaks in somebody's name."""
MISSHAPEN = {400, 405, 406, 411, 413, 414, 415, 422}
"""Whoever is refused so has not called the operation."""
WRONG_CODES = {"issueToken", "confirmFactor"}
"""These refuse a wrong key and a wrong code with the same words as a wrong form."""
STREAM_SECONDS = 2.0


class Operator:
    """A person with the role, and what there is to be found."""

    def __init__(self, steward: Steward, needles: Needles, parameters: dict[str, str], key: str) -> None:
        self.steward, self.needles, self.parameters, self._key = steward, needles, parameters, key
        self._tokens: dict[str, str] = {}

    def headers(self, service: str) -> dict[str, str]:
        if service not in self._tokens:
            self._tokens[service] = self.steward.fetch_token(self._key, service)
        return {"Authorization": f"Bearer {self._tokens[service]}"}

    def call(self, operation: Operation, **options: Any) -> tuple[int, str]:
        """Call an operation; answers the status, and all that came back as text."""
        client = self.steward.at(operation.service)
        headers = {**self.headers(operation.service), "X-Fountain-Instance": "1" * 32, "If-Match": "*"}
        request = {"params": operation.query, "headers": headers, **options}
        if operation.method != "GET":
            request.setdefault("json", operation.body)
        url = operation.url(self.parameters)
        if operation.name.startswith("stream"):
            return self._listen(client, url, request)
        answer = client.request(operation.method, url, **request)
        return answer.status_code, f"{answer.headers} {answer.text}"

    def _listen(self, client: httpx2.Client, url: str, request: dict[str, Any]) -> tuple[int, str]:
        """Hear a stream from its beginning, for a while."""
        epoch = self.parameters["epoch"]
        request["headers"]["Last-Event-ID"] = f"{epoch}-0"
        heard = ""
        with client.stream("GET", url, timeout=STREAM_SECONDS, **request) as answer:
            try:
                for text in answer.iter_text():
                    heard += text
            except httpx2.ReadTimeout:
                pass
            return answer.status_code, f"{answer.headers} {heard}"


@pytest.fixture(scope="module")
def operator(steward: Steward, stack: Any, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    """Marked values, keys, codes and events of others, put wherever something secret can be kept."""
    steward.manager("POST", f"/secrets/{MARKED}", json={"A": MARKER, "B": f"{MARKER}-b"})
    rotated = steward.manager(
        "POST", f"/secrets/{MARKED}/rotate", json={"newSecrets": {"B": f"{MARKER}-again"}}
    )
    steward.manager("PUT", f"/secrets/{MARKED}/grants/{CONSUMER}")

    def made(method: str, service: str, path: str, **options: Any) -> Any:
        answer = steward.ask(method, service, path, **options)
        assert answer.is_success, answer.text
        return answer.json()

    hidden = {"type": "e2e.hidden", "subject": MARKED, "data": {"said": MARKER}, "recipient": "admin"}
    event = made("POST", "notification", "/notifications", json=hidden)
    subscription = made(
        "PUT",
        "notification",
        f"/subscriptions/{MARKED}",
        json={"service": CONSUMER, "types": ["e2e.hidden"]},
    )
    factor = made("POST", "two-factor", "/factors", json={"username": "e2e-ada"})
    action = made("POST", "action", "/actions", json=BODIES["createAction"])
    link = made("POST", CONSUMER, "/links", json=BODIES["createLink"])
    person = {"name": "e2e-olga", "kind": "person", "roles": ["operator"], "remote": True}
    steward.manager("POST", "/identities", json=person)
    key = str(steward.manager("POST", "/identities/e2e-olga/keys", json={})["api_key"])

    needles = {"a marked value": MARKER, **dict(values_of(steward)), **keys(stack)}
    needles |= {f"of a factor {number}": found for number, found in enumerate(strings(factor))}
    needles |= {f"of a subscription {number}": found for number, found in enumerate(signing(subscription))}
    parameters = {
        "serviceName": MARKED, "version": "1", "identity": CONSUMER, "name": MARKED, "keyId": "a" * 12,
        "instanceId": "1" * 32, "rotationId": rotated["rotation_id"], "number": "1", "id": event["id"],
        "username": "e2e-ada", "actionId": str(action["actionId"]), "token": link["token"],
        "redeliverDelivery.id": "1", "epoch": epoch(steward),
    }  # fmt: skip
    folder = tmp_path_factory.mktemp("operator")
    return Operator(steward, Needles(needles, folder / "patterns"), parameters, key)


def epoch(steward: Steward) -> str:
    """The event log's: whoever resumes in none that exists is told of a gap, and of the one that does."""
    headers = {**steward.headers("notification"), "Last-Event-ID": "none-0"}
    client = steward.at("notification")
    with client.stream("GET", "/notifications/stream", headers=headers) as answer:
        for line in answer.iter_lines():
            if line.startswith("data:") and "epoch" in line:
                return str(json.loads(line.removeprefix("data:"))["epoch"])
    raise AssertionError("the stream did not tell of a gap")


def strings(document: Any) -> list[str]:
    """All texts in a document that are long enough to be a secret."""
    if isinstance(document, dict):
        return [text for value in document.values() for text in strings(value)]
    if isinstance(document, list):
        return [text for value in document for text in strings(value)]
    return [document] if isinstance(document, str) and len(document) > 24 else []


def signing(subscription: dict[str, Any]) -> list[str]:
    """The signing secret of a new subscription."""
    found = [text for text in strings(subscription) if text.startswith("whsec_")]
    assert found, subscription.keys()
    return found


def described(steward: Steward, service: str) -> list[Operation]:
    document = steward.at(service).get("/openapi.json").json()
    return list(operations(service, document))


@pytest.mark.parametrize("service", SERVICES)
def test_an_operator_calls_every_operation_and_sees_nothing_secret(
    operator: Operator, steward: Steward, service: str
) -> None:
    statuses, found = {}, {}
    for operation in described(steward, service):
        status, text = operator.call(operation)
        statuses[operation.name] = status
        if labels := operator.needles.in_text(text):
            found[operation.name] = labels
    assert found == {}
    misshapen = {name: status for name, status in statuses.items() if status in MISSHAPEN}
    assert misshapen.keys() <= WRONG_CODES, f"these were not called: {misshapen}"
    assert {name: status for name, status in statuses.items() if status >= 500} == {}
    assert {name: statuses[name] for name in POWER & statuses.keys() if statuses[name] != 403} == {}


def test_an_operator_chooses_no_value_and_skips_nobody(operator: Operator, steward: Steward) -> None:
    [rotate] = [one for one in described(steward, "secrets-manager") if one.name == "rotateSecretsForService"]
    for body in ({"newSecrets": {"A": "chosen"}}, {"immediate": True}):
        status, text = operator.call(rotate, json=body)
        assert (status, "secrets:write" in text) == (403, True), body
    assert operator.call(rotate, json={"keys": ["A"]})[0] == 200


def test_the_lists_name_operations_that_exist(steward: Steward) -> None:
    names = {operation.name for service in SERVICES for operation in described(steward, service)}
    assert (POWER | BODIES.keys()) - names == set()


def test_the_search_would_find_a_marked_value(operator: Operator, steward: Steward) -> None:
    """What the operator was not shown is there to be seen by who may."""
    shown = steward.ask("GET", "secrets-manager", f"/secrets/{MARKED}")
    assert operator.needles.in_text(shown.text)

    def told() -> bool:
        return MARKER in json.dumps(steward.events(type="e2e.hidden"))

    assert poll_until(told, "the hidden event is in the log, for an administrator")

"""Whatever an administrator does leaves a record."""

import sqlite3
from contextlib import closing

from secrets_manager import service_secrets
from test_operator import calls_of_an_admin


def guarded(running):
    """The operations that nobody calls without a credential."""
    document = running.client.get("/openapi.json").json()
    return {
        operation["operationId"]
        for methods in document["paths"].values()
        for operation in methods.values()
        if operation.get("security", document.get("security"))
    }


def test_every_guarded_operation_leaves_a_record(running, monkeypatch):
    """Called by an admin in a way that succeeds. An event that is told here reads and writes nothing."""
    monkeypatch.setattr(service_secrets, "ACTIVATION_SECONDS", 0.0)
    client, admin = running.client, {**running.as_("admin"), "X-Fountain-Instance": "1" * 32}
    for name in ("held", "gone"):
        assert client.post(f"/secrets/{name}", headers=admin).status_code == 201
        assert client.get(f"/secrets/{name}", headers=admin).status_code == 200
    staged = client.post("/secrets/held/rotate", headers=admin).json()
    assert staged["state"] == "staged", "the instance has not accepted it"
    assert client.delete("/secrets/gone", headers=admin).status_code == 204
    assert client.put("/secrets/held/grants/notification", headers=admin).status_code == 200
    calls = calls_of_an_admin(
        running,
        acknowledgeSecretVersion={"serviceName": "held", "version": "1"},
        abortRotation={"rotationId": staged["rotation_id"]},
        restoreSecretsForService={"serviceName": "gone"},
        removeSecretHolder={"serviceName": "held"},
        getSecretGrant={"serviceName": "held", "identity": "notification"},
    )
    must, statuses, silent = guarded(running) - {"receiveNotification"}, {}, set()
    for name, method, url, body in calls:
        if name in must:
            before = newest(running)
            statuses[name] = client.request(method, url, json=body, headers=admin).status_code
            if not records_since(running, before, "admin"):
                silent.add(name)
    assert statuses.keys() == must >= {"getRotation", "generateSecret", "exportAuditSegment"}
    assert {name: status for name, status in statuses.items() if status >= 300} == {}
    assert silent == set()


def test_what_is_said_again_and_changes_nothing_leaves_a_record_too(running):
    client, admin = running.client, running.as_("admin")
    key_id = running.person("ada", "operator").split("_")[1]
    number = client.post("/audit/segments", headers=admin).json()["number"]
    assert client.get(f"/audit/segments/{number}", headers=admin).status_code == 200
    for method, path in (
        ("POST", "/signing-keys/rotate"),
        ("DELETE", f"/identities/ada/keys/{key_id}"),
        ("DELETE", "/identities/ada"),
        ("DELETE", f"/audit/segments/{number}"),
        ("DELETE", "/secrets/notification/holders/none"),
    ):
        for _ in range(2):
            before = newest(running)
            assert client.request(method, path, headers=admin).is_success
            assert records_since(running, before, "admin"), path
    assert client.get("/audit/verify", headers=admin).json()["intact"] is True


def newest(running):
    with closing(sqlite3.connect(running.database)) as connection:
        return connection.execute("SELECT max(seq) FROM audit_records").fetchone()[0]


def records_since(running, seq, caller):
    with closing(sqlite3.connect(running.database)) as connection:
        query = "SELECT count(*) FROM audit_records WHERE seq > ? AND caller = ?"
        return connection.execute(query, (seq, caller)).fetchone()[0]

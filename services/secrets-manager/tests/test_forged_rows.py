"""Who can write to the database gains nothing by rows of his own: he has not the key of their codes."""

import json
import sqlite3
import time
from contextlib import closing

import pytest
from secrets_manager.api_keys import ApiKey
from test_anchoring import until
from test_audit import RECORDED


def insert(running, table, row):
    """Do what the attacker does: the service runs, and is told nothing."""
    with closing(sqlite3.connect(running.database)) as connection, connection:
        names, places = ", ".join(row), ", ".join("?" * len(row))
        connection.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", list(row.values()))


def row_of(running, query):
    with closing(sqlite3.connect(running.database)) as connection:
        connection.row_factory = sqlite3.Row
        return dict(connection.execute(query).fetchone())


def then_and_after_a_restart(running, start):
    """The one that ran while the rows were put in, and then one that finds them at its start."""
    yield running
    running.client.__exit__(None, None, None)
    yield start(running.settings)


def refused_rows(running):
    core = running.app.state.core
    return running.client.portal.call(core.db.read, core.rows.refused)


CODES = pytest.mark.parametrize("code", ["none", "another row's"])


@CODES
def test_an_admin_and_his_key_that_were_put_into_the_database_get_no_token(start, settings, code):
    running, key = start(settings), ApiKey.generate()
    admin = row_of(running, "SELECT * FROM identities WHERE name = 'admin'")
    admins_key = row_of(running, "SELECT * FROM api_keys WHERE identity = 'admin'")
    codes = {} if code == "another row's" else {"mac": bytes(32)}
    insert(running, "identities", {**admin, **codes, "name": "mallory"})
    forged = {"key_id": key.key_id, "identity": "mallory", "hash": key.hash}
    insert(running, "api_keys", {**admins_key, **codes, **forged})
    for now in then_and_after_a_restart(running, start):
        refused = now.ask_token(key.reveal())
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
        shown = now.client.get("/identities", headers={"X-API-Key": key.reveal()})
        assert shown.status_code == 401
        assert now.ask_token(now.key_of("admin")).status_code == 200
        first = now.client.get("/identities", params={"limit": 2}, headers=now.as_("admin")).json()
        rest = now.client.get(
            "/identities", params={"cursor": first["next"], "limit": 500}, headers=now.as_("admin")
        ).json()
        names = [one["name"] for one in (*first["items"], *rest["items"])]
        assert "mallory" not in names, "a forged one is nobody's to see as if he were one"
        assert {"admin", "notification"} <= set(names)
    health = now.client.get("/health")
    assert (health.status_code, health.json()["checks"]["identities"]) == (503, "failing")
    assert refused_rows(now) == ["identity mallory", f"key {key.key_id}"]


def test_a_key_for_a_genuine_admin_that_was_put_into_the_database_gets_no_token(running):
    key = ApiKey.generate()
    admins_key = row_of(running, "SELECT * FROM api_keys WHERE identity = 'admin'")
    insert(running, "api_keys", {**admins_key, "key_id": key.key_id, "hash": key.hash})
    assert running.ask_token(key.reveal()).status_code == 401
    assert refused_rows(running) == [f"key {key.key_id}"]


@CODES
def test_a_grant_that_was_put_into_the_database_grants_nothing(start, settings, code):
    running, path = start(settings), "/secrets/gateway-lookup"
    genuine = "/secrets/notification/grants/example-consumer"
    assert running.client.put(genuine, headers=running.as_("admin")).status_code == 200
    grant = row_of(running, "SELECT * FROM secret_grants")
    codes = {} if code == "another row's" else {"mac": bytes(32), "granted_at": time.time()}
    insert(running, "secret_grants", {**grant, **codes, "service_name": "gateway-lookup"})
    for now in then_and_after_a_restart(running, start):
        # Whoever asks after the health has the rows read anew.
        assert not now.client.portal.call(now.app.state.secrets_parts.grants.check)
        assert now.client.get(path, headers=now.as_("example-consumer")).status_code == 403
        listed = now.client.get(f"{path}/grants", headers=now.as_("admin")).json()["items"]
        assert listed == []
        kept = now.client.get("/secrets/notification", headers=now.as_("example-consumer"))
        assert kept.status_code == 200
    health = now.client.get("/health")
    assert (health.status_code, health.json()["checks"]["grants"]) == (503, "failing")


def put_behind_the_audit(running):
    """Put a record behind the audit's newest one."""
    newest = row_of(running, "SELECT * FROM audit_records ORDER BY seq DESC LIMIT 1")
    forged = {"seq": newest["seq"] + 1, "action": "secrets:read", "hash": bytes(32)}
    insert(running, "audit_records", {**newest, **forged})


WITH_RECORDS = (
    "audit_records", "audit_head", "identities", "secrets", "secret_versions", "secret_holders",
    "secret_grants", "rotations", "signing_keys", "revocations",
)  # fmt: skip


def content(running):
    """What no operation changes without a record of it."""
    with closing(sqlite3.connect(running.database)) as connection:
        return {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in WITH_RECORDS}


def test_behind_a_record_that_was_put_at_the_audits_end_nothing_is_done_or_given_out(start, settings, log):
    running = start(settings)
    holder = {**running.as_("admin"), "X-Fountain-Instance": "1" * 32}
    reader = running.as_("admin")
    put_behind_the_audit(running)
    before = content(running)
    for headers, (method, path, body) in [*((holder, each) for each in RECORDED), (reader, RECORDED[0])]:
        answer = running.client.request(method, path, json=body, headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json"), path
        assert "The audit cannot be written now" in answer.json()["detail"]
    assert content(running) == before
    told = [line for line in map(json.loads, log.getvalue().splitlines()) if line.get("found")]
    assert [line["event"] for line in told] == ["audit_not_written"] * (len(RECORDED) + 1)
    assert {line["found"] for line in told} == {"the audit has records behind its head"}
    until(lambda: running.client.get("/health").json()["checks"]["audit"] == "failing")
    assert running.client.get("/health").status_code == 503

"""An older row has a code that holds; put back in the place of its successor, it is noticed all the same."""

import io
import sqlite3
from contextlib import closing

import pytest
from secrets_manager import admin as command
from secrets_manager.genuine_rows import GenuineRows
from secrets_manager.row_state import ACCEPTED


def rows(running, query):
    with closing(sqlite3.connect(running.database)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(query)]


def put_back(running, table, row):
    """As somebody does who can write to the file, and kept an older row."""
    with closing(sqlite3.connect(running.database)) as connection, connection:
        places = ", ".join("?" * len(row))
        connection.execute(f"INSERT OR REPLACE INTO {table} VALUES ({places})", list(row.values()))


def findings(running):
    answer = running.client.get("/audit/verify", headers=running.as_("admin")).json()
    return answer["intact"], {found["kind"] for found in answer["findings"]}


def is_healthy(running):
    """Ask anew: what was seen is remembered for some seconds."""
    core = running.app.state.core
    return running.client.portal.call(GenuineRows(core.db, core.rows, core.row_state).check)


def revoked_key(running):
    """A key that its owner kept, its row from before, and the way back to it."""
    key = running.person("mallory", "admin")
    [before] = rows(running, "SELECT * FROM api_keys WHERE identity='mallory'")
    path = f"/identities/mallory/keys/{before['key_id']}"
    assert running.client.delete(path, headers=running.as_("admin")).status_code == 204
    return "api_keys", before, key


def withdrawn_grant(running):
    path, admin = "/secrets/notification/grants/example-consumer", running.as_("admin")
    assert running.client.put(path, headers=admin).status_code == 200
    [before] = rows(running, "SELECT * FROM secret_grants")
    assert running.client.delete(path, headers=admin).status_code == 204
    return "secret_grants", before, ""


def former_role(running):
    running.person("mallory", "admin")
    [before] = rows(running, "SELECT * FROM identities WHERE name='mallory'")
    changed = running.client.patch(
        "/identities/mallory", json={"roles": ["viewer"]}, headers=running.as_("admin")
    )
    assert changed.status_code == 200
    return "identities", before, ""


@pytest.mark.parametrize("prepare", [revoked_key, withdrawn_grant, former_role])
def test_an_older_row_put_back_is_noticed_and_stays_so_whatever_is_changed_after(running, prepare):
    table, before, _ = prepare(running)
    assert findings(running) == (True, set())
    assert is_healthy(running)
    put_back(running, table, before)
    assert findings(running) == (False, {"rows"})
    assert not is_healthy(running)
    running.person("bystander", "viewer")
    running.client.put("/secrets/notification/grants/gateway-lookup", headers=running.as_("admin"))
    assert findings(running) == (False, {"rows"})
    assert not is_healthy(running)


def test_a_key_that_was_deleted_from_the_database_is_missed(running):
    running.person("ada", "operator")
    with closing(sqlite3.connect(running.database)) as connection, connection:
        connection.execute("DELETE FROM api_keys WHERE identity='ada'")
    assert findings(running) == (False, {"rows"})


def test_all_rows_put_back_together_are_noticed(running):
    """So that they agree with each other, and even with a record: but it is not the newest."""
    tables = ("identities", "api_keys")
    before = {table: rows(running, f"SELECT * FROM {table}") for table in tables}
    running.person("ada", "operator")
    with closing(sqlite3.connect(running.database)) as connection, connection:
        for table in reversed(tables):
            connection.execute(f"DELETE FROM {table}")
    for table in tables:
        for row in before[table]:
            put_back(running, table, row)
    assert findings(running) == (False, {"rows"})


def test_a_start_takes_nothing_for_granted(start, settings):
    first = start(settings)
    table, before, _ = revoked_key(first)
    first.client.__exit__(None, None, None)
    put_back(first, table, before)
    (settings.identities_dir / "notification" / "api-key").unlink()  # so that the start makes a key
    second = start(settings)
    assert findings(second) == (False, {"rows"})
    assert not is_healthy(second)


def test_who_has_looked_accepts_the_rows_at_the_machine(running, monkeypatch):
    table, before, _ = revoked_key(running)
    put_back(running, table, before)
    path = f"/identities/mallory/keys/{before['key_id']}"
    assert running.client.delete(path, headers=running.as_("admin")).status_code == 204
    assert findings(running) == (False, {"rows"})
    for name in ("data_dir", "identities_dir", "admin_dir", "trust_dir", "kek_file"):
        monkeypatch.setenv(f"FOUNTAIN_{name.upper()}", str(getattr(running.settings, name)))
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert command.main(["accept-rows"]) == 0
    assert findings(running) == (True, set())
    assert is_healthy(running)
    [record] = running.client.get("/audit", params={"action": ACCEPTED}, headers=running.as_("admin")).json()[
        "items"
    ]
    assert record["caller"] == "operator-at-the-machine"


def test_what_a_pruned_record_said_is_said_by_the_record_of_the_pruning(running):
    table, before, _ = revoked_key(running)
    admin = running.as_("admin")
    segment = running.client.post("/audit/segments", headers=admin).json()["number"]
    path = f"/audit/segments/{segment}"
    assert running.client.get(path, headers=admin).status_code == 200
    assert running.client.delete(path, headers=admin).status_code == 200
    assert findings(running) == (True, set())
    put_back(running, table, before)
    assert findings(running) == (False, {"rows"})

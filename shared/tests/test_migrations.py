import warnings
from pathlib import Path

import pytest
from fountain_common.db import Database, new_metadata
from fountain_common.migrations import differences, upgrade
from sqlalchemy import Column, ForeignKey, Index, Integer, MetaData, String, Table, inspect, text

ENV = """
from fountain_common.db import new_metadata
from fountain_common.migrations import run
run(new_metadata())
"""
HEADER = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = {revision!r}, {before!r}
branch_labels = depends_on = None
"""
FIRST = """
def upgrade():
    op.create_table("orders", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(9)))
    op.create_table(
        "lines",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column(
            "order_id",
            sa.Integer,
            sa.ForeignKey("orders.id", ondelete="CASCADE", name="fk_lines_order_id"),
        ),
    )
"""
SECOND = """
def upgrade():
    with op.batch_alter_table("orders", recreate="always") as batch:
        batch.add_column(sa.Column("note", sa.String(9)))
"""
BROKEN = """
def upgrade():
    op.add_column("orders", sa.Column("half", sa.String(9)))
    op.execute("SELECT * FROM nowhere")
"""


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    folder = tmp_path / "100% migrations"
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text(ENV)
    _add(folder, "0001", None, FIRST)
    return folder


def _add(folder: Path, revision: str, before: str | None, body: str) -> None:
    (folder / "versions" / f"{revision}.py").write_text(
        HEADER.format(revision=revision, before=before) + body
    )


def _columns(db: Database) -> set[str]:
    return {column["name"] for column in inspect(db.engine).get_columns("orders")}


async def test_a_database_of_the_first_migration_is_brought_to_the_newest_with_its_rows(
    db: Database, scripts: Path
) -> None:
    db.migrate(scripts)
    await db.write(lambda session: session.execute(text("INSERT INTO orders VALUES (1, 'a')")))
    await db.write(lambda session: session.execute(text("INSERT INTO lines VALUES (1, 1)")))
    _add(scripts, "0002", "0001", SECOND)
    db.migrate(scripts)
    assert "note" in _columns(db)
    found = await db.read(
        lambda session: session.execute(text("SELECT name, order_id FROM orders, lines")).all()
    )
    assert [tuple(row) for row in found] == [("a", 1)], (
        "rows that refer to a copied table went with the old copy"
    )


async def test_foreign_keys_are_checked_again_afterwards(db: Database, scripts: Path) -> None:
    db.migrate(scripts)
    with pytest.raises(Exception, match="FOREIGN KEY"):
        await db.write(lambda session: session.execute(text("INSERT INTO lines VALUES (1, 99)")))


async def test_doing_it_again_changes_nothing(db: Database, scripts: Path) -> None:
    db.migrate(scripts)
    db.migrate(scripts)
    assert _columns(db) == {"id", "name"}


async def test_one_that_fails_half_way_leaves_the_old_schema(db: Database, scripts: Path) -> None:
    db.migrate(scripts)
    _add(scripts, "0002", "0001", BROKEN)
    with pytest.raises(Exception, match="nowhere"):
        db.migrate(scripts)
    assert _columns(db) == {"id", "name"}


async def test_what_a_migration_forgot_is_found(db: Database, scripts: Path) -> None:
    metadata = new_metadata()
    Table("orders", metadata, Column("id", Integer, primary_key=True), Column("name", String(9)))
    Table(
        "lines",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("order_id", Integer, ForeignKey("orders.id", ondelete="CASCADE")),
    )
    upgrade(db.engine, scripts)
    assert differences(db.engine, metadata) == []
    metadata.tables["orders"].append_column(Column("forgotten", String(9)))
    assert len(differences(db.engine, metadata)) == 1


async def test_an_index_over_an_expression_is_compared_by_its_words(db: Database, scripts: Path) -> None:
    def metadata(rows: int) -> MetaData:
        found = new_metadata()
        table = Table("parts", found, Column("id", Integer, primary_key=True), Column("name", String(9)))
        Index("ix_parts", text(f"(id / {rows})"), table.c.name)
        return found

    with db.engine.begin() as connection:
        metadata(1024).create_all(connection)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert differences(db.engine, metadata(1024)) == []
        assert differences(db.engine, metadata(512)) == [("index over an expression", "ix_parts")]

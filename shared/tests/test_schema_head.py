"""Whether there is something to migrate is known without Alembic, and never wrongly denied."""

from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from fountain_common.db import Database
from fountain_common.schema_head import newest, stands_at_newest
from migration_scripts import table, write
from sqlalchemy import text

ROOT = Path(__file__).parents[2]
SERVICES = sorted(ROOT.glob("services/*/*/migrations"))


def source(revision: str, before: str) -> str:
    return f'"""One."""\n\nfrom alembic import op\n\nrevision = {revision}\ndown_revision = {before}\n'


FIRST, SECOND, THIRD = source('"1"', "None"), source('"2"', '"1"'), source('"3"', '"2"')


@pytest.mark.parametrize("scripts", SERVICES, ids=lambda scripts: scripts.parent.name)
def test_it_is_what_alembic_says_of_every_service(scripts: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(scripts))
    head = ScriptDirectory.from_config(config).get_current_head()
    assert newest(path.read_text() for path in scripts.glob("versions/*.py")) == head is not None


def test_the_order_of_the_files_does_not_matter() -> None:
    assert newest([SECOND, THIRD, FIRST]) == "3"


def test_what_alembic_writes_by_itself_is_understood() -> None:
    typed = 'revision: str = "4"\ndown_revision: Union[str, Sequence[str], None] = "3"\n'
    optional = 'revision: str = "5"\ndown_revision: str | None = "4"\n'
    assert newest([FIRST, SECOND, THIRD, typed, optional]) == "5"


@pytest.mark.parametrize(
    "sources",
    [
        pytest.param([], id="nothing"),
        pytest.param([FIRST, SECOND, source('"3"', '"1"')], id="two branches"),
        pytest.param([FIRST, SECOND, source('"3"', '"1"'), source('"4"', '("2", "3")')], id="a merge"),
        pytest.param([FIRST, THIRD], id="a gap"),
        pytest.param([FIRST, SECOND, SECOND], id="the same twice"),
        pytest.param([FIRST, SECOND, 'revision, down_revision = "3", "2"\n'], id="in other words"),
        pytest.param([FIRST, SECOND, source("NAME", '"2"')], id="a computed name"),
        pytest.param([FIRST, SECOND + 'revision = "3"\n'], id="two in one file"),
    ],
)
def test_what_is_not_plain_is_left_to_alembic(sources: list[str]) -> None:
    assert newest(sources) is None


async def test_only_the_newest_schema_needs_no_migration(db: Database, tmp_path: Path) -> None:
    scripts = write(tmp_path / "migrations", table("a"))
    assert not stands_at_newest(db.engine, scripts), "a new database"
    db.migrate(scripts)
    assert stands_at_newest(db.engine, scripts)
    write(scripts, table("a"), table("b"))
    assert not stands_at_newest(db.engine, scripts), "an older schema"
    db.migrate(scripts)
    assert stands_at_newest(db.engine, scripts)
    (scripts / "versions" / "0002.py").unlink()
    assert not stands_at_newest(db.engine, scripts), "the schema of a later version"


async def test_a_database_that_a_later_version_migrated_is_refused(db: Database, tmp_path: Path) -> None:
    scripts = write(tmp_path / "migrations", table("a"), table("b"))
    db.migrate(scripts)
    (scripts / "versions" / "0002.py").unlink()
    with pytest.raises(Exception, match="Can't locate revision identified by '0002'"):
        db.migrate(scripts)


async def test_a_database_with_no_revision_is_migrated(db: Database, tmp_path: Path) -> None:
    scripts = write(tmp_path / "migrations", table("a"))
    db.migrate(scripts)
    await db.write(lambda session: session.execute(text("DELETE FROM alembic_version")))
    assert not stands_at_newest(db.engine, scripts)

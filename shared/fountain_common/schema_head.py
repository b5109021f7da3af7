"""Where a folder of migrations leads, without Alembic: whether there is anything to migrate is asked at every
start, and the answer is mostly no.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from sqlalchemy import Engine, inspect, text

_TABLE = "alembic_version"
_REVISION = re.compile(r'^revision(?:: str)? = "(\w+)"$', re.MULTILINE)
_BEFORE = re.compile(r'^down_revision(?:: [\w\[\], |]+)? = (?:"(\w+)"|None)$', re.MULTILINE)


def newest(migrations: Iterable[str]) -> str | None:
    """Return the one revision that no other follows; None where this is not said plainly, as by a merge.

    Args:
        migrations: the source of each.
    """
    revisions: set[str] = set()
    followed: set[str] = set()
    for source in migrations:
        named, before = _REVISION.findall(source), _BEFORE.findall(source)
        if len(named) != 1 or len(before) != 1 or named[0] in revisions:
            return None
        revisions.add(named[0])
        followed.update(name for name in before if name)
    heads = revisions - followed
    return heads.pop() if len(heads) == 1 and followed <= revisions else None


def stands_at_newest(engine: Engine, scripts: Path) -> bool:
    """Tell whether the schema is surely what the migrations lead to; if not, Alembic has to look."""
    head = newest(path.read_text("utf-8") for path in (scripts / "versions").glob("*.py"))
    if head is None:
        return False
    with engine.connect() as connection:
        if not inspect(connection).has_table(_TABLE):
            return False
        found = connection.execute(text(f"SELECT version_num FROM {_TABLE}")).scalars().all()  # noqa: S608 - a name of ours
    return found == [head]

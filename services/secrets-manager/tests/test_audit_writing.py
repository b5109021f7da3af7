"""Where a record is put: behind the head in the database, whatever was undone or done there meanwhile."""

import asyncio

import pytest
from fountain_common.db import Database
from secrets_manager.audit import Audit, TamperedAuditError
from secrets_manager.audit_chain import Entry, Head, record_hash
from secrets_manager.models_audit import AuditHeadRow, AuditRow
from secrets_manager.models_base import Base
from sqlalchemy import select, update


@pytest.fixture
def run(tmp_path):
    """Runs a coroutine function on a database of its own."""

    async def go(story):
        database = Database(f"sqlite:///{tmp_path / 'audit.db'}")
        Base.metadata.create_all(database.engine)
        try:
            await story(database)
        finally:
            await database.close()

    return lambda story: asyncio.run(go(story))


def chain_of(session):
    return list(session.scalars(select(AuditRow).order_by(AuditRow.seq)))


async def say(audit, database, target, *, then=None):
    def write(session):
        audit.record(session, caller="ada", action="secrets:write", target=target)
        if then is not None:
            raise then

    await database.write(write)


def test_what_is_undone_leaves_no_gap_in_the_chain(run):
    async def story(database):
        audit = Audit(database, b"k" * 32)
        await say(audit, database, "first")
        with pytest.raises(LookupError):
            await say(audit, database, "undone", then=LookupError())
        await say(audit, database, "second")
        await audit.append(caller="ada", action="secrets:read", target="third")
        rows = await database.read(chain_of)
        assert [(each.seq, each.target) for each in rows] == [(1, "first"), (2, "second"), (3, "third")]
        assert [each.previous for each in rows[1:]] == [each.hash for each in rows[:-1]]

    run(story)


def test_the_first_record_undone_can_still_be_written(run):
    async def story(database):
        audit = Audit(database, b"k" * 32)
        with pytest.raises(LookupError):
            await say(audit, database, "undone", then=LookupError())
        await say(audit, database, "first")
        assert [each.target for each in await database.read(chain_of)] == ["first"]

    run(story)


def test_nothing_is_written_behind_a_head_that_was_altered_meanwhile(run):
    async def story(database):
        audit = Audit(database, b"k" * 32)
        await say(audit, database, "first")
        await database.write(lambda session: session.execute(update(AuditHeadRow).values(hash=b"x" * 32)))
        with pytest.raises(TamperedAuditError):
            await say(audit, database, "second")
        assert [each.target for each in await database.read(chain_of)] == ["first"]

    run(story)


def test_two_writers_of_one_database_make_one_chain(run):
    async def story(database):
        one, other = Audit(database, b"k" * 32), Audit(database, b"k" * 32)
        for number in range(3):
            await say(one, database, f"one-{number}")
            await say(other, database, f"other-{number}")
        rows = await database.read(chain_of)
        assert [each.previous for each in rows[1:]] == [each.hash for each in rows[:-1]]
        assert len(rows) == 6

    run(story)


def test_a_record_comes_back_as_it_was_written(run):
    async def story(database):
        audit = Audit(database, b"k" * 32)
        await say(audit, database, "first")
        (stored,) = await database.read(chain_of)
        names = ("caller", "action", "target", "outcome", "detail", "through_edge", "request_id")
        found = [getattr(stored, name) for name in names]
        assert found == ["ada", "secrets:write", "first", "allowed", "{}", False, ""]
        entry = Entry(*(getattr(stored, name) for name in Entry._fields))
        assert stored.hash == record_hash(1, entry, stored.previous)
        assert stored.mac == audit.chain.mac(stored.hash)
        head = await database.read(lambda session: session.get(AuditHeadRow, 1))
        assert head.mac == audit.chain.head_mac(Head(1, stored.hash))

    run(story)

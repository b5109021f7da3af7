"""Where a record is put: behind the head in the database, whatever was undone or done there meanwhile."""

import asyncio
import json

import pytest
from fountain_common.db import Database
from fountain_common.errors import Unavailable
from secrets_manager.audit import Audit, TamperedAuditError
from secrets_manager.audit_chain import Entry, Head, record_hash
from secrets_manager.models_audit import AuditHeadRow, AuditRow
from secrets_manager.models_base import Base, PlatformFact
from sqlalchemy import insert, select, update


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


async def put_behind_the_head(database, ahead):
    """Do what an attacker does: put a record of his own so many places behind the newest one."""

    def write(session):
        newest = session.scalars(select(AuditRow).order_by(AuditRow.seq.desc()).limit(1)).one()
        row = {column.name: getattr(newest, column.name) for column in AuditRow.__table__.columns}
        forged = {"seq": newest.seq + ahead, "caller": "mallory", "hash": bytes(32)}
        session.execute(insert(AuditRow), [{**row, **forged}])

    await database.write(write)


async def change(audit, database, name, *, records=1):
    """Change something, with so many records of it."""

    def write(session):
        session.add(PlatformFact(name=name, value="changed"))
        session.flush()
        whole = {"outcome": "allowed", "detail": None, "request": None}
        said = {"caller": "ada", "action": "secrets:write", "target": name, **whole}
        audit.record_all(session, [said] * records)

    await database.write(write)


async def read(audit, target):
    await audit.append(caller="ada", action="secrets:read", target=target)


async def nothing_goes_behind_the_head(database, log):
    """Write behind a head that has somebody else's record behind it: alone, in groups, and for reads."""
    audit = Audit(database, b"k" * 32)
    await say(audit, database, "first")
    await put_behind_the_head(database, 1)
    for writer in (audit, Audit(database, b"k" * 32)):
        for attempt in (say(writer, database, "said"), change(writer, database, "alone")):
            with pytest.raises(TamperedAuditError) as refused:
                await attempt
            assert (refused.value.status, "try again" in refused.value.detail) == (503, True)
        with pytest.raises(Unavailable, match="cannot be written now"):
            await read(writer, "read")
        with pytest.raises(TamperedAuditError):
            await database.write(writer.check)
    other = database.write(lambda session: session.add(PlatformFact(name="other", value="not recorded")))
    group = [change(audit, database, "one"), other, change(audit, database, "many", records=40)]
    found = await asyncio.gather(*group, return_exceptions=True)
    assert [type(each) for each in found] == [TamperedAuditError, type(None), TamperedAuditError]
    found = await asyncio.gather(*[read(audit, str(number)) for number in range(3)], return_exceptions=True)
    assert {type(each) for each in found} == {Unavailable}

    facts = await database.read(lambda session: list(session.scalars(select(PlatformFact.name))))
    assert facts == ["other"], "what a record would have told of was undone"
    assert [each.target for each in await database.read(chain_of)] == ["first", "first"]
    head = await database.read(lambda session: session.get(AuditHeadRow, 1))
    assert head.seq == 1
    lines = map(json.loads, log.getvalue().splitlines())
    told = [line["found"] for line in lines if line["event"] == "audit_not_written"]
    # One for each that was alone, and one for the reads that shared a commit.
    assert told == ["the audit has records behind its head"] * 9


def test_nothing_is_written_where_somebody_has_put_a_record_behind_the_head(run, log):
    run(lambda database: nothing_goes_behind_the_head(database, log))


def test_a_record_further_behind_the_head_is_found_before_a_write_comes_to_it(run):
    async def story(database):
        audit = Audit(database, b"k" * 32)
        await say(audit, database, "first")
        await put_behind_the_head(database, 3)
        with pytest.raises(TamperedAuditError, match="behind its head"):
            await database.write(audit.check)
        await say(audit, database, "second")
        with pytest.raises(TamperedAuditError, match="behind its head"):
            await change(audit, database, "many", records=40)
        assert [each.target for each in await database.read(chain_of)] == ["first", "second", "first"]

    run(story)

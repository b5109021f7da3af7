"""What the audit says to the database, in the words of its driver.

Each read of a secret writes a record, and making a statement out of its parts costs several times what the
database does with it.
"""

from typing import NamedTuple

from secrets_manager.audit_chain import Record
from secrets_manager.models_audit import AuditHeadRow, AuditRow


class Statements(NamedTuple):
    """SQL with the marks of one driver.

    Attributes:
        insert: takes what `row` answers.
        move_head: takes seq, hash and mac of the new head, then seq and hash of the one it follows; changes
            no row if that is not the head.
    """

    insert: str
    move_head: str


def statements(*, sqlite: bool) -> Statements:
    """Make them, for SQLite or for PostgreSQL."""
    mark = "?" if sqlite else "%s"
    columns = [column.name for column in AuditRow.__table__.columns]
    return Statements(
        insert=f"INSERT INTO {AuditRow.__tablename__} ({', '.join(columns)}) "  # noqa: S608 - names of ours
        f"VALUES ({', '.join([mark] * len(columns))})",
        move_head=f"UPDATE {AuditHeadRow.__tablename__} "  # noqa: S608 - as above
        f"SET seq = {mark}, hash = {mark}, mac = {mark} WHERE seq = {mark} AND hash = {mark}",
    )


def row(record: Record) -> tuple[object, ...]:
    """Answer a record as the table's columns, in their order."""
    return (record.seq, *record.entry, record.previous, record.hash, record.mac)

"""What can be done to the chain, and that it is found and named."""

import hashlib
import hmac
from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from secrets_manager.audit_chain import GENESIS, ChainKey, Entry, Head, Record
from secrets_manager.audit_verify import KnownHead, Verification
from secrets_manager.models_audit import AuditRow

KEY = ChainKey(b"k" * 32)


def entry(number):
    return Entry(
        float(number), "ada", "key", "secrets:read", f"secrets/s{number}", "allowed", "{}", "", False, ""
    )


def behind(head, said, key):
    rows, _ = key.append(head, [said])
    seq, *_, previous, digest, mac = rows[0]
    return Record(seq, said, bytes(previous), bytes(digest), bytes(mac))


def chain(count, key=KEY):
    head, records = Head(0, GENESIS), []
    for number in range(1, count + 1):
        records.append(behind(head, entry(number), key))
        head = Head(records[-1].seq, records[-1].hash)
    return records


def head_of(records):
    return KnownHead("head", Head(records[-1].seq, records[-1].hash), genuine=True)


def findings(records, known=None, start=None):
    verification = Verification(KEY, start or Head(0, GENESIS), known or [])
    for record in records:
        verification.feed(record)
    return [(item.kind, item.first, item.last) for item in verification.finish().findings]


def test_what_was_not_touched_is_intact():
    records = chain(20)
    assert findings(records, [head_of(records), KnownHead("an anchor", Head(7, records[6].hash), True)]) == []


def test_an_edited_row_is_named():
    records = chain(9)
    records[4] = replace(records[4], entry=records[4].entry._replace(outcome="denied"))
    assert findings(records, [head_of(records)]) == [("edited", 5, 5)]


def test_an_edited_row_with_its_hash_made_anew_is_named():
    records = chain(9)
    forged = behind(Head(4, records[3].hash), records[4].entry._replace(caller="eve"), ChainKey(b"x" * 32))
    tampered = [*records[:4], forged, *records[5:]]
    assert ("edited", 5, 5) in findings(tampered, [head_of(records)])


def test_removed_rows_are_named():
    records = chain(9)
    assert findings([*records[:3], *records[6:]], [head_of(records)]) == [("removed", 4, 6)]


def test_rows_missing_at_the_beginning_are_named():
    records = chain(9)
    assert findings(records[2:], [head_of(records)]) == [("removed", 1, 2)]


def test_two_rows_that_changed_places_are_named():
    records = chain(9)
    tampered = list(records)
    tampered[2], tampered[5] = replace(records[5], seq=3), replace(records[2], seq=6)
    assert findings(tampered, [head_of(records)]) == [("reordered", 3, 3), ("reordered", 6, 6)]


def test_a_row_put_behind_the_others_is_named():
    records = chain(9)
    forged = behind(Head(9, records[8].hash), entry(10), ChainKey(b"x" * 32))
    assert findings([*records, forged], [head_of(records)]) == [("inserted", 10, 10)]


def test_a_row_put_between_others_is_named():
    records = chain(4)
    forged = behind(Head(2, records[1].hash), entry(99), ChainKey(b"x" * 32))
    moved = [replace(record, seq=record.seq + 1) for record in records[2:]]
    found = findings([*records[:2], forged, *moved], [head_of(records)])
    assert ("inserted", 3, 3) in found
    assert {kind for kind, _, _ in found} <= {"inserted", "reordered", "anchor"}


def test_rows_cut_off_the_end_are_named():
    records = chain(9)
    assert findings(records[:6], [head_of(records)]) == [("truncated", 7, 9)]


def test_an_emptied_table_is_named():
    assert findings([], [head_of(chain(9))]) == [("truncated", 1, 9)]


def test_an_older_database_put_back_is_noticed_by_an_anchor_kept_elsewhere():
    records = chain(9)
    elsewhere = KnownHead("the event log", Head(9, records[8].hash), genuine=True)
    assert findings(records[:5], [head_of(records[:5]), elsewhere]) == [("truncated", 6, 9)]


def test_another_history_is_noticed_by_an_anchor():
    ours, theirs = chain(9), chain(9, ChainKey(b"k" * 32))
    theirs = [behind(Head(0, GENESIS), entry(77), KEY)]
    assert findings(theirs, [KnownHead("an anchor", Head(1, ours[0].hash), genuine=True)]) == [
        ("anchor", 1, 1)
    ]


def test_an_altered_head_and_a_forged_anchor_are_named():
    records = chain(3)
    known = [KnownHead("head", Head(3, records[2].hash), False), KnownHead("an anchor", Head(2, b"x"), False)]
    assert findings(records, known) == [("anchor", 2, 2), ("head", 3, 3)]


def test_a_pruned_chain_begins_where_the_segment_ended():
    records = chain(9)
    start = Head(4, records[3].hash)
    assert findings(records[4:], [head_of(records)], start) == []
    assert findings(records[5:], [head_of(records)], start) == [("removed", 5, 5)]


@given(st.integers(0, 11), st.sampled_from(Entry._fields))
def test_no_single_change_goes_unnoticed(index, name):
    records = chain(12)
    value = getattr(records[index].entry, name)
    other = (not value) if isinstance(value, bool) else value + 1 if isinstance(value, float) else value + "x"
    records[index] = replace(records[index], entry=records[index].entry._replace(**{name: other}))
    assert findings(records, [head_of(chain(12))]) == [("edited", index + 1, index + 1)]


@pytest.mark.parametrize("gone", range(1, 9))
def test_no_row_can_be_removed_and_the_rest_renumbered(gone):
    records = chain(9)
    closed = [*records[: gone - 1], *(replace(record, seq=record.seq - 1) for record in records[gone:])]
    assert findings(closed, [head_of(records)])


#: Of everything that orjson can write, so of no surrogate.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
ENTRIES = st.builds(
    Entry,
    at=st.floats(0, 1e11),
    through_edge=st.booleans(),
    **{name: TEXTS for name in Entry._fields if name not in ("at", "through_edge")},
)


@given(
    st.binary(max_size=64),
    st.integers(0, 2**53),
    st.binary(min_size=32, max_size=32),
    st.lists(ENTRIES, max_size=8),
)
def test_the_rows_of_a_batch_are_what_the_chain_is_defined_as(key, seq, previous, entries):
    rows, newest = ChainKey(key).append(Head(seq, previous), entries)
    expected = []
    for said in entries:
        seq += 1
        digest = hashlib.sha256(previous + orjson.dumps([seq, *said])).digest()
        mac = hmac.digest(key, b"record" + digest, "sha256")[:16]
        expected.append((seq, *said, previous, digest, mac))
        previous = digest
    assert rows == expected
    assert newest == Head(seq, previous)


def test_a_row_has_the_columns_of_the_table_in_their_order():
    columns = [column.name for column in AuditRow.__table__.columns]
    assert columns == ["seq", *Entry._fields, "previous", "hash", "mac"]

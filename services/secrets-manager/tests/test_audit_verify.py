"""What can be done to the chain, and that it is found and named."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from secrets_manager.audit_chain import GENESIS, ChainKey, Entry, Head
from secrets_manager.audit_verify import KnownHead, Verification

KEY = ChainKey(b"k" * 32)


def entry(number):
    return Entry(
        float(number), "ada", "key", "secrets:read", f"secrets/s{number}", "allowed", "{}", "", False, ""
    )


def chain(count, key=KEY):
    head, records = Head(0, GENESIS), []
    for number in range(1, count + 1):
        records.append(key.append(head, entry(number)))
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
    forged = ChainKey(b"x" * 32).append(Head(4, records[3].hash), records[4].entry._replace(caller="eve"))
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
    forged = ChainKey(b"x" * 32).append(Head(9, records[8].hash), entry(10))
    assert findings([*records, forged], [head_of(records)]) == [("inserted", 10, 10)]


def test_a_row_put_between_others_is_named():
    records = chain(4)
    forged = ChainKey(b"x" * 32).append(Head(2, records[1].hash), entry(99))
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
    theirs = [KEY.append(Head(0, GENESIS), entry(77))]
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

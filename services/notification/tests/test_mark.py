"""How far the log had come, and what follows when it is found farther back."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from fountain_common.testing import wait_until
from notification.mark import FILE_NAME, Mark, MarkFile, contradicts


@pytest.mark.parametrize(
    ("mark", "epoch", "position", "alone", "expected"),
    [
        (Mark("e", 7), "e", 7, True, False),
        (Mark("e", 7), "e", 9, True, False),
        (Mark("e", 7), "e", 6, True, True),
        (Mark("e", 7), "e", 6, False, True),
        (Mark("other", 7), "e", 9, True, True),
        (Mark("other", 7), "e", 9, False, False),
        (None, "e", 0, True, False),
        (None, "e", 1, True, True),
        (None, "e", 1, False, False),
    ],
)
def test_a_log_that_readers_cannot_know_is_noticed(
    mark: Mark | None, epoch: str, position: int, alone: bool, expected: bool
) -> None:
    assert contradicts(mark, epoch, position, alone=alone) is expected


def test_a_mark_is_read_as_it_was_written_and_a_damaged_one_is_none(tmp_path: Path) -> None:
    file = MarkFile(tmp_path / "new")
    assert file.read() is None
    for position in (3, 12):
        file.write(Mark("e", position))
        assert file.read() == Mark("e", position)
    for damaged in (b"", b"{", b"[]", b'{"epoch":"e"}', b'{"epoch":"e","position":"x"}'):
        (tmp_path / "new" / FILE_NAME).write_bytes(damaged)
        assert file.read() is None


def test_an_older_database_that_was_put_back_yields_a_gap_though_the_log_has_grown_past_it(
    start: Any, listen: Any, tmp_path: Path
) -> None:
    running = start()
    running.publish("order.placed", data="in the copy")
    running.stop()
    database = tmp_path / "data" / "notification.db"
    shutil.copy(database, tmp_path / "copy.db")
    again = start(running.world)
    lost = again.publish("order.placed", data="not in the copy")
    place = f"{again.board.log.epoch}-{lost['position']}"
    again.stop()
    shutil.copy(tmp_path / "copy.db", database)
    for beside in ("-wal", "-shm"):
        database.with_name(database.name + beside).unlink(missing_ok=True)

    older = start(running.world)
    while older.board.log.latest <= lost["position"]:
        older.publish("order.placed", data="at a position that was given out before")
    stream = listen(older, "order.*", after=place)
    assert stream.wait_for(1)[0][1] == "gap"
    assert older.board.log.epoch != again.board.log.epoch


def test_a_log_that_goes_on_keeps_its_epoch_and_writes_down_how_far_it_is(start: Any, tmp_path: Path) -> None:
    running = start()
    epoch = running.board.log.epoch
    event = running.publish("order.placed")
    file = MarkFile(tmp_path / "data")
    wait_until(lambda: (file.read() or Mark("", 0)).position >= event["position"], "the mark follows")
    running.stop()
    assert file.read() == Mark(epoch, running.board.log.latest)
    assert start(running.world).board.log.epoch == epoch


def test_a_database_without_its_mark_begins_a_new_epoch(start: Any, tmp_path: Path) -> None:
    running = start()
    running.publish("order.placed")
    running.stop()
    (tmp_path / "data" / FILE_NAME).unlink()
    assert start(running.world).board.log.epoch != running.board.log.epoch


def test_where_the_mark_cannot_be_written_events_are_taken_all_the_same(start: Any, tmp_path: Path) -> None:
    (tmp_path / "data" / "log-position.new").mkdir(parents=True)
    running = start()
    assert running.publish("order.placed")["position"]
    running.stop()
    assert not (tmp_path / "data" / FILE_NAME).exists()

"""An older database is put back with everything beside it: the event log keeps the anchor that tells.

The one in the event log is never replaced by one that says less, however long the service runs and however
often it is started, until somebody at the machine has looked.
"""

import shutil
import sqlite3
import time
from pathlib import Path

import pytest
from conftest import Neighbours, settings_in
from secrets_manager.identities import Actor
from sqlalchemy import text

OFTEN = 0.2


@pytest.fixture
def fast(settings):
    return settings.model_copy(update={"anchor_seconds": OFTEN})


def until(true, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def stop(running):
    running.client.__exit__(None, None, None)


def anchors(event_log):
    return [event["data"] for event in event_log.events if event["type"] == "audit.anchored"]


def newest_record(running):
    path = "/audit?limit=1"
    return running.client.get(path, headers=running.as_("admin")).json()["items"][0]["seq"]


def verify(running):
    return running.client.get("/audit/verify", headers=running.as_("admin")).json()


def health(running):
    answer = running.client.get("/health")
    return answer.status_code, answer.json()["checks"]["audit-anchors"]


def is_doubted(running):
    return health(running) == (503, "failing")


def turns(running, count=3):
    """Wait until so many anchors were made: the interval has passed so many times."""
    for _ in range(count):
        before = count_of(running, "audit_anchors")
        running.as_("admin")
        until(lambda before=before: count_of(running, "audit_anchors") > before)


def count_of(running, table, where="true"):
    query = text(f"SELECT count(*) FROM {table} WHERE {where}")
    return running.client.portal.call(running.app.state.core.db.read, lambda session: session.scalar(query))


class Cut:
    """A history of which the end is cut off, with all that lies beside the database; the event log is not."""

    def __init__(self, start, settings, folder: Path) -> None:
        self.event_log, self.settings = Neighbours(), settings
        first = start(settings, self.event_log)
        stop(first)
        kept = folder / "kept"
        shutil.copytree(settings.data_dir, kept)
        second = start(settings, self.event_log)
        for _ in range(40):
            second.as_("admin")
        last = newest_record(second)
        until(lambda: anchors(self.event_log)[-1]["seq"] >= last)
        stop(second)
        self.newest = anchors(self.event_log)[-1]
        self.newer = folder / "newer"
        settings.data_dir.rename(self.newer)
        kept.rename(settings.data_dir)

    def is_kept(self) -> bool:
        return anchors(self.event_log)[-1] == self.newest


@pytest.fixture
def cut(start, fast, tmp_path):
    return Cut(start, fast, tmp_path)


def test_it_is_noticed_before_the_first_interval_has_passed(cut, start):
    running = start(cut.settings.model_copy(update={"anchor_seconds": 3600}), cut.event_log)
    until(lambda: is_doubted(running))
    answer = verify(running)
    assert (answer["intact"], answer["event_log"]) == (False, "checked")
    assert [one["kind"] for one in answer["findings"]] == ["truncated"]


def test_after_intervals_and_restarts_the_event_log_still_has_the_newer_anchor(cut, start, log):
    for _ in range(2):
        running = start(cut.settings, cut.event_log)
        until(lambda running=running: is_doubted(running))
        turns(running)
        assert is_doubted(running)
        assert verify(running)["intact"] is False
        stop(running)
        assert cut.is_kept()
    said = [line for line in log.getvalue().splitlines() if "audit_anchor_refused" in line]
    assert f"remembers record {cut.newest['seq']}" in said[0]
    assert "an older database was put back" in said[0]


def test_it_stays_noticed_once_as_much_was_written_as_was_cut_off(cut, start):
    running = start(cut.settings, cut.event_log)
    while newest_record(running) <= cut.newest["seq"] + 3:
        pass
    turns(running)
    assert is_doubted(running)
    assert cut.is_kept()
    assert (cut.newest["seq"], "anchor") in {
        (one["first"], one["kind"]) for one in verify(running)["findings"]
    }
    assert running.client.portal.call(running.app.state.core._audit_verifies) is False, "an alert fires"


def test_pruning_does_not_hide_it(cut, start):
    running = start(cut.settings, cut.event_log)
    while newest_record(running) <= cut.newest["seq"] + 3:
        pass
    admin = running.as_("admin")
    # What does not verify is not sealed by asking for it; somebody may have been before.
    actor = Actor("tester")
    core = running.app.state.core
    segment = running.client.portal.call(core.segments.seal, None, actor)
    running.client.portal.call(core.segments.exported, segment.number, actor)
    running.client.portal.call(core.segments.prune, segment.number, actor)
    turns(running)
    assert is_doubted(running)
    assert cut.is_kept()
    answer = running.client.get("/audit/verify", headers=admin).json()
    assert answer["intact"] is False
    stop(running)
    again = start(cut.settings, cut.event_log)
    until(lambda: is_doubted(again))
    assert cut.is_kept()


def test_what_was_pruned_while_notification_was_away_still_fits(start, fast):
    event_log, actor = Neighbours(), Actor("tester")
    running = start(fast, event_log)
    until(lambda: anchors(event_log))
    event_log.notification_is_away = True
    turns(running)
    newest, core = anchors(event_log)[-1], running.app.state.core
    segment = running.client.portal.call(core.segments.seal, None, actor)
    running.client.portal.call(core.segments.exported, segment.number, actor)
    running.client.portal.call(core.segments.prune, segment.number, actor)
    assert count_of(running, "audit_records", f"seq={newest['seq']}") == 0
    event_log.notification_is_away = False
    until(lambda: anchors(event_log)[-1]["seq"] > newest["seq"])
    assert health(running) == (200, "ok")


def test_with_notification_away_nothing_waits_to_be_put_over_it(cut, start):
    cut.event_log.notification_is_away = True
    running = start(cut.settings, cut.event_log)
    turns(running)
    assert health(running)[1] == "ok"  # nobody was there to say otherwise
    assert verify(running)["event_log"] == "unreachable"
    stop(running)
    again = start(cut.settings, cut.event_log)
    turns(again)
    cut.event_log.notification_is_away = False
    until(lambda: is_doubted(again))
    turns(again)
    assert cut.is_kept()


def test_an_anchor_that_an_earlier_version_left_in_the_outbox_is_not_handed_on(cut, start):
    row = (
        "INSERT INTO outbox (id, type, data, created_at) "
        "VALUES ('x', 'audit.anchored', '{\"seq\": 1}', '2026-01-01 00:00:00')"
    )
    with sqlite3.connect(cut.settings.data_dir / "secrets_manager.db") as connection:
        connection.execute(row)
    running = start(cut.settings, cut.event_log)
    until(lambda: is_doubted(running))
    assert count_of(running, "outbox", "type='audit.anchored'") == 0
    assert cut.is_kept()


def test_the_right_database_put_back_is_all_that_it_takes(cut, start):
    running = start(cut.settings, cut.event_log)
    until(lambda: is_doubted(running))
    stop(running)
    shutil.rmtree(cut.settings.data_dir)
    cut.newer.rename(cut.settings.data_dir)
    again = start(cut.settings, cut.event_log)
    again.as_("admin")
    until(lambda: anchors(cut.event_log)[-1]["seq"] > cut.newest["seq"])
    assert health(again) == (200, "ok")
    assert verify(again)["intact"] is True


def test_beginning_another_epoch_goes_on_with_what_is_left_as_a_restore_does(cut, start, command):
    running = start(cut.settings, cut.event_log)
    until(lambda: is_doubted(running))
    person, token = running.person("ada", "operator"), running.as_("admin")
    epoch = running.client.get("/secrets/notification", headers=token).json()["epoch"]
    code, said = command(cut.settings, "begin-epoch")
    assert (code, "Stop it first" in said) == (75, True)
    stop(running)
    code, said = command(cut.settings, "begin-epoch")
    assert code == 0, said
    assert "API keys are disabled" in said
    again = start(cut.settings, cut.event_log)
    until(lambda: not cut.is_kept())
    assert anchors(cut.event_log)[-1]["epoch"] != cut.newest["epoch"]
    assert health(again) == (200, "ok")
    assert verify(again)["intact"] is True
    assert again.client.get("/secrets", headers=token).status_code == 401, "signing keys are new"
    assert again.ask_token(person).status_code == 401
    assert again.ask_token(again.key_of("notification")).status_code == 200
    read = again.client.get("/secrets/notification", headers=again.as_("admin")).json()
    assert read["epoch"] != epoch
    listed = again.client.get("/audit?action=epochs:begin", headers=again.as_("admin")).json()["items"]
    assert [one["caller"] for one in listed] == ["operator-at-the-machine"]


def test_an_epoch_that_somebody_wrote_into_the_database_has_not_begun(cut, start):
    with sqlite3.connect(cut.settings.data_dir / "secrets_manager.db") as connection:
        connection.execute("UPDATE platform_facts SET value='deadbeef' WHERE name='epoch'")
    running = start(cut.settings, cut.event_log)
    until(lambda: is_doubted(running))
    turns(running)
    assert cut.is_kept()


def test_a_restore_begins_an_epoch_that_is_anchored_over_a_newer_record(start, fast, command, tmp_path):
    """The event log was not lost with the machine, and remembers more than the backup."""
    event_log = Neighbours()
    first = start(fast, event_log)
    backup = tmp_path / "platform.backup"
    assert command(fast, "backup", "--to", backup)[0] == 0
    for _ in range(40):
        first.as_("admin")
    stop(first)
    newest = anchors(event_log)[-1]
    empty = settings_in(tmp_path / "another", anchor_seconds=OFTEN)
    assert command(empty, "restore", "--from", backup)[0] == 0
    second = start(empty, event_log)
    assert verify(second)["intact"] is True, "that one is of a history that has ended"
    until(lambda: anchors(event_log)[-1].get("epoch") != newest["epoch"])
    assert anchors(event_log)[-1]["seq"] < newest["seq"]
    turns(second)
    assert health(second) == (200, "ok")


def test_the_backup_of_before_an_epoch_does_not_pass_for_what_followed(start, fast, command, tmp_path):
    """A database of an epoch that ended is not taken for one that began: its anchors are older."""
    cut = Cut(start, fast, tmp_path)
    older = tmp_path / "older"
    shutil.copytree(fast.data_dir, older)
    assert command(fast, "begin-epoch")[0] == 0
    running = start(fast, cut.event_log)
    until(lambda: not cut.is_kept())
    # An anchor of what both have in common would fit either; the last one, at the stop, may come too late.
    last = newest_record(running)
    until(lambda: anchors(cut.event_log)[-1]["seq"] >= last)
    stop(running)
    newest = anchors(cut.event_log)[-1]
    shutil.rmtree(fast.data_dir)
    older.rename(fast.data_dir)
    again = start(fast, cut.event_log)
    until(lambda: is_doubted(again))
    turns(again)
    assert anchors(cut.event_log)[-1] == newest


def test_the_file_beside_the_database_keeps_the_newer_anchor_too(cut, start):
    """The database alone was put back, and nobody answers for the event log."""
    newer = (cut.newer / "audit-anchor.json").read_text()
    path = cut.settings.data_dir / "audit-anchor.json"
    path.unlink()
    path.write_text(newer)
    cut.event_log.notification_is_away = True
    first = start(cut.settings.model_copy(update={"anchor_seconds": 3600}), cut.event_log)
    until(lambda: is_doubted(first))
    stop(first)
    running = start(cut.settings, cut.event_log)
    turns(running)
    until(lambda: is_doubted(running))
    assert path.read_text() == newer
    assert [one["kind"] for one in verify(running)["findings"]] == ["truncated"]


def test_what_was_written_until_the_stop_is_anchored(start, settings):
    event_log = Neighbours()
    running = start(settings, event_log)
    last = newest_record(running)
    assert anchors(event_log) == []
    stop(running)
    assert anchors(event_log)[-1]["seq"] >= last


def test_a_new_store_is_anchored_over_one_that_is_gone_for_good(start, fast):
    """Its key and its admin are others, so that nobody takes it for the one that was."""
    event_log = Neighbours()
    first = start(fast, event_log)
    until(lambda: anchors(event_log))
    stop(first)
    for folder in (fast.data_dir, fast.admin_dir, fast.identities_dir, fast.kek_file.parent):
        shutil.rmtree(folder)
    newest = anchors(event_log)[-1]
    second = start(fast, event_log)
    until(lambda: anchors(event_log)[-1] != newest)
    turns(second)
    assert health(second) == (200, "ok")
    assert verify(second)["intact"] is True

"""Drills of the one who has the database and the key volume: lost keys, lost machines."""

import asyncio
import fcntl
import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PASSPHRASE
from secrets_manager.kek import KeyRefusedError
from test_audit import alter_the_head
from test_forged_rows import put_behind_the_audit


def values(running, name="notification"):
    return running.client.get(f"/secrets/{name}", headers=running.as_("admin")).json()


def stop(running):
    running.client.__exit__(None, None, None)


def test_a_lost_admin_key_is_replaced_while_everything_runs(running, command):
    lost = running.key_of("admin")
    code, said = command(running.settings, "recover-admin")
    assert code == 0
    new = running.key_of("admin")
    assert new != lost
    assert new.split("_", 2)[2] not in said
    assert running.client.get("/identities", headers=running.as_("admin")).status_code == 200
    records = running.client.get("/audit", params={"caller": "recover-admin"}, headers=running.as_("admin"))
    assert [record["action"] for record in records.json()["items"]] == ["keys:create"]
    assert running.client.get("/audit/verify", headers=running.as_("admin")).json()["intact"] is True


def test_a_tampered_admin_is_passed_over(running, command):
    with sqlite3.connect(running.database) as connection:
        connection.execute("UPDATE identities SET description='x' WHERE name='admin'")
    code, said = command(running.settings, "recover-admin")
    assert (code, "admin-2" in said) == (0, True)
    assert running.client.get("/identities", headers=running.as_("admin")).status_code == 200


def test_a_backup_restores_on_an_empty_machine(start, settings, tmp_path, command):
    from conftest import settings_in

    first = start(settings)
    before = values(first)
    old_key, old_kids = first.key_of("admin"), first.client.get("/.well-known/jwks.json").json()
    file = tmp_path / "platform.backup"
    code, said = command(settings, "backup", "--to", file)
    assert code == 0, said
    raw = file.read_bytes()
    for secret in (*before["secrets"].values(), old_key):
        assert secret.encode() not in raw
    stop(first)

    empty = settings_in(tmp_path / "empty")
    code, said = command(empty, "restore", "--from", file)
    assert code == 0, said
    second = start(empty)
    after = values(second)
    assert after["secrets"] == before["secrets"]
    assert after["epoch"] != before["epoch"]
    assert second.client.get("/.well-known/jwks.json").json() != old_kids
    assert second.ask_token(old_key).status_code == 401
    assert (empty.trust_dir / "ca.pem").read_text() == (settings.trust_dir / "ca.pem").read_text()
    assert second.ask_token(second.key_of("notification")).status_code == 200
    assert second.client.get("/audit/verify", headers=second.as_("admin")).json()["intact"] is True

    key_id = old_key.split("_")[1]
    enabled = second.client.patch(
        f"/identities/admin/keys/{key_id}", json={"enabled": True}, headers=second.as_("admin")
    )
    assert enabled.json()["enabled"] is True
    assert second.ask_token(old_key).status_code == 200


def test_other_stores_go_with_it_and_begin_a_new_history(running, tmp_path, command):
    from conftest import settings_in

    log = tmp_path / "notification.db"
    with sqlite3.connect(log) as connection:
        connection.execute("CREATE TABLE log_state (id INTEGER, epoch TEXT)")
        connection.execute("INSERT INTO log_state VALUES (1, 'before')")
    file, target = tmp_path / "b", tmp_path / "put" / "notification.db"
    assert command(running.settings, "backup", "--to", file, "--store", f"notification={log}")[0] == 0
    code, said = command(
        settings_in(tmp_path / "e"), "restore", "--from", file, "--store", f"notification={target}"
    )
    assert code == 0, said
    with sqlite3.connect(target) as connection:
        assert connection.execute("SELECT epoch FROM log_state").fetchone() != ("before",)


def in_a_shell(settings, *arguments, given):
    """Run a command as a process of its own: answers its status, standard output and the report."""
    names = ("data_dir", "identities_dir", "admin_dir", "trust_dir", "kek_file")
    environment = {
        **os.environ,
        **{f"FOUNTAIN_{name.upper()}": str(getattr(settings, name)) for name in names},
    }
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    command = [sys.executable, "-m", "secrets_manager.admin", *arguments]
    done = subprocess.run(command, env=environment, input=given, capture_output=True, timeout=60)
    return done.returncode, done.stdout, done.stderr.decode()


def test_a_backup_goes_through_a_pipe_and_says_by_what_to_know_that_all_of_it_came(start, settings, tmp_path):
    from conftest import settings_in

    line = f"{PASSPHRASE}\n".encode()
    first = start(settings)
    before = values(first)
    code, content, said = in_a_shell(settings, "backup", "--to", "-", given=line)
    assert code == 0, said
    report = json.loads(said.splitlines()[-1])
    assert report["stores"] == ["secrets-manager"]
    assert (report["bytes"], report["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert not (settings.data_dir / ".backup").exists()
    stop(first)

    empty = settings_in(tmp_path / "empty")
    code, out, said = in_a_shell(empty, "restore", "--from", "-", given=line + content[:-1])
    assert (code, out) == (1, b"")
    assert "cut off" in said
    code, out, said = in_a_shell(empty, "restore", "--from", "-", given=line + content)
    assert (code, out) == (0, b""), said
    report = json.loads(said.splitlines()[-1])
    assert (report["stores"], report["left_out"]) == (["secrets-manager"], [])
    assert report["disabled_keys"] > 0
    assert values(start(empty))["secrets"] == before["secrets"]


def test_one_backup_at_a_time_removes_what_a_killed_one_left(running):
    left = running.settings.data_dir / ".backup" / "notification.db"
    left.parent.mkdir()
    left.touch()
    line = f"{PASSPHRASE}\n".encode()
    with (running.settings.data_dir / ".backup.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, content, said = in_a_shell(running.settings, "backup", "--to", "-", given=line)
        assert (code, content, left.exists()) == (1, b"", True)
        assert "Another backup" in said
    code, _, said = in_a_shell(running.settings, "backup", "--to", "-", given=line)
    assert (code, left.exists()) == (0, False), said


def test_a_backup_that_cannot_be_written_says_why_in_a_line(running, tmp_path, command):
    code, said = command(running.settings, "backup", "--to", tmp_path / "nowhere" / "b")
    assert (code, said.count("\n"), "No such file" in said) == (1, 1, True)


def test_a_wrong_passphrase_writes_nothing(running, tmp_path, command):
    from conftest import settings_in

    file, empty = tmp_path / "b", settings_in(tmp_path / "e")
    command(running.settings, "backup", "--to", file)
    code, said = command(empty, "restore", "--from", file, passphrase="another passphrase")
    assert (code, "passphrase" in said) == (1, True)
    assert not (empty.data_dir / "secrets_manager.db").exists()
    assert not empty.kek_file.exists()


def test_a_restore_overwrites_nothing(running, tmp_path, command):
    file = tmp_path / "b"
    command(running.settings, "backup", "--to", file)
    before = running.settings.kek_file.read_bytes()
    code, said = command(running.settings, "restore", "--from", file)
    assert (code, "already" in said) == (1, True)
    assert running.settings.kek_file.read_bytes() == before


@pytest.mark.parametrize("beside", ["-wal", "-shm", "-journal"])
@pytest.mark.parametrize("store", ["secrets-manager", "notification"])
def test_a_restore_does_not_go_beside_what_a_killed_one_left(running, tmp_path, command, store, beside):
    """Its database was moved away alone: SQLite would play its log into the one that is restored."""
    from conftest import settings_in

    log = tmp_path / "notification.db"
    with sqlite3.connect(log) as connection:
        connection.execute("CREATE TABLE log_state (id INTEGER, epoch TEXT)")
    file, empty = tmp_path / "b", settings_in(tmp_path / "e")
    assert command(running.settings, "backup", "--to", file, "--store", f"notification={log}")[0] == 0
    own, other = empty.data_dir / "secrets_manager.db", tmp_path / "put" / "notification.db"
    arguments = ("restore", "--from", file, "--store", f"notification={other}")
    left = Path(f"{own if store == 'secrets-manager' else other}{beside}")
    left.parent.mkdir(parents=True)
    left.write_bytes(b"what it wrote last")
    code, said = command(empty, *arguments)
    assert (code, str(left) in said) == (1, True)
    assert not own.exists()
    assert not other.exists()
    assert not empty.kek_file.exists()
    left.rename(tmp_path / "moved away")
    code, said = command(empty, *arguments)
    assert code == 0, said


def test_a_short_passphrase_is_refused(running, tmp_path, command):
    code, said = command(running.settings, "backup", "--to", tmp_path / "b", passphrase="short")
    assert (code, "12 characters" in said) == (1, True)
    assert not (tmp_path / "b").exists()


def test_rekey_replaces_the_file_and_everything_still_opens(start, settings, command):
    first = start(settings)
    before, old = values(first)["secrets"], settings.kek_file.read_bytes()
    code, said = command(settings, "rekey")
    assert (code, "Stop it first" in said) == (75, True)
    stop(first)
    code, said = command(settings, "rekey")
    assert code == 0, said
    assert settings.kek_file.read_bytes() != old
    second = start(settings)
    assert values(second)["secrets"] == before
    assert second.client.get("/audit/verify", headers=second.as_("admin")).json()["intact"] is True
    assert second.client.get("/health").status_code == 200


def test_the_key_encryption_key_is_replaced_while_everything_runs(running):
    before, old = values(running)["secrets"], running.settings.kek_file.read_bytes()
    kids = running.client.get("/.well-known/jwks.json").json()
    answer = running.client.post("/key-encryption-key/rotate", headers=running.as_("admin"))
    assert answer.status_code == 200, answer.text
    assert running.settings.kek_file.read_bytes() != old
    assert values(running)["secrets"] == before
    assert running.client.get("/.well-known/jwks.json").json() == kids


@pytest.mark.parametrize("how", ["lost", "another", "garbage"])
def test_a_start_without_the_right_key_says_so_and_writes_nothing(start, settings, capsys, how):
    stop(start(settings))
    kept = settings.kek_file.read_bytes()
    settings.kek_file.unlink()
    if how != "lost":
        other = b"fountain-kek-1:" + b"A" * 43 + b"=\n" if how == "another" else b"what is this"
        settings.kek_file.write_bytes(other)
    with sqlite3.connect(settings.data_dir / "secrets_manager.db") as connection:
        before = list(connection.iterdump())
    with pytest.raises(KeyRefusedError, match="Nothing was written"):
        start(settings)
    assert "This service does not start" in capsys.readouterr().err
    with sqlite3.connect(settings.data_dir / "secrets_manager.db") as connection:
        assert list(connection.iterdump()) == before
    settings.kek_file.unlink(missing_ok=True)
    settings.kek_file.write_bytes(kept)
    assert start(settings).client.get("/health").status_code == 200


@pytest.mark.parametrize("garbage", [b"what is this", b"", b"\xff\xfe"])
def test_a_first_start_with_what_is_no_key_says_so_and_writes_nothing(start, settings, capsys, garbage):
    settings.kek_file.parent.mkdir()
    settings.kek_file.write_bytes(garbage)
    with pytest.raises(KeyRefusedError, match="Nothing was written"):
        start(settings)
    assert "This service does not start" in capsys.readouterr().err
    with sqlite3.connect(settings.data_dir / "secrets_manager.db") as connection:
        assert list(connection.execute("SELECT name FROM sqlite_master")) == []
    assert settings.kek_file.read_bytes() == garbage
    settings.kek_file.unlink()
    assert start(settings).client.get("/health").status_code == 200


@pytest.mark.parametrize(
    ("tamper", "named"), [(alter_the_head, []), (put_behind_the_audit, ["edited"])], ids=["head", "behind it"]
)
def test_a_tampered_end_of_the_audit_is_accepted_at_the_machine_and_stays_on_record(
    start, settings, command, tamper, named
):
    first = start(settings)
    tamper(first)
    stop(first)
    code, said = command(settings, "recover-admin")
    assert (code, "fountain audit accept-head" in said) == (1, True), "nothing is written behind it before"
    code, said = command(settings, "accept-head")
    assert code == 0, said
    second = start(settings)
    found = second.client.get(
        "/audit", params={"action": "audit:accept-head"}, headers=second.as_("admin")
    ).json()
    assert len(found["items"]) == 1
    report = second.client.get("/audit/verify", headers=second.as_("admin")).json()
    assert [finding["kind"] for finding in report["findings"]] == named
    assert second.client.get("/health").status_code == 200


def test_a_second_replica_waits_for_the_first(start, settings):
    first = start(settings)
    from secrets_manager.writer_lock import WriterLock

    async def held():
        try:
            async with asyncio.timeout(0.3):
                await WriterLock(first.app.state.core.db, settings.data_dir).acquire()
        except TimeoutError:
            return True
        return False

    assert asyncio.run(held())

"""A backup that is taken while the key-encryption key is replaced holds the key ring that opens its rows."""

import asyncio
import itertools
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import PASSPHRASE, Running, settings_in
from secrets_manager import backup, restore
from secrets_manager.core import MIGRATIONS
from secrets_manager.kek import FileKey
from secrets_manager.keyring import Keyring
from secrets_manager.keyring_store import rotate_key_encryption_key


@pytest.fixture(autouse=True)
def cheap_passphrases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dozens of backups are made and opened here, and none is anybody's."""
    monkeypatch.setattr("secrets_manager.sealed_stream._COST", {"n": 2**10, "r": 8, "p": 1})


def rekeyed(running: Running) -> None:
    answer = running.client.post("/key-encryption-key/rotate", headers=running.as_("admin"))
    assert answer.status_code == 200, answer.text


def another_store(tmp_path: Path) -> str:
    log = tmp_path / "other.db"
    with closing(sqlite3.connect(log)) as connection, connection:
        connection.execute("CREATE TABLE IF NOT EXISTS things (id INTEGER)")
    return f"other={log}"


def restored_values(start: Callable[..., Running], folder: Path, file: Path, command: Callable) -> dict:
    """Put a backup onto an empty machine, start there, and read a secret."""
    empty = settings_in(folder)
    code, said = command(empty, "restore", "--from", file)
    assert code == 0, said
    second = start(empty)
    answer = second.client.get("/secrets/notification", headers=second.as_("admin"))
    assert answer.status_code == 200, answer.text
    assert second.client.get("/audit/verify", headers=second.as_("admin")).json()["intact"] is True
    second.client.__exit__(None, None, None)
    return answer.json()["secrets"]


@pytest.mark.parametrize("moment", ["before another store is copied", "once its own store is copied"])
def test_a_key_that_is_replaced_in_the_middle_of_a_backup_leaves_it_whole(
    start, settings, tmp_path, command, monkeypatch, moment
):
    running = start(settings)
    before = running.client.get("/secrets/notification", headers=running.as_("admin")).json()["secrets"]
    copy, due = backup._snapshot, [moment]

    def copied(source: Path, target: Path) -> None:
        own = source == running.database
        if not own and due == ["before another store is copied"]:
            due.clear()
            rekeyed(running)
        copy(source, target)
        if own and due == ["once its own store is copied"]:
            due.clear()
            rekeyed(running)

    monkeypatch.setattr(backup, "_snapshot", copied)
    file = tmp_path / "b"
    code, said = command(settings, "backup", "--to", file, "--store", another_store(tmp_path))
    assert (code, due) == (0, []), said
    running.client.__exit__(None, None, None)
    assert restored_values(start, tmp_path / "empty", file, command) == before


def opened_rows(running: Running, store: Path, kek: FileKey) -> int:
    """Open every sealed row of a store that was restored; return how many there are."""
    with closing(sqlite3.connect(store)) as connection:
        wrapped = connection.execute("SELECT wrapped FROM key_ring").fetchone()[0]
        keyring, count = Keyring(backup.Ring.load(kek.unwrap(wrapped))), 0
        for column in running.app.state.core.secrets.sealed:
            table = column.model.__table__
            cursor = connection.execute(f"SELECT * FROM {table.name}")
            names = [one[0] for one in cursor.description]
            for values in cursor:
                row = column.model(**dict(zip(names, values, strict=True)))
                keyring.open(column.purpose, column.context(row), getattr(row, column.column))
                count += 1
    return count


class Between:
    """A database beside which something is done before each of its transactions."""

    def __init__(self, database: Any, done: Callable[[], None]) -> None:
        self._database, self._done = database, done

    async def write(self, fn: object) -> object:
        await asyncio.to_thread(self._done)
        return await self._database.write(fn)


def test_what_is_backed_up_between_any_two_transactions_of_replacing_the_key_opens(running, tmp_path):
    parts = running.app.state.core.secrets
    numbers, rings = itertools.count(), []

    def back_up() -> None:
        stores = {backup.OWN_STORE: running.database}
        kek = FileKey(running.settings.kek_file)
        backup.write_file(tmp_path / f"{next(numbers)}.backup", PASSPHRASE, kek, stores, 0.0)

    async def replace() -> None:
        database = Between(parts.database, back_up)
        await rotate_key_encryption_key(database, parts.kek, parts.keyring, parts.sealed)

    running.client.portal.call(replace)
    back_up()
    for number in range(next(numbers)):
        folder = tmp_path / str(number)
        kek, store = FileKey(folder / "kek"), folder / "own.db"
        stores = {backup.OWN_STORE: store}
        with (tmp_path / f"{number}.backup").open("rb") as source:
            asyncio.run(restore.restore(source, PASSPHRASE, stores, kek, MIGRATIONS))
        assert opened_rows(running, store, kek) >= 4
        with closing(sqlite3.connect(store)) as connection:
            wrapped = connection.execute("SELECT wrapped FROM key_ring").fetchone()[0]
        rings.append(sorted(backup.Ring.load(kek.unwrap(wrapped)).keys))
    assert (rings[0], rings[-1]) == ([1], [2])
    assert rings.count([1, 2]) >= 4
    assert rings == sorted(rings)


def test_a_backup_beside_a_key_that_is_replaced_again_and_again_is_whole(start, settings, tmp_path, command):
    running = start(settings)
    before = running.client.get("/secrets/notification", headers=running.as_("admin")).json()["secrets"]
    headers, stop, statuses = running.as_("admin"), threading.Event(), []

    def replace() -> None:
        while not stop.is_set():
            answer = running.client.post("/key-encryption-key/rotate", headers=headers)
            statuses.append(answer.status_code)
            stop.wait(0.02)

    files = [tmp_path / "1", tmp_path / "2"]
    replacing = threading.Thread(target=replace)
    replacing.start()
    try:
        for file in files:
            kek, stores = FileKey(settings.kek_file), {backup.OWN_STORE: running.database}
            backup.write_file(file, PASSPHRASE, kek, stores, 0.0)
    finally:
        stop.set()
        replacing.join()
    assert set(statuses) == {200}
    running.client.__exit__(None, None, None)
    for file in files:
        assert restored_values(start, tmp_path / f"{file.name}-empty", file, command) == before


def test_a_backup_whose_rows_need_a_key_that_it_lacks_is_refused_and_nothing_is_written(
    running, tmp_path, command, monkeypatch
):
    """As they were made beside a replacement, before the key ring came from the copy itself."""
    rekeyed(running)
    file, empty = tmp_path / "b", settings_in(tmp_path / "e")
    monkeypatch.setattr(backup, "_ring_in", lambda copy, kek: backup.Ring.generate())
    assert command(running.settings, "backup", "--to", file)[0] == 0
    code, said = command(empty, "restore", "--from", file)
    assert (code, "lacks key 2" in said, "Nothing was written" in said) == (1, True, True), said
    assert not (empty.data_dir / "secrets_manager.db").exists()
    assert not empty.kek_file.exists()

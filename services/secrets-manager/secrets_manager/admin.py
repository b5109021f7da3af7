"""What is done beside the database, by whoever has it and the key volume.

`python -m secrets_manager.admin <command>`:

    backup --to FILE [--store NAME=PATH ...]      while everything runs
    restore --from FILE [--store NAME=PATH ...]   onto an empty machine, with the secrets manager stopped
    recover-admin       a new admin key into the admin's volume, while everything runs
    rekey [--from PROVIDER]   a new key-encryption key, with the secrets manager stopped; from another
                        provider than the settings name now
    begin-epoch         go on with an older database that was put back, as after a restore, with the secrets
                        manager stopped
    accept-head         go on behind an audit head that was altered, which stays on record
    accept-rows         take identities, keys and grants as they are, after older ones were put back

A passphrase is read from standard input, never from the command line. Exit codes: 0 done, 1 not done, 2
misspelt, 75 not while the secrets manager runs.
"""

import argparse
import asyncio
import fcntl
import getpass
import os
import shutil
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO, Final, TextIO, cast

import orjson
from fountain_common.db import Database
from fountain_common.errors import Problem
from fountain_common.settings import load
from sqlalchemy.exc import SQLAlchemyError

from secrets_manager import backup, recovery, restore
from secrets_manager.audit import TamperedAuditError
from secrets_manager.beginning import Beginning
from secrets_manager.core import MIGRATIONS
from secrets_manager.kek import KeyEncryptionKey, KeyRefusedError
from secrets_manager.kek_provider import key_encryption_key
from secrets_manager.keyring import Keyring
from secrets_manager.keyring_store import load_keyring, move_key_ring, rotate_key_encryption_key
from secrets_manager.sealed_columns import SEALED
from secrets_manager.sealed_stream import MIN_PASSPHRASE, DigestingWriter, NotOpenedError
from secrets_manager.settings import Settings
from secrets_manager.vault import SEALED as SEALED_SECRETS
from secrets_manager.writer_lock import WriterLock

_STREAM: Final = Path("-")
_BUSY: Final = "The secrets manager runs. Stop it first: make down, or docker compose stop secrets-manager."


class NotDoneError(Exception):
    """The command was not carried out; the message says why and what to do."""

    status = 1


class RunningError(NotDoneError):
    """The secrets manager runs, and holds in memory what the command changes."""

    status = os.EX_TEMPFAIL


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command."""
    parser = argparse.ArgumentParser(prog="secrets_manager.admin", description="Work beside the database.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, option in (("backup", "--to"), ("restore", "--from")):
        command = commands.add_parser(name)
        command.add_argument(option, dest="file", type=Path, required=True)
        command.add_argument("--store", action="append", default=[], metavar="NAME=PATH", type=_store)
    for name in ("recover-admin", "begin-epoch", "accept-head", "accept-rows"):
        commands.add_parser(name)
    providers = ("file", "openbao-transit")
    commands.add_parser("rekey").add_argument("--from", dest="provider", choices=providers)
    given = parser.parse_args(arguments)
    settings = load(Settings)
    work = {
        "backup": _backup,
        "restore": _restore,
        "recover-admin": _recover_admin,
        "rekey": _rekey,
        "begin-epoch": _begin_epoch,
        "accept-head": _accept_head,
        "accept-rows": _accept_rows,
    }[given.command]
    streamed = getattr(given, "file", None) == _STREAM
    speak = sys.stderr if streamed else sys.stdout
    try:
        with redirect_stdout(speak):  # whatever is said must not get into a backup
            said = asyncio.run(work(settings, given))
    except NotDoneError as error:
        sys.stderr.write(f"{error}\n")
        return error.status
    except (KeyRefusedError, NotOpenedError, restore.NotEmptyError) as error:
        sys.stderr.write(f"{error}\n")
    except TamperedAuditError as error:
        sys.stderr.write(f"Not done: {error}. fountain audit accept-head goes on behind it.\n")
    except Problem as problem:
        sys.stderr.write(f"{problem.detail or problem.title}\n")
    except (OSError, sqlite3.Error, SQLAlchemyError) as error:
        # A full disk, a folder of somebody else, a broken store: each has a line that says it.
        sys.stderr.write(f"Not done: {getattr(error, 'orig', None) or error}\n")
    else:
        speak.write(f"{said}\n")
        return 0
    return 1


async def _backup(settings: Settings, given: argparse.Namespace) -> str:
    stores = {**dict(given.store), backup.OWN_STORE: _embedded(settings)}
    passphrase = read_passphrase(sys.stdin, twice=True)

    async def write(database: Database, keyring: Keyring) -> str:
        del database, keyring  # it may be another by the time that the store is copied
        args = (passphrase, key_encryption_key(settings), stores, time.time())
        if given.file == _STREAM:
            return await asyncio.to_thread(_to_stdout, settings.data_dir, *args)
        names = await asyncio.to_thread(backup.write_file, given.file, *args)
        return f"Wrote {given.file} with {', '.join(names)} and the key ring."

    return await _opened(settings, write)


def _to_stdout(
    scratch: Path, passphrase: str, kek: KeyEncryptionKey, stores: Mapping[str, Path], now: float
) -> str:
    """Write a backup to standard output; the report is by what a reader knows that he has all of it."""
    with _scratch(scratch) as folder, open(1, "wb", closefd=False) as out:
        digested = DigestingWriter(out)
        names = backup.write(cast("BinaryIO", digested), folder, passphrase, kek, stores, now)
    return orjson.dumps({"stores": names, "bytes": digested.size, "sha256": digested.hexdigest()}).decode()


@contextmanager
def _scratch(data_dir: Path) -> Iterator[Path]:
    """A folder for copies, for one backup at a time: what a killed one left in it is removed."""
    folder = data_dir / ".backup"
    with (data_dir / ".backup.lock").open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NotDoneError("Another backup is under way. Wait until it has ended.") from None
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


async def _restore(settings: Settings, given: argparse.Namespace) -> str:
    stores = {**dict(given.store), backup.OWN_STORE: _embedded(settings)}
    streamed, kek = given.file == _STREAM, key_encryption_key(settings)
    with _source(given.file) as source:
        # Text would be read ahead, beyond its line and into the backup.
        passphrase = _long_enough(source.readline()) if streamed else read_passphrase(sys.stdin)
        done = await restore.restore(source, passphrase, stores, kek, MIGRATIONS)
    admin = await _recover_admin(settings, given)
    if streamed:
        return orjson.dumps(asdict(done)).decode()
    left_out = f" Left out: {', '.join(done.left_out)}; name a place with --store." if done.left_out else ""
    return f"Restored {', '.join(done.stores)}; {done.disabled_keys} API keys are disabled.{left_out} {admin}"


def _source(file: Path) -> BinaryIO:
    return open(0, "rb", closefd=False) if file == _STREAM else file.open("rb")


async def _recover_admin(settings: Settings, given: argparse.Namespace) -> str:
    del given

    async def work(database: Database, keyring: Keyring) -> str:
        name = await recovery.new_admin_key(database, keyring, settings.admin_dir, time.time)
        place = settings.admin_dir / "api-key"
        return f"A new key of {name} is in {place}. Revoke those that are lost."

    return await _opened(settings, work)


async def _rekey(settings: Settings, given: argparse.Namespace) -> str:
    moves = given.provider not in (None, settings.kek_provider)

    async def work(database: Database, keyring: Keyring) -> str:
        kek, columns = key_encryption_key(settings), (SEALED_SECRETS, *SEALED)
        async with _alone(database, settings):
            replace = move_key_ring if moves else rotate_key_encryption_key
            count = await replace(database, kek, keyring, columns)
            detail = {"rewrapped": count, "provider": settings.kek_provider}
            await recovery.note(database, keyring, "kek:rotate", detail)
        return f"The key-encryption key is replaced; {count} values were wrapped anew. Back up the new one."

    return await _opened(settings, work, given.provider)


async def _begin_epoch(settings: Settings, given: argparse.Namespace) -> str:
    async def work(database: Database, keyring: Keyring) -> str:
        async with _alone(database, settings):
            disabled = await Beginning(database, keyring).begin()
        return f"Another epoch has begun; {disabled} API keys are disabled."

    said = await _opened(settings, work)
    return f"{said} {await _recover_admin(settings, given)}"


async def _accept_head(settings: Settings, given: argparse.Namespace) -> str:
    del given

    async def work(database: Database, keyring: Keyring) -> str:
        async with _alone(database, settings):
            seq = await recovery.accept_audit_head(database, keyring)
        return f"The audit goes on behind record {seq}. Its verification keeps naming what is missing."

    return await _opened(settings, work)


async def _accept_rows(settings: Settings, given: argparse.Namespace) -> str:
    del given

    async def work(database: Database, keyring: Keyring) -> str:
        await recovery.accept_rows(database, keyring)
        return "Identities, keys and grants are accepted as they are now. That is on record."

    return await _opened(settings, work)


async def _opened(
    settings: Settings, work: Callable[[Database, Keyring], Awaitable[str]], provider: str | None = None
) -> str:
    if not settings.database_url and not _embedded(settings).exists():
        raise NotDoneError(
            f"There is no database at {_embedded(settings)}. Is FOUNTAIN_DATA_DIR the right one?"
        )
    database = Database(settings.effective_database_url, password=settings.database_password)
    try:
        keyring = await load_keyring(database, key_encryption_key(settings, provider))
        if keyring is None:
            raise NotDoneError("The database is empty. Start the secrets manager once.")
        return await work(database, keyring)
    finally:
        await database.close()


@asynccontextmanager
async def _alone(database: Database, settings: Settings) -> AsyncIterator[None]:
    """Keep the secrets manager from running meanwhile: it holds in memory what is changed here."""
    lock = WriterLock(database, settings.data_dir)
    try:
        try:
            async with asyncio.timeout(1):
                await lock.acquire()
        except TimeoutError:
            raise RunningError(_BUSY) from None
        yield
    finally:
        lock.release()


def read_passphrase(source: TextIO, *, twice: bool = False) -> str:
    """Read a passphrase from a terminal, without showing it, or the first line of a pipe."""
    if source.isatty():
        passphrase = getpass.getpass("Passphrase of the backup: ")
        if twice and passphrase != getpass.getpass("Once more: "):
            raise NotDoneError("The two are not the same.")
    else:
        passphrase = source.readline()
    return _long_enough(passphrase)


def _long_enough(line: str | bytes) -> str:
    try:
        passphrase = (line.decode() if isinstance(line, bytes) else line).rstrip("\r\n")
    except UnicodeDecodeError:
        raise NotDoneError("The passphrase is not text in UTF-8.") from None
    if len(passphrase) < MIN_PASSPHRASE:
        raise NotDoneError(
            f"The passphrase has fewer than {MIN_PASSPHRASE} characters. Give it on standard input."
        )
    return passphrase


def _embedded(settings: Settings) -> Path:
    """Return the path of the embedded database.

    NotDoneError where PostgreSQL is used, which has its own tools.
    """
    if settings.database_url and not settings.database_url.startswith("sqlite:///"):
        raise NotDoneError(
            "The database is PostgreSQL. Back it up with pg_dump, and the key-encryption key apart from it."
        )
    return Path(settings.effective_database_url.removeprefix("sqlite:///"))


def _store(raw: str) -> tuple[str, Path]:
    name, separator, path = raw.partition("=")
    if not separator or not name or not path or "/" in name:
        raise argparse.ArgumentTypeError("NAME=PATH is needed, as notification=/data/notification.db")
    return name, Path(path)


if __name__ == "__main__":
    sys.exit(main())

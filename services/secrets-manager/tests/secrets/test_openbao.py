"""The key-encryption key in the transit engine of a real OpenBao server."""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from conftest import Running, settings_in
from fountain_common.db import Database
from openbao_server import OpenBao
from secrets_manager import admin
from secrets_manager.kek import FileKey, KeyEncryptionKey, KeyRefusedError
from secrets_manager.kek_provider import key_encryption_key
from secrets_manager.kek_transit import TransitKey
from secrets_manager.keyring_store import (
    load_keyring,
    move_key_ring,
    open_keyring,
    rotate_key_encryption_key,
)
from secrets_manager.settings import Settings
from secrets_manager.trust import Authority
from secrets_manager.vault import SEALED
from secrets_world import MIGRATIONS, SERVICE, world

pytestmark = pytest.mark.anyio


async def opened(folder: Path, kek: KeyEncryptionKey) -> bytes:
    """Start on a folder's database with this key, and return a derived key by which rings are told apart."""
    database = Database(f"sqlite:///{folder}/sm.db")
    try:
        return (await open_keyring(database, kek, MIGRATIONS)).derive("of this test")
    finally:
        await database.close()


async def test_openbao_keeps_the_key_and_replaces_it(tmp_path: Path, openbao: OpenBao) -> None:
    kek = openbao.key("fountain")
    assert not kek.exists()
    first = await opened(tmp_path, kek)
    assert await opened(tmp_path, openbao.key("fountain")) == first
    database = Database(f"sqlite:///{tmp_path}/sm.db")
    keyring = await load_keyring(database, kek)
    assert keyring is not None
    await rotate_key_encryption_key(database, kek, keyring, [SEALED])
    await database.close()
    assert await opened(tmp_path, kek) == first


async def test_openbao_away_or_with_another_key_is_said_in_plain_words(
    tmp_path: Path, openbao: OpenBao
) -> None:
    address, token = openbao.address, openbao.token
    await opened(tmp_path, TransitKey(address, "mine", token))
    another = TransitKey(address, "another", token)
    another.create()
    with pytest.raises(KeyRefusedError, match="transit key 'another'"):
        await opened(tmp_path, another)
    with pytest.raises(KeyRefusedError, match="cannot be reached"):
        await opened(tmp_path, TransitKey("http://127.0.0.1:9", "mine", token))
    with pytest.raises(KeyRefusedError, match="cannot be read"):
        await opened(tmp_path, TransitKey(address, "mine", tmp_path / "no-token"))
    (tmp_path / "wrong").write_text("root-of-something-else")
    with pytest.raises(KeyRefusedError, match="status 403"):
        await opened(tmp_path, TransitKey(address, "mine", tmp_path / "wrong"))


async def test_a_start_while_openbao_is_sealed_says_so_and_writes_nothing(
    tmp_path: Path, openbao: OpenBao
) -> None:
    first = await opened(tmp_path, openbao.key("sealed-at-start"))
    before = (tmp_path / "sm.db").read_bytes()
    openbao.seal()
    try:
        with pytest.raises(KeyRefusedError, match=r"Check that it is unsealed.*Nothing was written"):
            await opened(tmp_path, openbao.key("sealed-at-start"))
        assert (tmp_path / "sm.db").read_bytes() == before
    finally:
        openbao.unseal()
    assert await opened(tmp_path, openbao.key("sealed-at-start")) == first


def tables_in(folder: Path) -> list[object]:
    with closing(sqlite3.connect(folder / "sm.db")) as connection:
        return connection.execute("SELECT name FROM sqlite_master").fetchall()


async def test_a_first_start_while_openbao_is_sealed_writes_nothing_and_the_next_one_goes_on(
    tmp_path: Path, openbao: OpenBao
) -> None:
    kek = openbao.key("sealed-at-first")
    openbao.seal()
    try:
        with pytest.raises(KeyRefusedError, match=r"status 503.*unsealed.*Nothing was written"):
            await opened(tmp_path, kek)
        assert tables_in(tmp_path) == []
        with pytest.raises(KeyRefusedError):
            kek.exists()  # a server that is sealed knows no keys, and does not say that there is none
    finally:
        openbao.unseal()
    assert not kek.exists()
    first = await opened(tmp_path, kek)
    assert await opened(tmp_path, kek) == first


async def test_a_first_start_that_may_not_use_the_key_or_does_not_reach_it_writes_nothing(
    tmp_path: Path, openbao: OpenBao
) -> None:
    rules = 'path "transit/keys/may-*" { capabilities = ["read", "create", "update"] }'
    openbao.ask("PUT", "sys/policies/acl/no-encryption", policy=rules)
    made = openbao.ask("POST", "auth/token/create", policies=["no-encryption"]).json()
    (tmp_path / "token").write_text(made["auth"]["client_token"])
    for address, name, said in (
        (openbao.address, "may-not-encrypt", "status 403"),
        (openbao.address, "another", "status 403"),
        ("http://127.0.0.1:9", "may-not-encrypt", "cannot be reached"),
    ):
        with pytest.raises(KeyRefusedError, match=rf"{said}.*Nothing was written"):
            await opened(tmp_path, TransitKey(address, name, tmp_path / "token"))
        assert tables_in(tmp_path) == []


async def test_openbao_is_believed_by_the_authority_that_the_settings_name_and_by_no_other(
    tmp_path: Path, openbao: OpenBao
) -> None:
    def kek(address: str, ca_file: Path | None) -> KeyEncryptionKey:
        settings = Settings(
            _env_file=None,
            kek_provider="openbao-transit",
            openbao_address=address,
            openbao_key_name="with-tls",
            openbao_token_file=openbao.token,
            openbao_ca_file=ca_file,
        )
        return key_encryption_key(settings)

    first = await opened(tmp_path, kek(openbao.tls_address, openbao.authority))
    assert await opened(tmp_path, kek(openbao.tls_address, openbao.authority)) == first
    another, garbage = tmp_path / "another.pem", tmp_path / "garbage.pem"
    another.write_text(Authority.generate(time.time()).pem)
    garbage.write_text("what is this")
    by_number = openbao.tls_address.replace("localhost", "127.0.0.1")
    for address, ca_file, said in (
        (openbao.tls_address, another, f"not vouched for by {another}"),
        (openbao.tls_address, None, "not vouched for by any authority of the system"),
        (by_number, openbao.authority, "for another name"),
        (openbao.tls_address, tmp_path / "nowhere.pem", "cannot be read"),
        (openbao.tls_address, garbage, "cannot be read"),
    ):
        with pytest.raises(KeyRefusedError, match=rf"{said}.*Nothing was written"):
            await opened(tmp_path, kek(address, ca_file))


async def test_what_is_not_encrypted_goes_past_the_proxy_of_the_environment(
    tmp_path: Path, openbao: OpenBao, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    first = await opened(tmp_path, openbao.key("past-the-proxy"))
    assert await opened(tmp_path, openbao.key("past-the-proxy")) == first


async def test_what_runs_goes_on_while_openbao_is_sealed(tmp_path: Path, openbao: OpenBao) -> None:
    """It is asked at the start and when the key is replaced, and for nothing between."""
    kek = openbao.key("sealed-meanwhile")
    async with world(tmp_path, kek=kek) as sm:
        await sm.create()
        openbao.seal()
        try:
            sm.parts.changed(SERVICE)
            assert (await sm.admin.get(f"/secrets/{SERVICE}")).status_code == 200
            rotated = await sm.admin.post(f"/secrets/{SERVICE}/rotate")
            assert rotated.status_code == 200
            refused = await sm.admin.post("/key-encryption-key/rotate")
            assert (refused.status_code, "opens as before" in refused.text) == (503, True)
        finally:
            openbao.unseal()
        assert (await sm.admin.post("/key-encryption-key/rotate")).status_code == 200
    async with world(tmp_path, kek=kek) as sm:
        read = (await sm.admin.get(f"/secrets/{SERVICE}")).json()
        assert read["secrets"] == rotated.json()["secrets"]


async def moved(folder: Path, old: KeyEncryptionKey, new: KeyEncryptionKey) -> bytes:
    """Move a database from one key to another, and return a derived key as `opened` does."""
    database = Database(f"sqlite:///{folder}/sm.db")
    try:
        keyring = await load_keyring(database, old)
        assert keyring is not None
        await move_key_ring(database, new, keyring, [SEALED])
        return keyring.derive("of this test")
    finally:
        await database.close()


async def test_the_key_ring_moves_from_a_file_to_openbao_and_back(tmp_path: Path, openbao: OpenBao) -> None:
    file, transit = FileKey(tmp_path / "kek"), openbao.key("moved-to")
    first = await opened(tmp_path, file)
    assert await moved(tmp_path, file, transit) == first
    assert await opened(tmp_path, transit) == first
    with pytest.raises(KeyRefusedError):
        await opened(tmp_path, file)
    (tmp_path / "kek").unlink()
    assert await moved(tmp_path, transit, file) == first
    assert await opened(tmp_path, file) == first
    with pytest.raises(KeyRefusedError):
        await opened(tmp_path, transit)


def test_the_command_moves_it_as_the_runbook_says(
    tmp_path: Path, openbao: OpenBao, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kek").mkdir()
    key = tmp_path / "kek" / "key-encryption-key"

    async def begun() -> bytes:
        database = Database(f"sqlite:///{tmp_path}/secrets_manager.db")
        ring = (await open_keyring(database, FileKey(key), MIGRATIONS)).derive("of this test")
        await database.close()
        return ring

    first = asyncio.run(begun())
    given = {
        "data_dir": tmp_path, "kek_file": key, "kek_provider": "openbao-transit",
        "openbao_address": openbao.address, "openbao_token_file": openbao.token,
        "openbao_key_name": "by-command",
    }  # fmt: skip
    for name, value in given.items():
        monkeypatch.setenv(f"FOUNTAIN_{name.upper()}", str(value))
    assert admin.main(["rekey"]) == 1
    assert admin.main(["rekey", "--from", "file"]) == 0
    key.unlink()
    assert admin.main(["rekey"]) == 0

    async def seen() -> bytes:
        database = Database(f"sqlite:///{tmp_path}/secrets_manager.db")
        keyring = await load_keyring(database, openbao.key("by-command"))
        await database.close()
        assert keyring is not None
        return keyring.derive("of this test")

    assert asyncio.run(seen()) == first


def values_of(running: Running) -> dict[str, str]:
    answer = running.client.get("/secrets/notification", headers=running.as_("admin"))
    assert answer.status_code == 200, answer.text
    values: dict[str, str] = answer.json()["secrets"]
    return values


def dump_of(settings: Settings) -> list[str]:
    with closing(sqlite3.connect(settings.data_dir / "secrets_manager.db")) as connection:
        return list(connection.iterdump())


def test_a_backup_needs_neither_the_machine_nor_the_transit_key_that_it_was_made_with(
    tmp_path: Path,
    openbao: OpenBao,
    start: Callable[[Settings], Running],
    command: Callable[..., tuple[int, str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With the same key all is there again. With the key gone nothing starts on what it wrapped, and a
    restore makes another.
    """
    transit = {
        "kek_provider": "openbao-transit", "openbao_address": openbao.address, "openbao_key_name": "drilled",
        "openbao_token_file": openbao.token,
    }  # fmt: skip
    for name, value in transit.items():
        monkeypatch.setenv(f"FOUNTAIN_{name.upper()}", str(value))
    lost, same, other = (settings_in(tmp_path / name, **transit) for name in ("lost", "same", "other"))
    file = tmp_path / "platform.backup"
    running = start(lost)
    before = values_of(running)
    code, said = command(lost, "backup", "--to", file)
    assert code == 0, said
    running.client.__exit__(None, None, None)

    openbao.seal()
    try:
        code, said = command(same, "restore", "--from", file)
        assert (code, "unsealed" in said, "Nothing was written" in said) == (1, True, True), said
        assert not (same.data_dir / "secrets_manager.db").exists()
    finally:
        openbao.unseal()
    code, said = command(same, "restore", "--from", file)
    assert code == 0, said
    running = start(same)
    assert values_of(running) == before
    running.client.__exit__(None, None, None)
    assert openbao.versions_that_decrypt("drilled") == 1

    openbao.remove("drilled")
    kept = dump_of(same)
    with pytest.raises(KeyRefusedError, match=r"no transit key 'drilled'.*Nothing was written"):
        start(same)
    assert "This service does not start" in capsys.readouterr().err
    assert dump_of(same) == kept
    assert not openbao.key("drilled").exists()

    code, said = command(other, "restore", "--from", file)
    assert code == 0, said
    assert values_of(start(other)) == before
    assert not lost.kek_file.exists()
    assert not other.kek_file.exists()

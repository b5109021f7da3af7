"""The key-encryption key: refused when it is not the one, replaced while everything goes on."""

from pathlib import Path

import pytest
from fountain_common.db import Database
from openbao_server import OpenBao
from secrets_manager.kek import FileKey, KeyEncryptionKey, KeyRefusedError
from secrets_manager.keyring_store import load_keyring, move_key_ring, rotate_key_encryption_key
from secrets_manager.models_secrets import SecretVersionRow
from secrets_manager.vault import SEALED
from secrets_world import SERVICE, World, world
from sqlalchemy import select, update

pytestmark = pytest.mark.anyio


def digest(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


async def values(sm: object) -> dict[str, str]:
    return (await sm.admin.get(f"/secrets/{SERVICE}")).json()["secrets"]  # type: ignore[attr-defined]


def lost(kek: Path) -> None:
    kek.unlink()


def anothers(kek: Path) -> None:
    kek.unlink()
    FileKey(kek).create()


def garbage(kek: Path) -> None:
    kek.unlink()
    kek.write_text("not a key\n")


def empty(kek: Path) -> None:
    kek.unlink()
    kek.touch()


def a_directory(kek: Path) -> None:
    kek.unlink()
    kek.mkdir()


@pytest.mark.parametrize("damage", [lost, anothers, garbage, empty, a_directory])
async def test_a_wrong_key_is_refused_in_plain_words_before_anything_is_written(
    tmp_path: Path, damage: object
) -> None:
    async with world(tmp_path) as sm:
        await sm.create()
    damage(tmp_path / "kek")  # type: ignore[operator]
    before = digest(tmp_path)
    with pytest.raises(KeyRefusedError, match="Nothing was written") as refused:
        async with world(tmp_path):
            pass
    assert str(tmp_path / "kek") in str(refused.value)
    assert {name: raw for name, raw in digest(tmp_path).items() if not name.endswith(("-shm", "-wal"))} == {
        name: raw for name, raw in before.items() if not name.endswith(("-shm", "-wal"))
    }


async def test_the_key_file_is_its_owners_alone(tmp_path: Path) -> None:
    async with world(tmp_path):
        assert (tmp_path / "kek").stat().st_mode & 0o777 == 0o400


async def test_no_value_lies_in_the_database_in_plain_text(tmp_path: Path) -> None:
    async with world(tmp_path) as sm:
        await sm.create(given={"MARKER": "m4rk3r-value-in-plain-text"})
        await sm.admin.post(f"/secrets/{SERVICE}/rotate", headers={"Idempotency-Key": "k"})
        secrets = [*(await values(sm)).values()]
    for name, raw in digest(tmp_path).items():
        assert not any(value.encode() in raw for value in secrets), name


async def test_swapped_and_replayed_ciphertexts_do_not_open(tmp_path: Path) -> None:
    async with world(tmp_path) as sm:
        await sm.create()
        await sm.create("action")
        await sm.admin.post(f"/secrets/{SERVICE}/rotate")
        rows = await sm.db.read(lambda session: session.scalars(select(SecretVersionRow)).all())
        sealed = {(row.service_name, row.version): row.sealed for row in rows}
        for place in (("action", 1), (SERVICE, 1)):
            where = (SecretVersionRow.service_name == SERVICE, SecretVersionRow.version == 2)
            await sm.db.write(
                lambda session, place=place, where=where: session.execute(
                    update(SecretVersionRow).where(*where).values(sealed=sealed[place])
                )
            )
            sm.parts.changed(SERVICE)
            answer = await sm.admin.get(f"/secrets/{SERVICE}")
            assert (answer.status_code, "altered" in answer.json()["detail"]) == (500, True)


async def test_the_key_is_replaced_while_everything_goes_on(tmp_path: Path) -> None:
    async with world(tmp_path) as sm:
        await sm.create()
        for number in range(7):
            await sm.create(f"s{number}")
        old_file, before = (tmp_path / "kek").read_text(), await values(sm)
        assert (await sm.admin.post("/key-encryption-key/rotate")).json() == {"rewrapped": 8}
        sm.parts.changed(SERVICE)
        assert await values(sm) == before
        assert (await sm.admin.post(f"/secrets/{SERVICE}/rotate")).status_code == 200
        after = await values(sm)
    new_file = (tmp_path / "kek").read_text()
    assert old_file not in new_file
    assert len(new_file.splitlines()) == 1
    async with world(tmp_path) as sm:
        assert await values(sm) == after
    (tmp_path / "kek").unlink()
    (tmp_path / "kek").write_text(old_file)
    with pytest.raises(KeyRefusedError):
        async with world(tmp_path):
            pass


class Killed(BaseException):
    """The process ends here."""


class Mortal:
    """A database or a key that dies at the n-th thing that it is asked to do, before or after doing it."""

    def __init__(self, inner: object, lives: list[int]) -> None:
        self._inner, self._lives = inner, lives

    def __getattr__(self, name: str) -> object:
        method = getattr(self._inner, name)
        if name == "write":

            async def write(fn: object) -> object:
                self._step()
                result = await method(fn)
                self._step()
                return result

            return write
        if name in {"create", "add_key", "drop_old_keys"}:

            def call() -> None:
                self._step()
                method()
                self._step()

            return call
        return method

    def _step(self) -> None:
        self._lives[0] -= 1
        if self._lives[0] == 0:
            raise Killed


@pytest.mark.parametrize("provider", ["file", "openbao-transit"])
async def test_killed_at_any_step_of_replacing_the_key_everything_still_opens(
    tmp_path: Path, openbao: OpenBao, provider: str
) -> None:
    for step in range(1, 40):
        name = f"killed-at-{step}"
        kek = openbao.key(name) if provider == "openbao-transit" else None
        folder = tmp_path / str(step)
        folder.mkdir()
        async with world(folder, kek=kek) as sm:
            await sm.create()
            before = await values(sm)
            lives = [step]
            try:
                await rotate_key_encryption_key(
                    Mortal(sm.db, lives),
                    Mortal(sm.kek, lives),
                    sm.parts.keyring,
                    [SEALED],  # type: ignore[arg-type]
                )
                finished = True
            except Killed:
                finished = False
        async with world(folder, kek=kek) as sm:
            assert await values(sm) == before
            assert (await sm.admin.post("/key-encryption-key/rotate")).status_code == 200
        if kek is None:
            assert len((folder / "kek").read_text().splitlines()) == 1
        else:
            assert openbao.versions_that_decrypt(name) == 1
        if finished:
            return
    pytest.fail("it never finished")


def key_of(provider: str, folder: Path, openbao: OpenBao, name: str) -> KeyEncryptionKey:
    return openbao.key(name) if provider == "openbao-transit" else FileKey(folder / name)


async def rekey(
    folder: Path, opener: KeyEncryptionKey, kek: KeyEncryptionKey, lives: list[int] | None = None
) -> None:
    """Replace the key with the service stopped, as the command does: the key that opens is another
    provider's, or `kek` itself.
    """
    database = Database(f"sqlite:///{folder}/secrets_manager.db")
    try:
        keyring = await load_keyring(database, opener)
        assert keyring is not None
        replace = rotate_key_encryption_key if opener is kek else move_key_ring
        left = lives or [0]
        await replace(Mortal(database, left), Mortal(kek, left), keyring, [SEALED])  # type: ignore[arg-type]
    finally:
        await database.close()


async def both_versions(sm: World) -> list[dict[str, str]]:
    path = f"/secrets/{SERVICE}"
    return [(await sm.admin.get(path, params={"version": number})).json()["secrets"] for number in (1, 2)]


async def opened_with(folder: Path, kek: KeyEncryptionKey) -> list[dict[str, str]] | None:
    """Return the values of both versions; None if this key is refused."""
    try:
        async with world(folder, kek=kek) as sm:
            return await both_versions(sm)
    except KeyRefusedError:
        return None


@pytest.mark.parametrize(
    ("from_provider", "to_provider"), [("file", "openbao-transit"), ("openbao-transit", "file")]
)
async def test_killed_at_any_step_of_moving_the_key_ring_either_key_opens_it_and_the_work_can_be_finished(
    tmp_path: Path, openbao: OpenBao, from_provider: str, to_provider: str
) -> None:
    opened_by = []
    for step in range(1, 40):
        folder = tmp_path / str(step)
        folder.mkdir()
        name = f"moved-{from_provider}-{step}"
        old = key_of(from_provider, folder, openbao, f"{name}-old")
        new = key_of(to_provider, folder, openbao, f"{name}-new")
        async with world(folder, kek=old) as sm:
            await sm.create()
            assert (await sm.admin.post(f"/secrets/{SERVICE}/rotate")).status_code == 200
            ring_before, before = sm.parts.keyring.ring, await both_versions(sm)
        try:
            await rekey(folder, old, new, [step])
            finished = True
        except Killed:
            finished = False

        found = {"old": await opened_with(folder, old), "new": await opened_with(folder, new)}
        [opener] = [which for which, opened in found.items() if opened is not None]
        assert found[opener] == before
        opened_by.append(opener)

        # As the runbook says: finish with the new one, and move again if that is said to be the wrong one.
        try:
            await rekey(folder, new, new)
        except KeyRefusedError:
            await rekey(folder, old, new)
        assert await opened_with(folder, old) is None
        async with world(folder, kek=new) as sm:
            assert await both_versions(sm) == before
            keyring = sm.parts.keyring
            assert len(keyring.ring.keys) == 1
            assert not keyring.ring.keys.keys() & ring_before.keys.keys()
            rows = await sm.db.read(lambda session: session.scalars(select(SecretVersionRow)).all())
            assert [keyring.needs_rewrap(row.sealed) for row in rows] == [False, False]
        if to_provider == "file":
            assert len((folder / f"{name}-new").read_text().splitlines()) == 1
        else:
            assert openbao.versions_that_decrypt(f"{name}-new") == 1
        if finished:
            # It was killed on either side of the moment at which the ring is the new key's.
            assert set(opened_by) == {"old", "new"}
            return
    pytest.fail("it never finished")

"""Seeds and codes at rest: sealed, through rotations of the data key, and when a key is lost."""

import asyncio
import secrets
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from fountain_common import Database, Sealer, Unavailable
from fountain_common.testing import ServiceClient, World, instance
from people import NOW, SERVICE, SOMEBODY, confirmed, enrolled, sent_code, verified
from two_factor.service import Factors


def test_seeds_are_sealed_and_follow_a_rotation_of_the_data_key(
    client: ServiceClient, clock: Any, tmp_path: Path
) -> None:
    authenticator, _ = confirmed(client)
    waiting = enrolled(client, "grace")
    code = sent_code(client)

    def sealed() -> list[bytes]:
        with sqlite3.connect(tmp_path / "two_factor.db") as db:
            rows = db.execute("SELECT seed FROM factors UNION SELECT pending_seed FROM factors").fetchall()
            rows += db.execute("SELECT code FROM one_time_codes").fetchall()
        return [bytes(value) for (value,) in rows if value is not None]

    before = {value[:9] for value in sealed()}
    assert not any(authenticator.byte_secret() in value for value in sealed())
    # It answers once this instance has said that it uses the new key: by then all is sealed with it.
    rotation = client.world.secrets_manager.rotate("two-factor", DATA_KEY="another-data-key")
    after = {value[:9] for value in sealed()}
    assert (len(sealed()), len(before), len(after)) == (3, 1, 1)
    assert before != after
    rotation.retire_previous()
    client.world.secrets_manager.destroy("two-factor", 1)
    assert verified(client, code) is True
    clock.shift(30)
    assert verified(client, authenticator.at(NOW + 30)) is True
    body = {"otp_code": waiting.at(NOW + 30)}
    assert client.post("/factors/grace/confirm", json=body).status_code == 200


def stopped_while_the_data_key_is_rotated(world: World) -> None:
    """Rotate as the real one does when nobody holds the secret: it is through at once, twice over."""
    for key in ("the second data key", "the third data key"):
        rotation = world.secrets_manager.stage("two-factor", DATA_KEY=key)
        rotation.activate()
        rotation.retire_previous()


def test_a_data_key_that_was_rotated_while_the_service_was_stopped_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Any
) -> None:
    monkeypatch.setenv("FOUNTAIN_DATA_DIR", str(tmp_path))
    world = World()
    with instance(SERVICE, world, roles=SOMEBODY) as client:
        authenticator, _ = confirmed(client)
        waiting = enrolled(client, "grace")
    stopped_while_the_data_key_is_rotated(world)
    with instance(SERVICE, world, roles=SOMEBODY) as client:
        clock.shift(30)
        assert verified(client, authenticator.at(NOW + 30)) is True
        code = {"otp_code": waiting.at(NOW + 30)}
        assert client.post("/factors/grace/confirm", json=code).status_code == 200
    # Everything was sealed anew: the earlier versions are needed no more.
    for version in (1, 2):
        world.secrets_manager.destroy("two-factor", version)
    with instance(SERVICE, world, roles=SOMEBODY) as client:
        clock.shift(30)
        assert verified(client, authenticator.at(NOW + 60)) is True


def test_the_service_starts_although_a_seed_was_sealed_under_a_key_that_is_destroyed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Any
) -> None:
    monkeypatch.setenv("FOUNTAIN_DATA_DIR", str(tmp_path))
    world = World()
    with instance(SERVICE, world, roles=SOMEBODY) as client:
        confirmed(client)
    stopped_while_the_data_key_is_rotated(world)
    world.secrets_manager.destroy("two-factor", 1)
    with instance(SERVICE, world, roles=SOMEBODY) as client:
        authenticator, _ = confirmed(client, "grace")
        clock.shift(30)
        assert verified(client, authenticator.at(NOW + 30), "grace") is True


def lose_the_key(folder: Path, column: str) -> None:
    """Have a seed be sealed under a key that nobody holds."""
    with sqlite3.connect(folder / "two_factor.db") as db:
        db.execute(f"UPDATE factors SET {column} = ?", [b"\x01" + secrets.token_bytes(60)])


def test_a_factor_under_a_lost_key_says_so_and_a_recovery_code_still_works(
    client: ServiceClient, clock: Any, tmp_path: Path
) -> None:
    authenticator, recovery = confirmed(client)
    lose_the_key(tmp_path, "seed")
    clock.shift(30)
    code = {"username": "ada", "otp_code": authenticator.at(NOW + 30)}
    for method, path in (("POST", "/auth/verify"), ("POST", "/factors"), ("DELETE", "/factors/ada")):
        body = {"otp_code": code["otp_code"]} if method == "DELETE" else code
        answer = client.request(method, path, json=body)
        assert answer.status_code == 409
        assert "recovery code" in answer.json()["detail"]
    assert verified(client, recovery[0]) is True
    assert (
        client.request("DELETE", "/factors/ada", headers=client.bearer("root", ["admin"])).status_code == 204
    )


def test_under_a_lost_key_wrong_codes_lock_as_ever_and_a_sent_code_still_works(
    client: ServiceClient, clock: Any, tmp_path: Path
) -> None:
    confirmed(client)
    lose_the_key(tmp_path, "seed")
    code = sent_code(client)
    assert verified(client, code) is True
    wrong = {"username": "ada", "otp_code": "000000"}
    statuses = [client.post("/auth/verify", json=wrong).status_code for _ in range(6)]
    assert statuses == [409] * 5 + [429]


def test_an_enrolment_under_a_lost_key_is_made_anew(
    client: ServiceClient, clock: Any, tmp_path: Path
) -> None:
    authenticator = enrolled(client)
    lose_the_key(tmp_path, "pending_seed")
    answer = client.post("/factors/ada/confirm", json={"otp_code": authenticator.at(NOW)})
    assert answer.status_code == 409
    assert "Begin a new one with POST /factors" in answer.json()["detail"]
    confirmed(client)


def test_without_a_data_key_it_says_what_is_missing(tmp_path: Path) -> None:
    async def story() -> None:
        db = Database(f"sqlite:///{tmp_path}/empty.db")
        db.migrate(SERVICE / "two_factor" / "migrations")
        factors = Factors(db, Sealer(list), "FountainAI", lambda: float(NOW))
        with pytest.raises(Unavailable, match="two-factor:DATA_KEY"):
            await factors.enrol("ada", None, by_admin=True)
        with pytest.raises(Unavailable, match="two-factor:DATA_KEY"):
            await factors.new_one_time_code("ada", 300)
        await db.close()

    asyncio.run(story())

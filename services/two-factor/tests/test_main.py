"""What the service promises, with fakes for its peers: no network."""

import json
import re
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyotp
import pytest
import time_machine
from fountain_common.db import Database
from fountain_common.migrations import differences
from fountain_common.testing import ServiceClient, World, instance, wait_until
from two_factor.codes import RECOVERY_CODES
from two_factor.models import Base

SERVICE = Path(__file__).parents[1]
MIGRATIONS = SERVICE / "two_factor" / "migrations"
# The start of the next time step: tokens that are made in real time are good then.
NOW = (int(time.time()) // 30 + 1) * 30
SOMEBODY = ("service",)


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServiceClient]:
    monkeypatch.setenv("FOUNTAIN_DATA_DIR", str(tmp_path))
    with instance(SERVICE, roles=SOMEBODY) as client:
        yield client


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


def enrolled(client: ServiceClient, username: str = "ada", **more: str) -> pyotp.TOTP:
    answer = client.post("/factors", json={"username": username, **more})
    assert answer.status_code == 201, answer.text
    authenticator = pyotp.parse_uri(answer.json()["otpauth_uri"])
    assert isinstance(authenticator, pyotp.TOTP)
    return authenticator


def confirmed(client: ServiceClient, username: str = "ada") -> tuple[pyotp.TOTP, list[str]]:
    authenticator = enrolled(client, username)
    answer = client.post(f"/factors/{username}/confirm", json={"otp_code": authenticator.at(NOW)})
    assert answer.status_code == 200, answer.text
    return authenticator, answer.json()["recovery_codes"]


def verified(client: ServiceClient, code: str, username: str = "ada") -> Any:
    answer = client.post("/auth/verify", json={"username": username, "otp_code": code})
    assert answer.status_code == 200, answer.text
    return answer.json()["success"]


def test_an_authenticator_app_is_enrolled_confirmed_and_verified(client: ServiceClient, clock: Any) -> None:
    authenticator, recovery = confirmed(client)
    assert len(recovery) == RECOVERY_CODES
    clock.shift(60)
    assert verified(client, authenticator.at(NOW + 60)) is True
    status = client.get("/factors/ada").json()
    assert (status["confirmed"], status["recovery_codes_left"]) == (True, RECOVERY_CODES)


def test_an_enrolment_counts_only_once_it_is_confirmed(client: ServiceClient, clock: Any) -> None:
    authenticator = enrolled(client)
    assert verified(client, authenticator.at(NOW)) is False
    assert client.post("/factors/ada/confirm", json={"otp_code": "000000"}).status_code == 422
    assert client.get("/factors/ada").json()["confirmed"] is False


def test_a_used_code_is_refused(client: ServiceClient, clock: Any) -> None:
    authenticator, _ = confirmed(client)
    assert verified(client, authenticator.at(NOW)) is False
    clock.shift(30)
    assert [verified(client, authenticator.at(NOW + 30)) for _ in range(2)] == [True, False]


def test_of_two_uses_at_once_one_succeeds(client: ServiceClient, clock: Any) -> None:
    authenticator, recovery = confirmed(client)
    clock.shift(30)
    with ThreadPoolExecutor(4) as threads:
        for code in (authenticator.at(NOW + 30), recovery[0]):
            assert sum(threads.map(lambda _, code=code: verified(client, code), range(4))) == 1


def test_a_recovery_code_works_once(client: ServiceClient, clock: Any) -> None:
    _, recovery = confirmed(client)
    typed = recovery[3].upper().replace("-", " ")
    assert [verified(client, typed) for _ in range(2)] == [True, False]
    assert client.get("/factors/ada").json()["recovery_codes_left"] == RECOVERY_CODES - 1


def test_repeated_wrong_codes_lock_and_the_lock_ends(client: ServiceClient, clock: Any) -> None:
    authenticator, _ = confirmed(client)
    for _ in range(5):
        assert verified(client, "000000") is False
    locked = client.post("/auth/verify", json={"username": "ada", "otp_code": authenticator.at(NOW + 30)})
    assert locked.status_code == 429
    assert int(locked.headers["retry-after"]) > 0
    clock.shift(60)
    assert verified(client, authenticator.at(NOW + 60)) is True


def test_nobody_without_a_token_locks_a_name(client: ServiceClient, clock: Any) -> None:
    authenticator, _ = confirmed(client)
    body = {"username": "ada", "otp_code": "000000"}
    for _ in range(20):
        assert client.post("/auth/verify", json=body, headers={"Authorization": ""}).status_code == 401
    clock.shift(30)
    assert verified(client, authenticator.at(NOW + 30)) is True


def test_a_factor_in_use_changes_only_with_its_code_or_by_an_admin(client: ServiceClient, clock: Any) -> None:
    authenticator, _ = confirmed(client)
    assert client.post("/factors", json={"username": "ada"}).status_code == 403
    assert client.request("DELETE", "/factors/ada").status_code == 403
    wrong = {"username": "ada", "otp_code": "000000"}
    assert client.post("/factors", json=wrong).status_code == 403
    clock.shift(30)
    enrolled(client, otp_code=authenticator.at(NOW + 30))
    clock.shift(30)
    assert verified(client, authenticator.at(NOW + 60)) is True, (
        "the old one is in use until the new is confirmed"
    )
    admin = client.bearer("root", ["admin"])
    assert client.request("DELETE", "/factors/ada", headers=admin).status_code == 204
    assert client.get("/factors/ada").status_code == 404


def test_a_sent_code_reaches_the_recipient_and_never_the_caller(client: ServiceClient, clock: Any) -> None:
    answer = client.post("/auth/generate", json={"username": "ada", "recipient": "mailer"})
    assert answer.status_code == 202
    events = [event for event in client.world.notification.log if event["type"] == "otp.generated"]
    assert [event["recipient"] for event in events] == ["mailer"]
    code = events[0]["data"]["code"]
    assert re.fullmatch(r"\d{6}", code)
    assert code not in answer.text
    assert [verified(client, code) for _ in range(2)] == [True, False]


def test_a_sent_code_ends(client: ServiceClient, clock: Any) -> None:
    client.post("/auth/generate", json={"username": "ada", "recipient": "mailer"})
    code = client.world.notification.log[-1]["data"]["code"]
    clock.shift(301)
    assert verified(client, code) is False


def test_a_blank_code_is_no_code(client: ServiceClient, clock: Any, tmp_path: Path) -> None:
    client.post("/auth/generate", json={"username": "ada", "recipient": "mailer"})
    with sqlite3.connect(tmp_path / "two_factor.db") as db:
        db.execute("UPDATE one_time_codes SET code = x'00'")  # as if its key were lost
    for blank in (" " * 6, "-" * 6, " - - - "):
        answer = client.post("/auth/verify", json={"username": "ada", "otp_code": blank})
        assert answer.status_code == 422
    assert verified(client, "000000") is False


def test_a_code_may_be_typed_with_spaces_and_hyphens(client: ServiceClient, clock: Any) -> None:
    authenticator, _ = confirmed(client)
    clock.shift(30)
    code = authenticator.at(NOW + 30)
    assert verified(client, f"{code[:3]}-{code[3:]} ") is True


def test_removing_a_factor_voids_the_code_on_its_way(client: ServiceClient, clock: Any) -> None:
    confirmed(client)
    client.post("/auth/generate", json={"username": "ada", "recipient": "mailer"})
    code = client.world.notification.log[-1]["data"]["code"]
    client.request("DELETE", "/factors/ada", headers=client.bearer("root", ["admin"]))
    assert verified(client, code) is False


def test_one_cannot_send_a_code_to_oneself(client: ServiceClient) -> None:
    for body in ({"username": "ada", "recipient": "tester"}, {"username": "tester"}):
        assert client.post("/auth/generate", json=body).status_code == 409


def test_spellings_of_a_name_are_one_person(client: ServiceClient, clock: Any) -> None:
    confirmed(client, "Ada")
    assert client.get("/factors/ＡＤＡ").json()["username"] == "ada"


@pytest.mark.parametrize("username", ["", " ", "a\x00", "a\u202eb", "a" * 129, "\ud800"])
def test_what_is_no_name_is_refused(client: ServiceClient, username: str) -> None:
    body = json.dumps({"username": username})
    answer = client.post("/factors", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)


def test_seeds_are_sealed_and_follow_a_rotation_of_the_data_key(
    client: ServiceClient, clock: Any, tmp_path: Path
) -> None:
    authenticator, _ = confirmed(client)

    def sealed() -> bytes:
        with sqlite3.connect(tmp_path / "two_factor.db") as db:
            return bytes(db.execute("SELECT seed FROM factors").fetchone()[0])

    before = sealed()
    assert authenticator.byte_secret() not in before
    client.world.secrets_manager.rotate("two-factor", DATA_KEY="another-data-key")
    wait_until(lambda: sealed()[:9] != before[:9], "sealed anew")
    clock.shift(30)
    assert verified(client, authenticator.at(NOW + 30)) is True


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


def test_the_migrations_make_the_tables_of_the_models(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path}/empty.db")
    db.migrate(MIGRATIONS)
    assert differences(db.engine, Base.metadata) == []

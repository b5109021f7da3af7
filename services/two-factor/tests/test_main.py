"""What the service promises, with fakes for its peers: no network."""

import json
import re
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fountain_common import Database
from fountain_common.migrations import differences
from fountain_common.testing import ServiceClient
from people import NOW, SERVICE, confirmed, enrolled, sent_code, verified
from two_factor.codes import RECOVERY_CODES
from two_factor.models import Base
from two_factor.service import ENROLMENT_LIFE

MIGRATIONS = SERVICE / "two_factor" / "migrations"


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


def test_a_sent_code_changes_no_factor_and_a_recovery_code_does(client: ServiceClient, clock: Any) -> None:
    _, recovery = confirmed(client)
    code = sent_code(client)
    for method, path, body in (("POST", "/factors", {"username": "ada"}), ("DELETE", "/factors/ada", {})):
        refused = client.request(method, path, json={**body, "otp_code": code})
        assert refused.status_code == 403
        assert "recovery code" in refused.json()["detail"]
    assert verified(client, code) is True, "it was not used up"
    enrolled(client, otp_code=recovery[0])
    assert client.request("DELETE", "/factors/ada", json={"otp_code": recovery[1]}).status_code == 204


def test_an_enrolment_that_waited_too_long_is_void_and_the_factor_in_use_is_not(
    client: ServiceClient, clock: Any
) -> None:
    authenticator, recovery = confirmed(client)
    waiting = enrolled(client, otp_code=recovery[0])
    later = NOW + int(ENROLMENT_LIFE.total_seconds())
    clock.move_to(later)
    answer = client.post("/factors/ada/confirm", json={"otp_code": waiting.at(later)})
    assert answer.status_code == 410
    assert "POST /factors" in answer.json()["detail"]
    assert verified(client, authenticator.at(later)) is True
    anew = enrolled(client, otp_code=recovery[1])
    clock.shift(30)
    # The token of before has expired by now.
    headers = client.bearer("tester", ["admin"])
    answer = client.post("/factors/ada/confirm", json={"otp_code": anew.at(later + 30)}, headers=headers)
    assert answer.status_code == 200


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
    code = sent_code(client)
    clock.shift(301)
    assert verified(client, code) is False


def test_a_blank_code_is_no_code(client: ServiceClient, clock: Any, tmp_path: Path) -> None:
    sent_code(client)
    with sqlite3.connect(tmp_path / "two_factor.db") as db:
        db.execute("UPDATE one_time_codes SET code = x'00'")  # as if its key were lost
    for blank in (" " * 6, "-" * 6, " - - - "):
        answer = client.post("/auth/verify", json={"username": "ada", "otp_code": blank})
        assert answer.status_code == 422
    assert verified(client, "000000") is False


def test_a_code_may_be_typed_with_spaces_and_hyphens(client: ServiceClient, clock: Any) -> None:
    authenticator = enrolled(client)
    first, code = (authenticator.at(moment) for moment in (NOW, NOW + 30))
    answer = client.post("/factors/ada/confirm", json={"otp_code": f"{first[:3]} {first[3:]}"})
    assert answer.status_code == 200, answer.text
    clock.shift(30)
    assert verified(client, f"{code[:3]}-{code[3:]} ") is True


def test_removing_a_factor_voids_the_code_on_its_way(client: ServiceClient, clock: Any) -> None:
    confirmed(client)
    code = sent_code(client)
    removed = client.request("DELETE", "/factors/ada", headers=client.bearer("root", ["admin"]))
    assert removed.status_code == 204
    assert verified(client, code) is False


def test_without_a_recipient_a_code_goes_to_the_person_alone(client: ServiceClient) -> None:
    assert client.post("/auth/generate", json={"username": "ada"}).status_code == 202
    assert [event["recipient"] for event in client.world.notification.events("otp.generated")] == ["ada"]


def test_an_admin_names_any_recipient_but_himself(client: ServiceClient) -> None:
    admin = client.bearer("root", ["admin"])
    for recipient, status in (("grace", 202), ("root", 409)):
        body = {"username": "ada", "recipient": recipient}
        assert client.post("/auth/generate", json=body, headers=admin).status_code == status
    assert [event["recipient"] for event in client.world.notification.events("otp.generated")] == ["grace"]


@pytest.mark.parametrize("roles", [["service"], ["operator"]])
@pytest.mark.parametrize(
    ("username", "recipient", "status"),
    [
        ("ada", "tester", 409),
        ("tester", None, 409),
        ("ada", "grace", 403),
        ("ada", "mailer2", 403),
        ("ada@example.org", None, 422),
        ("ada", "pigeon_post", 422),
        ("ada", "", 422),
    ],
)
def test_nobody_receives_a_code_for_another_but_a_courier(
    client: ServiceClient, roles: list[str], username: str, recipient: str | None, status: int
) -> None:
    body = {"username": username, "recipient": recipient}
    answer = client.post("/auth/generate", json=body, headers=client.bearer("tester", roles))
    assert answer.status_code == status
    assert client.world.notification.events("otp.generated") == []


def test_a_viewer_neither_generates_nor_verifies(client: ServiceClient) -> None:
    viewer = client.bearer("somebody", ["viewer"])
    for path, body in (("generate", {}), ("verify", {"otp_code": "000000"})):
        answer = client.post(f"/auth/{path}", json={"username": "ada", **body}, headers=viewer)
        assert answer.status_code == 403


def test_wrong_codes_at_a_confirmation_and_a_change_lock_too(client: ServiceClient, clock: Any) -> None:
    enrolled(client)
    for _ in range(5):
        assert client.post("/factors/ada/confirm", json={"otp_code": "000000"}).status_code == 422
    assert client.post("/factors/ada/confirm", json={"otp_code": "000000"}).status_code == 429
    confirmed(client, "grace")
    wrong = {"username": "grace", "otp_code": "000000"}
    assert [client.post("/factors", json=wrong).status_code for _ in range(6)] == [403] * 5 + [429]


def test_spellings_of_a_name_are_one_person(client: ServiceClient, clock: Any) -> None:
    confirmed(client, "Ada")
    assert client.get("/factors/ＡＤＡ").json()["username"] == "ada"


@pytest.mark.parametrize("username", ["", " ", "a\x00", "a\u202eb", "a" * 129, "\ud800"])
def test_what_is_no_name_is_refused(client: ServiceClient, username: str) -> None:
    body = json.dumps({"username": username})
    answer = client.post("/factors", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)


def test_the_migrations_make_the_tables_of_the_models(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path}/empty.db")
    db.migrate(MIGRATIONS)
    assert differences(db.engine, Base.metadata) == []

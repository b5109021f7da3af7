"""Secrets over HTTP: what callers may see and do, and what is refused."""

import httpx2
import orjson
import pytest
from secrets_manager.models_audit import AuditHeadRow, AuditRow
from secrets_world import SERVICE, World
from sqlalchemy import select, update

pytestmark = pytest.mark.anyio

MARKER = "m4rk3r-value-that-nobody-else-may-see"


async def test_the_first_version_is_generated_overridden_and_joined(sm: World) -> None:
    made = await sm.create("action", {"DB_PASSWORD": MARKER, "SMTP_HOST": "mail"})
    assert made["secrets"]["DB_PASSWORD"] == MARKER
    assert made["secrets"].keys() == {"JWT_SECRET", "DB_PASSWORD", "SMTP_HOST"}
    assert len(made["secrets"]["JWT_SECRET"]) >= 64
    assert (await sm.admin.post("/secrets/action")).status_code == 400


async def test_a_service_that_is_set_up_with_more_generated_keys_gets_them(sm: World) -> None:
    read = await sm.as_(f"{SERVICE}:service").get(f"/secrets/{SERVICE}")
    assert "DATA_KEY" in read.json()["secrets"]


@pytest.mark.parametrize(
    "body",
    [
        {"lower": "x"},
        {"A-B": "x"},
        {"": "x"},
        {"A": 1},
        {"A": None},
        {"A": "x\0y"},
        {"A": ""},
        {"A" * 65: "x"},
        ["A"],
        "A",
    ],
)
async def test_keys_and_values_that_cannot_be_stored_are_refused(sm: World, body: object) -> None:
    answer = await sm.admin.post("/secrets/action", json=body)
    assert answer.status_code == 422


async def test_a_refused_body_is_never_sent_back(sm: World) -> None:
    wrong = [
        {"newSecret": {"A": MARKER}},
        {"newSecrets": {"a": MARKER}},
        {"newSecrets": MARKER},
        {"keys": [{"x": MARKER}]},
    ]
    for body in wrong:
        answer = await sm.admin.post(f"/secrets/{SERVICE}/rotate", json=body)
        assert answer.status_code == 422
        assert MARKER not in answer.text


async def test_generated_keys_rotate_and_given_ones_and_the_data_key_stay(sm: World) -> None:
    await sm.admin.put(f"/secrets/{SERVICE}", json={**await values(sm), "SMTP_PASSWORD": "kept"})
    before = await values(sm)
    await sm.admin.post(f"/secrets/{SERVICE}/rotate")
    after = await values(sm)
    assert {key for key in before if before[key] != after[key]} == {"JWT_SECRET", "DB_PASSWORD"}
    await sm.admin.post(f"/secrets/{SERVICE}/rotate", json={"keys": ["DATA_KEY"]})
    last = await values(sm)
    assert {key for key in after if after[key] != last[key]} == {"DATA_KEY"}


async def test_a_rotation_that_changes_no_value_is_a_conflict(sm: World) -> None:
    for method, path, body in (
        ("POST", f"/secrets/{SERVICE}/rotate", {"keys": []}),
        ("PUT", f"/secrets/{SERVICE}", await values(sm)),
    ):
        assert (await sm.admin.request(method, path, json=body)).status_code == 409
    assert (await sm.admin.get("/rotations")).json()["items"] == []


async def test_a_service_that_was_away_reads_what_its_data_was_sealed_with_and_it_is_on_record(
    sm: World,
) -> None:
    first = (await values(sm))["DATA_KEY"]
    await sm.policy(overlap_seconds=0)
    await sm.admin.post(f"/secrets/{SERVICE}/rotate", json={"keys": ["DATA_KEY"]})
    own = await sm.as_(f"{SERVICE}:service").get(f"/secrets/{SERVICE}?version=1")
    assert (own.json()["state"], own.json()["secrets"]["DATA_KEY"]) == ("retired", first)
    records = await sm.db.read(
        lambda session: session.execute(select(AuditRow.caller, AuditRow.detail)).all()
    )
    assert (SERVICE, '{"version":1}') in [tuple(record) for record in records]
    assert (await sm.as_("action:service").get(f"/secrets/{SERVICE}?version=1")).status_code == 403


async def test_a_caller_without_the_right_to_values_sees_none_anywhere(sm: World) -> None:
    await sm.admin.put(f"/secrets/{SERVICE}", json={"A": MARKER})
    for path in (
        f"/secrets/{SERVICE}",
        f"/secrets/{SERVICE}?version=2",
        "/secrets",
        f"/secrets/{SERVICE}/versions",
        "/rotations",
    ):
        answer = await sm.operator.get(path)
        assert answer.status_code == 200, path
        assert MARKER not in answer.text
    rotated = await sm.operator.post(f"/secrets/{SERVICE}/rotate", json={"keys": ["A"]})
    assert rotated.json()["secrets"] == {}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/secrets/new-one", {}),
        ("PUT", f"/secrets/{SERVICE}", {"A": "b"}),
        ("DELETE", f"/secrets/{SERVICE}", None),
        ("POST", f"/secrets/{SERVICE}/restore", None),
        ("DELETE", f"/secrets/{SERVICE}/versions/1", None),
        ("POST", f"/secrets/{SERVICE}/rotate", {"newSecrets": {"A": "b"}}),
        ("POST", f"/secrets/{SERVICE}/rotate", {"immediate": True}),
        ("PUT", f"/secrets/{SERVICE}/grants/action", None),
        ("POST", "/key-encryption-key/rotate", None),
    ],
)
async def test_an_operator_chooses_no_values(sm: World, method: str, path: str, body: object) -> None:
    answer = await sm.operator.request(method, path, json=body)
    assert answer.status_code == 403
    assert "operator" in answer.json()["detail"]


async def test_one_who_may_not_know_cannot_tell_whether_a_secret_exists(sm: World) -> None:
    stranger = sm.as_("action:service")
    there = await stranger.get(f"/secrets/{SERVICE}")
    nowhere = await stranger.get("/secrets/no-such-one")
    assert there.status_code == nowhere.status_code == 403
    assert there.json()["detail"].replace(SERVICE, "no-such-one") == nowhere.json()["detail"]
    for path in ("/versions/1/ack", "/versions/9/ack"):
        headers = {"X-Fountain-Instance": "1" * 32}
        assert (
            await stranger.post(f"/secrets/{SERVICE}{path}", json={"phase": "uses"}, headers=headers)
        ).status_code == 403


async def test_a_grant_lets_another_identity_read_until_it_is_withdrawn(sm: World) -> None:
    grantee = sm.holder(1, identity="action")
    assert (await grantee.read()).status_code == 403
    assert (await sm.admin.put(f"/secrets/{SERVICE}/grants/action")).status_code == 200
    assert (await grantee.read()).json()["secrets"] == await values(sm)
    assert [
        one["identity"] for one in (await sm.admin.get(f"/secrets/{SERVICE}/grants")).json()["items"]
    ] == ["action"]
    rotation = await sm.begin_rotation(token="olga:operator")
    assert rotation["state"] == "staged"
    assert (await sm.admin.delete(f"/secrets/{SERVICE}/grants/action")).status_code == 204
    assert (await sm.rotation(rotation["rotation_id"]))["state"] == "draining"
    assert (await grantee.read()).status_code == 403
    assert (await grantee.ack(2, "accepts")).status_code == 403


async def test_if_match_refuses_a_lost_update(sm: World) -> None:
    etag = (await sm.admin.get(f"/secrets/{SERVICE}")).headers["etag"]
    weak = await sm.admin.put(f"/secrets/{SERVICE}", json={"A": "0"}, headers={"If-Match": f"W/{etag}"})
    assert weak.status_code == 412
    first = await sm.admin.put(f"/secrets/{SERVICE}", json={"A": "1"}, headers={"If-Match": etag})
    assert first.status_code == 200
    second = await sm.admin.put(f"/secrets/{SERVICE}", json={"A": "2"}, headers={"If-Match": etag})
    assert second.status_code == 412
    assert await values(sm) == {"A": "1"}


async def test_a_conditional_read_of_what_is_known_carries_nothing(sm: World) -> None:
    first = await sm.admin.get(f"/secrets/{SERVICE}")
    again = await sm.admin.get(f"/secrets/{SERVICE}", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    await sm.admin.post(f"/secrets/{SERVICE}/rotate")
    changed = await sm.admin.get(f"/secrets/{SERVICE}", headers={"If-None-Match": first.headers["etag"]})
    assert changed.status_code == 200


async def test_who_may_not_read_values_does_not_share_an_entity_tag_with_who_may(sm: World) -> None:
    tags = {(await client.get(f"/secrets/{SERVICE}")).headers["etag"] for client in (sm.admin, sm.operator)}
    assert len(tags) == 2


async def test_an_idempotency_key_rotates_once_and_answers_alike(sm: World) -> None:
    path, headers = f"/secrets/{SERVICE}/rotate", {"Idempotency-Key": "k-1"}
    first = await sm.admin.post(path, headers=headers)
    again = await sm.admin.post(path, headers=headers)
    assert again.json() == first.json()
    assert len((await sm.admin.get("/rotations")).json()["items"]) == 1
    other = await sm.admin.post(path, headers=headers, json={"keys": ["DATA_KEY"]})
    assert other.status_code == 422
    assert (await sm.operator.post(path, headers=headers)).json()["version"] == 3


async def replays(sm: World) -> list[tuple[str, str, dict[str, object]]]:
    """Who was answered again, about what, and what the audit says of it."""
    rows = await sm.db.read(lambda session: session.scalars(select(AuditRow).order_by(AuditRow.seq)).all())
    told = [
        (row.caller, row.target, orjson.loads(row.detail)) for row in rows if row.action == "secrets:read"
    ]
    return [one for one in told if "replay_of" in one[2]]


@pytest.mark.parametrize(
    ("method", "path", "body", "operation"),
    [
        ("POST", "action", {"A": MARKER}, "create"),
        ("POST", f"{SERVICE}/rotate", {"newSecrets": {"A": MARKER}}, "rotate"),
        ("PUT", SERVICE, {"A": MARKER}, "replace"),
    ],
)
async def test_what_is_answered_again_is_on_record_as_a_reading_and_never_of_a_revoked_secret(
    sm: World, method: str, path: str, body: dict[str, object], operation: str
) -> None:
    name = path.split("/")[0]

    async def ask() -> httpx2.Response:
        return await sm.admin.request(
            method, f"/secrets/{path}", json=body, headers={"Idempotency-Key": "once"}
        )

    first = await ask()
    assert (first.json()["secrets"]["A"], await replays(sm)) == (MARKER, [])
    again = await ask()
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    detail = {"version": first.json()["version"], "replay_of": operation}
    assert await replays(sm) == [("admin", f"secrets/{name}", detail)]
    await sm.admin.delete(f"/secrets/{name}")
    gone = await ask()
    assert (gone.status_code, MARKER in gone.text) == (404, False)
    await sm.admin.post(f"/secrets/{name}/restore")
    assert (await ask()).json() == first.json()
    assert len(await replays(sm)) == 2


async def test_who_sees_no_values_is_on_record_as_having_been_answered_without(sm: World) -> None:
    for _ in range(2):
        answer = await sm.operator.post(f"/secrets/{SERVICE}/rotate", headers={"Idempotency-Key": "once"})
        assert answer.json()["secrets"] == {}
    detail = {"version": 2, "replay_of": "rotate", "values": False}
    assert await replays(sm) == [("olga", f"secrets/{SERVICE}", detail)]


async def test_nothing_is_answered_again_that_cannot_be_put_on_record(sm: World) -> None:
    headers = {"Idempotency-Key": "once"}
    first = await sm.admin.post(f"/secrets/{SERVICE}/rotate", headers=headers)
    await sm.db.write(lambda session: session.execute(update(AuditHeadRow).values(hash=b"x" * 32)))
    again = await sm.admin.post(f"/secrets/{SERVICE}/rotate", headers=headers)
    assert again.status_code == 503
    assert first.json()["secrets"]["JWT_SECRET"] not in again.text


async def test_revoked_is_gone_until_it_is_restored(sm: World) -> None:
    before = await values(sm)
    assert (await sm.admin.delete(f"/secrets/{SERVICE}")).status_code == 204
    for method, path in (("GET", ""), ("PUT", ""), ("POST", "/rotate"), ("DELETE", "")):
        answer = await sm.admin.request(
            method, f"/secrets/{SERVICE}{path}", json={"A": "b"} if method == "PUT" else None
        )
        assert answer.status_code == 404, method
    assert (await sm.admin.post(f"/secrets/{SERVICE}")).status_code == 400
    assert (await sm.admin.post(f"/secrets/{SERVICE}/restore")).json()["state"] == "active"
    assert await values(sm) == before
    assert (await sm.admin.post(f"/secrets/{SERVICE}/restore")).status_code == 409


async def test_only_what_nobody_holds_is_destroyed_and_then_it_is_gone(sm: World) -> None:
    await sm.policy(overlap_seconds=0)
    await sm.admin.post(f"/secrets/{SERVICE}/rotate")
    assert (await sm.admin.get(f"/secrets/{SERVICE}?version=1")).json()["state"] == "retired"
    assert (await sm.admin.delete(f"/secrets/{SERVICE}/versions/2")).status_code == 409
    assert (await sm.admin.delete(f"/secrets/{SERVICE}/versions/1")).status_code == 204
    assert (await sm.admin.get(f"/secrets/{SERVICE}?version=1")).status_code == 410
    assert (await sm.admin.delete(f"/secrets/{SERVICE}/versions/7")).status_code == 404


async def test_lists_go_on_where_the_page_before_ended(sm: World) -> None:
    for name in ("a", "b", "c"):
        await sm.create(name)
    seen, cursor = [], None
    while True:
        page = (
            await sm.operator.get("/secrets", params={"limit": 2, **({"cursor": cursor} if cursor else {})})
        ).json()
        seen += [item["service_name"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == ["a", "b", "c", SERVICE]
    assert (await sm.operator.get("/secrets?cursor=nonsense")).status_code == 422


async def values(sm: World) -> dict[str, str]:
    return (await sm.admin.get(f"/secrets/{SERVICE}")).json()["secrets"]

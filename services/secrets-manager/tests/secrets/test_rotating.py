"""Rotations that are asked for at the same time share a transaction, and nothing else."""

import asyncio
from functools import partial
from typing import Any

import httpx2
import pytest
from secrets_manager.changes import Changes
from secrets_manager.holders import HolderKey
from secrets_manager.models_audit import AuditRow
from secrets_manager.models_secrets import HolderRow
from secrets_manager.repository_secrets import version_in
from secrets_manager.rotation import VersionState
from secrets_world import World
from sqlalchemy import event, select
from sqlalchemy.orm import Session

pytestmark = pytest.mark.anyio

NAMES = [f"service-{number}" for number in range(12)]


async def with_secrets(sm: World) -> None:
    for name in NAMES:
        await sm.create(name)
        await sm.policy(name, overlap_seconds=0)


async def test_rotations_of_many_secrets_share_commits_and_each_is_whole(sm: World) -> None:
    await with_secrets(sm)
    commits = 0

    def count(_connection: object) -> None:
        nonlocal commits
        commits += 1

    event.listen(sm.db.engine, "commit", count)
    sm.notification_is_up = False  # the commits of its own that handing on events costs

    async def rotate(name: str, turns: int) -> httpx2.Response:
        for _ in range(turns):
            await asyncio.sleep(0)
        return await sm.admin.post(f"/secrets/{name}/rotate")

    # As they come off the wire: one in each turn of the event loop.
    answers = await asyncio.gather(*(rotate(name, turns) for turns, name in enumerate(NAMES)))
    event.remove(sm.db.engine, "commit", count)
    assert commits == 1
    assert [(one.status_code, one.json()["state"]) for one in answers] == [(200, "active")] * len(NAMES)
    for name, answer in zip(NAMES, answers, strict=True):
        read = (await sm.admin.get(f"/secrets/{name}")).json()
        assert (read["version"], read["secrets"]) == (2, answer.json()["secrets"])
        versions = (await sm.admin.get(f"/secrets/{name}/versions")).json()["items"]
        assert [one["state"] for one in versions] == ["active", "retired"]
        rotation = await sm.rotation(answer.json()["rotation_id"])
        assert (rotation["state"], rotation["service_name"]) == ("retired", name)
    records = await sm.db.read(lambda session: session.scalars(select(AuditRow.detail)).all())
    assert sum('"operation":"rotate"' in detail for detail in records) == len(NAMES)


async def test_what_is_wrong_with_one_of_them_is_no_others_concern(sm: World) -> None:
    await with_secrets(sm)
    wishes = {
        "service-0": ({}, {}, 200),
        "nowhere": ({}, {}, 404),
        "service-1": ({"keys": ["NO_SUCH_KEY"]}, {}, 422),
        "service-2": ({"keys": []}, {}, 409),
        "service-3": ({}, {"Idempotency-Key": "a"}, 200),
        "service-4": ({}, {}, 200),
    }
    answers = await asyncio.gather(
        *(
            sm.admin.post(f"/secrets/{name}/rotate", json=body, headers=headers)
            for name, (body, headers, _) in wishes.items()
        )
    )
    assert [one.status_code for one in answers] == [status for _, _, status in wishes.values()]
    versions = {name: (await sm.admin.get(f"/secrets/{name}")).json().get("version") for name in wishes}
    assert [name for name, version in versions.items() if version == 2] == [
        "service-0",
        "service-3",
        "service-4",
    ]


async def test_two_at_once_of_the_same_secret_come_one_after_the_other(sm: World) -> None:
    await with_secrets(sm)
    answers = await asyncio.gather(*(sm.admin.post("/secrets/service-0/rotate") for _ in range(5)))
    assert sorted(one.json()["version"] for one in answers) == [2, 3, 4, 5, 6]
    events = [one for one in sm.events if one["subject"] == "service-0" and one["type"] == "secret.rotated"]
    assert [one["data"]["version"] for one in events] == sorted(one["data"]["version"] for one in events)


async def test_one_key_sent_at_once_for_two_secrets_is_refused_for_the_second(sm: World) -> None:
    await with_secrets(sm)
    headers = {"Idempotency-Key": "the-same"}
    answers = await asyncio.gather(
        *(sm.admin.post(f"/secrets/{name}/rotate", headers=headers) for name in NAMES[:2])
    )
    assert sorted(one.status_code for one in answers) == [200, 422]


async def test_a_rotation_goes_on_although_the_one_who_asked_went_away(sm: World) -> None:
    await with_secrets(sm)
    gone = asyncio.create_task(sm.admin.post("/secrets/service-0/rotate"))
    stays = asyncio.create_task(sm.admin.post("/secrets/service-1/rotate"))
    while not sm.parts.secrets.rotating.busy:
        await asyncio.sleep(0)
    gone.cancel()
    assert (await stays).status_code == 200
    assert (await sm.admin.get("/secrets/service-0")).json()["version"] == 2


async def test_what_a_secret_has_been_before_is_not_read_to_rotate_it(sm: World) -> None:
    await sm.create("shop")
    asked: list[tuple[str, object]] = []

    def note(
        _connection: object, _cursor: object, statement: str, parameters: object, *_rest: object
    ) -> None:
        if statement.lstrip().startswith(("SELECT", "UPDATE")):
            asked.append((statement, parameters))

    event.listen(sm.db.engine, "before_cursor_execute", note)
    assert (await sm.admin.post("/secrets/shop/rotate")).status_code == 200
    for state in (VersionState.STAGED, VersionState.ACTIVE):
        await sm.db.write(partial(version_in, service_name="shop", state=state))
    event.remove(sm.db.engine, "before_cursor_execute", note)
    with sm.db.engine.connect() as connection:
        for statement, parameters in asked:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).scalars("detail")
            for step in plan:
                many = any(f" {table} " in step for table in ("secret_versions", "rotations"))
                few = ("state=?", "version=?", "rotation_id=?", "ix_secret_versions_held")
                assert not many or any(index in step for index in few), step
    assert any("secret_versions" in statement for statement, _ in asked)


def written_by(sm: World, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Note of each transaction of rotations whether it is to run on the event loop's own thread."""
    quick_ones: list[bool] = []
    write = Changes.write

    async def noted(changes: Changes, fn: Any, *, quick: bool = False) -> Any:
        quick_ones.append(quick)
        return await write(changes, fn, quick=quick)

    monkeypatch.setattr(Changes, "write", noted)
    return quick_ones


async def rotated_together(sm: World, body: dict[str, Any] | None = None) -> None:
    answers = await asyncio.gather(*(sm.admin.post(f"/secrets/{name}/rotate", json=body) for name in NAMES))
    assert [one.status_code for one in answers] == [200] * len(NAMES)


async def test_small_secrets_are_rotated_on_the_loop_from_the_second_time_on(
    sm: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await with_secrets(sm)
    on_the_loop = written_by(sm, monkeypatch)
    await rotated_together(sm)
    assert not any(on_the_loop), "how large they are is not known yet"
    for _ in range(3):
        on_the_loop.clear()
        await rotated_together(sm)
        assert any(on_the_loop)


async def test_large_secrets_and_large_values_hold_up_no_loop(
    sm: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await with_secrets(sm)
    on_the_loop = written_by(sm, monkeypatch)
    await rotated_together(sm)
    large = {f"K{number}": "x" * 60_000 for number in range(10)}
    await rotated_together(sm, {"newSecrets": large})  # what is given is large
    await rotated_together(sm)  # what is there is large
    small = {"JWT_SECRET": "y"}
    answers = await asyncio.gather(*(sm.admin.put(f"/secrets/{name}", json=small) for name in NAMES))
    assert {one.status_code for one in answers} == {200}
    assert not any(on_the_loop)
    await rotated_together(sm, {"newSecrets": {"JWT_SECRET": "z"}})  # the one before was still large
    on_the_loop.clear()
    await rotated_together(sm, {"newSecrets": {"JWT_SECRET": "a"}})
    assert any(on_the_loop)


async def test_many_holders_and_many_open_rotations_hold_up_no_loop(
    sm: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await with_secrets(sm)
    on_the_loop = written_by(sm, monkeypatch)
    await rotated_together(sm)
    crowd = [HolderKey(NAMES[0], NAMES[0], f"{number:032x}") for number in range(300)]

    def join(session: Session) -> None:
        session.add_all(HolderRow(**key._asdict(), accepts=99, uses=99, since=0) for key in crowd)

    await sm.db.write(join)
    sm.parts.presence.add(crowd)
    on_the_loop.clear()
    await rotated_together(sm)
    assert not any(on_the_loop)
    sm.parts.presence.remove(crowd)
    await rotated_together(sm)
    assert any(on_the_loop)
    for name in NAMES:
        sm.parts.presence.add(HolderKey(name, name, f"{number:032x}") for number in range(10))
        await sm.policy(name, overlap_seconds=900)
    for _ in range(5):
        on_the_loop.clear()
        await rotated_together(sm)
    assert not any(on_the_loop)

"""What the service promises, with fakes for its peers: no network."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from action.models import Base
from action.schemas import NewAction
from action.service import Actions
from fountain_common import Database
from fountain_common.migrations import differences
from fountain_common.testing import ServiceClient, instance, wait_until

SERVICE = Path(__file__).parents[1]
MIGRATIONS = SERVICE / "action" / "migrations"


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServiceClient]:
    monkeypatch.setenv("FOUNTAIN_DATA_DIR", str(tmp_path))
    with instance(SERVICE) as client:
        yield client


def added(
    client: ServiceClient, character: int = 1, description: str = "Enters", **more: object
) -> dict[str, Any]:
    answer = client.post("/actions", json={"description": description, "characterId": character, **more})
    assert answer.status_code == 201, answer.text
    action: dict[str, Any] = answer.json()
    return action


def ids(client: ServiceClient, **query: object) -> list[int]:
    seen: list[int] = []
    cursor: dict[str, str] = {}
    while True:
        page = client.get("/actions", params={"limit": 2, **query, **cursor}).json()
        seen += [action["actionId"] for action in page["items"]]
        if page["next"] is None:
            return seen
        cursor = {"cursor": page["next"]}


def test_an_action_is_kept_as_it_was_sent(client: ServiceClient) -> None:
    made = added(client, 7, "Draws a sword ⚔️", comment="slowly")
    assert (made["characterId"], made["sequenceNumber"], made["comment"]) == (7, 1, "slowly")
    assert client.get(f"/actions/{made['actionId']}").json() == made


def test_each_character_has_numbers_of_its_own(client: ServiceClient) -> None:
    assert [added(client, character)["sequenceNumber"] for character in (1, 1, 2, 1)] == [1, 2, 1, 3]


def test_numbers_have_no_gap_and_no_double_however_many_write_at_once(client: ServiceClient) -> None:
    with ThreadPoolExecutor(16) as threads:
        numbers = list(threads.map(lambda _: added(client)["sequenceNumber"], range(80)))
    assert sorted(numbers) == list(range(1, 81))


def test_a_failed_write_leaves_no_gap(tmp_path: Path) -> None:
    async def story() -> list[int]:
        db = Database(f"sqlite:///{tmp_path}/a.db")
        db.migrate(MIGRATIONS)
        moments: list[datetime | None] = [datetime.now(UTC), None, datetime.now(UTC)]
        actions = Actions(db, lambda: moments.pop(0))  # type: ignore[arg-type, return-value]
        new = NewAction.model_validate({"description": "a", "characterId": 1})
        made = [await actions.create(new)]
        with pytest.raises(Exception, match="NOT NULL"):
            await actions.create(new)
        made.append(await actions.create(new))
        await db.close()
        return [row.sequence_number for row in made]

    assert asyncio.run(story()) == [1, 2]


def test_the_number_of_a_deleted_action_is_not_given_again(client: ServiceClient) -> None:
    last = added(client)
    assert client.delete(f"/actions/{last['actionId']}").status_code == 204
    assert client.get(f"/actions/{last['actionId']}").status_code == 404
    assert added(client)["sequenceNumber"] == 2


def test_pages_filters_and_keywords(client: ServiceClient) -> None:
    made = [
        added(client, 1, "Enters")["actionId"],
        added(client, 2, "Leaves 100% sure", comment="under_score")["actionId"],
        added(client, 1, "LEAVES")["actionId"],
    ]
    assert ids(client) == made
    assert ids(client, characterId=1) == [made[0], made[2]]
    assert ids(client, keyword="leaves") == made[1:]
    assert ids(client, keyword="0%") == [made[1]]
    assert ids(client, keyword="r_s") == [made[1]]
    assert ids(client, keyword="%") == [made[1]]
    assert ids(client, keyword="leaves", characterId=1) == [made[2]]


def test_pages_stay_where_they_are_while_actions_come_and_go(client: ServiceClient) -> None:
    made = [added(client, description=f"Step {number}")["actionId"] for number in range(6)]
    seen, cursor = [], None
    while True:
        page = client.get("/actions", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        seen += [action["actionId"] for action in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
        if len(seen) == 2:
            # One behind the page, the one that the cursor stands on, and one that is still to come.
            for gone in (made[0], made[1], made[3]):
                client.delete(f"/actions/{gone}")
            made.append(added(client, description="Late")["actionId"])
    assert seen == [*made[:3], *made[4:]]


def test_a_change_keeps_what_it_does_not_name(client: ServiceClient) -> None:
    made = added(client, comment="first")
    path = f"/actions/{made['actionId']}"
    changed = client.patch(path, json={"description": "Exits"}).json()
    assert (changed["description"], changed["comment"]) == ("Exits", "first")
    assert client.patch(path, json={"comment": None}).json()["comment"] is None


def test_a_lost_update_is_refused(client: ServiceClient) -> None:
    made = added(client)
    path = f"/actions/{made['actionId']}"
    tag = client.get(path).headers["etag"]
    assert client.get(path, headers={"If-None-Match": tag}).status_code == 304
    weak = {"If-Match": f"W/{tag}"}
    assert client.patch(path, json={"comment": "weak"}, headers=weak).status_code == 412
    assert client.delete(path, headers=weak).status_code == 412
    assert client.patch(path, json={"comment": "mine"}, headers={"If-Match": tag}).status_code == 200
    assert client.patch(path, json={"comment": "late"}, headers={"If-Match": tag}).status_code == 412
    assert client.delete(path, headers={"If-Match": tag}).status_code == 412
    assert client.get(path, headers={"If-None-Match": tag}).json()["comment"] == "mine"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"description": "a"},
        {"description": "", "characterId": 1},
        {"description": "a" * 4001, "characterId": 1},
        {"description": "a\x00b", "characterId": 1},
        {"description": "a", "characterId": 0},
        {"description": "a", "characterId": 2**31},
        {"description": "a", "characterId": "one"},
        {"description": "a", "characterId": 1, "sequenceNumber": 9},
    ],
)
def test_a_malformed_action_is_refused_and_takes_no_number(
    client: ServiceClient, body: dict[str, Any]
) -> None:
    assert client.post("/actions", json=body).status_code == 422
    assert added(client)["sequenceNumber"] == 1


@pytest.mark.parametrize("body", [{}, {"description": None}, {"characterId": 2}, {"sequenceNumber": 1}])
def test_a_malformed_change_is_refused(client: ServiceClient, body: dict[str, Any]) -> None:
    assert client.patch(f"/actions/{added(client)['actionId']}", json=body).status_code == 422


@pytest.mark.parametrize("cursor", ["-1", "x", "١", "1.5", "2147483648", "9223372036854775808"])
def test_a_made_up_cursor_is_refused(client: ServiceClient, cursor: str) -> None:
    assert client.get("/actions", params={"cursor": cursor}).status_code == 422


def test_every_change_is_told(client: ServiceClient) -> None:
    made = added(client)
    path = f"/actions/{made['actionId']}"
    client.patch(path, json={"comment": "a"})
    client.delete(path)

    def told() -> list[str]:
        return [
            event["type"] for event in client.world.notification.log if event["type"].startswith("action.")
        ]

    wait_until(lambda: len(told()) == 3, "three events")
    assert told() == ["action.created", "action.updated", "action.deleted"]
    events = [event for event in client.world.notification.log if event["type"].startswith("action.")]
    assert {event["subject"] for event in events} == {str(made["actionId"])}
    assert [event["data"]["revision"] for event in events] == [1, 2, 2]
    assert {event["data"]["sequenceNumber"] for event in events} == {1}


def test_what_is_refused_is_not_told(client: ServiceClient) -> None:
    made = added(client)
    path = f"/actions/{made['actionId']}"
    client.patch(path, json={"comment": "mine"}, headers={"If-Match": '"1-99"'})
    client.delete(path, headers={"If-Match": '"1-99"'})
    client.post("/actions", json={"description": "", "characterId": 1})
    client.delete(path, headers={"If-Match": "*"})

    def told() -> list[str]:
        events = client.world.notification.log
        return [event["type"] for event in events if event["type"].startswith("action.")]

    wait_until(lambda: len(told()) >= 2, "two events")
    assert told() == ["action.created", "action.deleted"]


def test_events_wait_while_nobody_takes_them(client: ServiceClient) -> None:
    client.world.notification.down = True
    made = [added(client)["actionId"] for _ in range(3)]
    client.world.notification.down = False

    def told() -> list[str]:
        return [event["subject"] for event in client.world.notification.events("action.created")]

    wait_until(lambda: len(told()) == 3, "three events", 10)
    assert told() == [str(action_id) for action_id in made]


def test_a_viewer_reads_and_does_not_write(client: ServiceClient) -> None:
    viewer = client.bearer("somebody", ["viewer"])
    assert client.get("/actions", headers=viewer).status_code == 200
    new = {"description": "a", "characterId": 1}
    assert client.post("/actions", json=new, headers=viewer).status_code == 403


def test_the_migrations_make_the_tables_of_the_models(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path}/empty.db")
    db.migrate(MIGRATIONS)
    assert differences(db.engine, Base.metadata) == []

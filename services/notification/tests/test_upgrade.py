"""A log of each earlier version is brought to this one by starting on it, and nothing in it is lost."""

import base64
import hashlib
import hmac
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fountain_common.testing import World, wait_until
from notification.board import MIGRATIONS

DUMPS = sorted((Path(__file__).parent / "upgrade").glob("*.sql"))
DATA_KEY = "the data key of a first version's log"
SIGNING_SECRET = "dvO7q/iuWeRe8lA6/3L6/MC4C9L5KLFVHH/JK6Nu5MA="
EPOCH = "f0b1e5ebc02cf174"


@pytest.fixture(params=DUMPS, ids=[dump.stem for dump in DUMPS])
def upgraded(request: pytest.FixtureRequest, start: Callable[..., Any], tmp_path: Path) -> Any:
    """The service on a log that an earlier version has left, of which nothing is too old to keep."""
    data = tmp_path / "data"
    data.mkdir()
    with closing(sqlite3.connect(data / "notification.db")) as connection:
        connection.executescript(request.param.read_text())
    world = World()
    world.secrets_manager.stage("notification", DATA_KEY=DATA_KEY).activate()
    return start(world, retention=">=36500d:1000000", delivery_retention_days=36500)


def test_there_is_a_dump_of_the_version_that_each_migration_began_from() -> None:
    revisions = {path.name[:4] for path in (MIGRATIONS / "versions").glob("[0-9]*.py")}
    assert {dump.stem for dump in DUMPS} >= revisions - {max(revisions)}


def test_its_events_are_where_they_were(upgraded: Any) -> None:
    with upgraded.client() as client:
        found = client.get("/notifications", params={"limit": 500}).json()["items"]
        named = {
            event["position"]: (event["type"], event.get("subject"), event.get("data")) for event in found
        }
        retained = client.get("/notifications/retained", params={"type": "order.paid", "subject": "1"})
    assert named[2] == ("order.placed", "1", {"sum": 1})
    assert named[3] == ("order.paid", "1", {"sum": 1})
    assert named[4] == ("greeting", None, {"said": "hello"})
    assert retained.json()["position"] == 3
    assert upgraded.publish("greeting")["position"] > 5


def test_its_readers_are_told_of_a_gap_and_hear_everything_again(
    upgraded: Any, listen: Callable[..., Any]
) -> None:
    """The first version did not remember beside the log how far it had come: it might be an older copy."""
    listener = listen(upgraded, after=f"{EPOCH}-2")
    listener.wait_for(4)
    assert listener.events[0][1] == "gap"
    assert listener.positions[:3] == [1, 2, 3]


def test_its_subscriptions_deliver_signed_with_the_secret_that_their_receivers_know(
    upgraded: Any, receiver: Any
) -> None:
    with upgraded.client() as client:
        kept = client.get("/subscriptions/hook").json()
        wish = {"types": kept["types"], "callback_url": receiver.url}
        assert client.put("/subscriptions/hook", json=wish).status_code == 200
    upgraded.publish("order.placed", "2", {"sum": 2})
    wait_until(lambda: receiver.requests, "it is delivered")
    headers, body = receiver.requests[0]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = hmac.digest(base64.b64decode(SIGNING_SECRET), signed, hashlib.sha256)
    assert f"v1,{base64.b64encode(expected).decode()}" in headers["webhook-signature"].split()
    assert {one["position"] for one in upgraded.deliveries()} >= {2, 3}

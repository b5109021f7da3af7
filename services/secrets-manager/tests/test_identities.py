"""Identities and their keys: how they end at once, who may touch them, and what is shown of them."""

import time
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from fountain_common.testing import wait_until


def test_revoking_an_identity_ends_its_tokens_at_once_and_says_so(running):
    key = running.person("carol", "operator")
    token = {"Authorization": f"Bearer {running.token(key)}"}
    assert running.client.get("/secrets", headers=token).status_code == 200
    assert running.client.delete("/identities/carol", headers=running.as_("admin")).status_code == 204
    assert running.client.get("/secrets", headers=token).status_code == 401
    assert running.ask_token(key).status_code == 401
    listed = running.client.get("/.well-known/revocations").json()["revocations"]
    assert [entry["subject"] for entry in listed] == ["carol"]
    wait_until(lambda: "identity.revoked" in running.neighbours.types(), "the event")


def test_revoking_one_key_leaves_the_others_and_their_tokens(running):
    first = running.person("dave", "operator")
    admin = running.as_("admin")
    second = running.client.post("/identities/dave/keys", json={}, headers=admin).json()["api_key"]
    tokens = [{"Authorization": f"Bearer {running.token(key)}"} for key in (first, second)]
    key_id = first.split("_")[1]
    assert running.client.delete(f"/identities/dave/keys/{key_id}", headers=admin).status_code == 204
    assert [running.client.get("/secrets", headers=token).status_code for token in tokens] == [401, 200]


def test_changing_roles_revokes_and_a_new_token_passes_at_once(running):
    key = running.person("erin", "viewer")
    old = {"Authorization": f"Bearer {running.token(key)}"}
    changed = running.client.patch(
        "/identities/erin", json={"roles": ["operator"]}, headers=running.as_("admin")
    )
    assert changed.json()["roles"] == ["operator"]
    assert running.client.get("/secrets", headers=old).status_code == 401
    new = {"Authorization": f"Bearer {running.token(key)}"}
    assert running.client.get("/secrets", headers=new).status_code == 200


def test_an_expired_key_gets_nothing(running):
    moment = datetime.fromtimestamp(time.time() + 3600, UTC)
    key = running.person("frank", "viewer", expires_at=moment.isoformat())
    with time_machine.travel(moment - timedelta(seconds=60)):
        assert running.ask_token(key).status_code == 200
    with time_machine.travel(moment):
        assert running.ask_token(key).status_code == 401


def test_the_last_admin_cannot_be_revoked(running):
    answer = running.client.delete("/identities/admin", headers=running.as_("admin"))
    assert answer.status_code == 409


def test_an_operator_touches_no_identity_and_no_key(running):
    headers = {"Authorization": f"Bearer {running.token(running.person('olga', 'operator'))}"}
    calls = [
        ("GET", "/identities", None),
        ("POST", "/identities", {"name": "x", "roles": ["admin"]}),
        ("POST", "/identities/admin/keys", {}),
        ("DELETE", "/identities/notification", None),
        ("POST", "/signing-keys/rotate", {}),
        ("GET", "/audit", None),
    ]
    for method, path, body in calls:
        answer = running.client.request(method, path, json=body, headers=headers)
        assert answer.status_code == 403, path
        assert answer.json()["roles"] == ["operator"]
    denied = running.client.get("/audit", params={"caller": "olga"}, headers=running.as_("admin")).json()[
        "items"
    ]
    assert len([record for record in denied if record["outcome"] == "denied"]) == len(calls)


def test_no_key_is_shown_twice(running):
    key = running.person("gina", "viewer")
    shown = running.client.get("/identities/gina", headers=running.as_("admin")).text
    assert key.split("_", 2)[2] not in shown
    assert key.split("_")[1] in shown


def test_when_a_key_was_last_used_is_shown(start, settings):
    """Written now and then, and by the stop what came after."""
    running = start(settings)
    key = running.person("hank", "operator")

    def last_used(running):
        [shown] = running.client.get("/identities/hank/keys", headers=running.as_("admin")).json()["items"]
        moment = shown["last_used_at"]
        return moment and datetime.fromisoformat(moment).timestamp()

    assert last_used(running) is None
    before = time.time()
    assert running.ask_token(key).status_code == 200
    after = time.time()
    running.client.portal.call(running.app.state.core._keep_house)
    first = last_used(running)
    assert before <= first <= after
    assert running.client.get("/secrets", headers={"X-API-Key": key}).status_code == 200
    running.client.__exit__(None, None, None)
    assert after < last_used(start(settings)) <= time.time()


@pytest.fixture
def two_factor(running):
    """The headers of somebody who has a living token, and whose name has another spelling."""
    return {"Authorization": f"Bearer {running.token(running.person('two-factor', 'operator'))}"}


def said_of(running, name):
    """The audit's actions on an identity of exactly this name."""
    params = {"target": f"identities/{name}"}
    found = running.client.get("/audit", params=params, headers=running.as_("admin")).json()["items"]
    return {record["action"] for record in found}


def test_an_identity_revoked_by_its_other_spelling_has_no_token_left(running, two_factor):
    assert running.client.get("/secrets", headers=two_factor).status_code == 200
    assert running.client.delete("/identities/two_factor", headers=running.as_("admin")).status_code == 204
    assert running.client.get("/secrets", headers=two_factor).status_code == 401
    listed = running.client.get("/.well-known/revocations").json()["revocations"]
    assert [entry["subject"] for entry in listed] == ["two-factor"]
    wait_until(lambda: "identity.revoked" in running.neighbours.types(), "the event")
    [event] = [one for one in running.neighbours.events if one["type"] == "identity.revoked"]
    assert (event["subject"], event["data"]) == ("two-factor", {"identity": "two-factor"})
    assert "identities:revoke" in said_of(running, "two-factor")
    assert said_of(running, "two_factor") == set()


def test_roles_changed_by_the_other_spelling_leave_no_token_with_the_old_ones(running, two_factor):
    admin = running.as_("admin")
    changed = running.client.patch("/identities/two_factor", json={"roles": ["viewer"]}, headers=admin)
    assert (changed.status_code, changed.json()["roles"]) == (200, ["viewer"])
    assert running.client.get("/secrets", headers=two_factor).status_code == 401
    assert "identities:update" in said_of(running, "two-factor")
    assert said_of(running, "two_factor") == set()


def test_keys_are_made_counted_shown_and_ended_by_the_other_spelling(running, two_factor):
    client, admin, path = running.client, running.as_("admin"), "/identities/two_factor/keys"
    made = [client.post(path, json={}, headers=admin) for _ in range(20)]
    assert [answer.status_code for answer in made] == [201] * 19 + [409], "there was one already"
    keys = [answer.json()["api_key"] for answer in made[:2]]
    ids = [key.split("_")[1] for key in keys]
    tokens = [{"Authorization": f"Bearer {running.token(key)}"} for key in keys]
    assert len(client.get(path, headers=admin).json()["items"]) == 20
    assert len(client.get("/identities/two_factor", headers=admin).json()["keys"]) == 20
    disabled = client.patch(f"{path}/{ids[0]}", json={"enabled": False}, headers=admin)
    assert (disabled.status_code, disabled.json()["enabled"]) == (200, False)
    assert client.delete(f"{path}/{ids[1]}", headers=admin).status_code == 204
    assert [client.get("/secrets", headers=token).status_code for token in tokens] == [401, 401]
    assert client.get("/secrets", headers=two_factor).status_code == 200, "that key is another"
    assert {"keys:create", "keys:disable", "keys:revoke"} <= said_of(running, "two-factor")
    assert said_of(running, "two_factor") == set()

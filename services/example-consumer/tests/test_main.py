"""What the example consumer promises, with fakes for its peers: no network."""

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import jwt
import pytest
import time_machine
from fountain_common.testing import ServiceClient, World, instance, wait_until

SERVICE = Path(__file__).parents[1]
NAME = "example-consumer"
TARGET = "https://example.com/a?b=c"


@pytest.fixture
def client() -> Iterator[ServiceClient]:
    with instance(SERVICE) as client:
        yield client


def sign(client: ServiceClient, target: str = TARGET, **more: object) -> str:
    answer = client.post("/links", json={"target": target, **more})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["token"])


def opened(client: ServiceClient, token: str) -> httpx2.Response:
    return client.get(f"/links/{token}", follow_redirects=False)


def states(client: ServiceClient) -> dict[int, tuple[str, str | None]]:
    return {one["version"]: (one["state"], one["phase"]) for one in client.get("/status").json()["versions"]}


def signed_by(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


def test_a_link_leads_to_its_target(client: ServiceClient) -> None:
    answer = client.post("/links", json={"target": TARGET})
    token = answer.json()["token"]
    assert answer.status_code == 201
    assert answer.json()["url"] == f"https://{NAME}.fountain.localhost/links/{token}"
    assert (opened(client, token).status_code, opened(client, token).headers["location"]) == (307, TARGET)


@pytest.mark.parametrize(
    "target",
    [
        "http://example.com/",
        "https://elsewhere.example/",
        "https://example.com.elsewhere.example/",
        "https://example.com@elsewhere.example/",
        "https://somebody:something@example.com/",
        "javascript:alert(1)",
        "//example.com/",
        "https://example.com/" + "a" * 2048,
    ],
)
def test_a_link_leads_by_https_to_an_allowed_host_alone(client: ServiceClient, target: str) -> None:
    answer = client.post("/links", json={"target": target})
    assert answer.status_code == 422
    assert "something" not in answer.text


@pytest.mark.parametrize("ttl", [0, -1, 901, "soon"])
def test_a_link_lives_no_longer_than_versions_overlap(client: ServiceClient, ttl: object) -> None:
    assert client.post("/links", json={"target": TARGET, "ttl_seconds": ttl}).status_code == 422


@pytest.mark.parametrize(("longest", "lifetime"), [(60, 60), (900, 300)])
def test_a_link_lives_no_longer_than_the_setting_when_nobody_says_how_long(
    monkeypatch: pytest.MonkeyPatch, longest: int, lifetime: int
) -> None:
    monkeypatch.setenv("FOUNTAIN_LINK_SECONDS", str(longest))
    with instance(SERVICE) as client:
        began = time.time()
        claims = jwt.decode(sign(client), options={"verify_signature": False})
        assert began + lifetime - 1 <= claims["exp"] <= time.time() + lifetime


def test_an_expired_link_is_gone(client: ServiceClient) -> None:
    with time_machine.travel("2001-01-01", tick=False):
        headers = client.bearer()
        token = client.post("/links", json={"target": TARGET, "ttl_seconds": 60}, headers=headers).json()[
            "token"
        ]
    answer = opened(client, token)
    assert answer.status_code == 410
    assert "expired" in answer.json()["detail"]


@pytest.mark.parametrize("kid", ["1", "2", "0x1", "", "-1", "9" * 50])
def test_a_forged_link_does_not_open(client: ServiceClient, kid: str) -> None:
    claims = {"to": "https://elsewhere.example/", "exp": 2**31}
    answer = opened(client, jwt.encode(claims, "k" * 32, "HS256", {"kid": kid}))
    assert answer.status_code == 404
    assert answer.json()["detail"].startswith("This link is not valid.")


def test_a_link_signed_by_nobody_does_not_open(client: ServiceClient) -> None:
    claims = {"to": "https://elsewhere.example/", "exp": 2**31}
    assert opened(client, jwt.encode(claims, None, "none", {"kid": "1"})).status_code == 404
    assert opened(client, jwt.encode(claims, None, "none")).status_code == 404


def test_a_link_that_was_changed_or_cut_does_not_open(client: ServiceClient) -> None:
    token = sign(client)
    header, _, signature = token.split(".")
    other = sign(client, "https://www.example.com/").split(".")[1]
    for changed in (f"{header}.{other}.{signature}", token[:-4], f"{header}.{signature}", "no-token"):
        answer = opened(client, changed)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_link_opens_from_before_a_rotation_until_its_version_is_retired(client: ServiceClient) -> None:
    manager = client.world.secrets_manager
    old = sign(client)
    rotation = manager.stage(NAME)
    wait_until(
        lambda: rotation.accepted_by == manager.holders(NAME), "this instance accepts the staged version"
    )
    assert states(client)[2] == ("staged", "accepts")
    assert signed_by(sign(client)) == "1"
    rotation.activate()
    wait_until(lambda: rotation.used_by == manager.holders(NAME), "this instance uses the active version")
    assert states(client) == {2: ("active", "uses"), 1: ("draining", "uses")}
    new = sign(client)
    assert (signed_by(new), opened(client, new).status_code, opened(client, old).status_code) == (
        "2",
        307,
        307,
    )
    rotation.retire_previous()
    wait_until(lambda: opened(client, old).status_code == 410, "the link of the retired version is gone")
    assert "retired" in opened(client, old).json()["detail"]
    assert opened(client, new).status_code == 307


def test_a_staged_version_is_honoured_before_it_is_used(client: ServiceClient) -> None:
    manager = client.world.secrets_manager
    rotation = manager.stage(NAME, JWT_SECRET="staged-" * 8)
    wait_until(
        lambda: rotation.accepted_by == manager.holders(NAME), "this instance accepts the staged version"
    )
    token = jwt.encode({"to": TARGET, "exp": 2**31}, "staged-" * 8, "HS256", {"kid": "2"})
    assert opened(client, token).status_code == 307


def test_a_link_of_one_replica_opens_at_another_at_every_moment_of_a_rotation() -> None:
    world = World()
    with instance(SERVICE, world) as one, instance(SERVICE, world) as other:
        manager = world.secrets_manager
        assert len(manager.holders(NAME)) == 2

        def cross() -> list[int]:
            return [opened(other, sign(one)).status_code, opened(one, sign(other)).status_code]

        rotation = manager.stage(NAME)
        assert cross() == [307, 307]
        wait_until(lambda: rotation.accepted_by == manager.holders(NAME), "both accept")
        assert cross() == [307, 307]
        rotation.activate()
        assert cross() == [307, 307]
        wait_until(lambda: rotation.used_by == manager.holders(NAME), "both use")
        assert cross() == [307, 307]


def test_links_work_while_the_secrets_manager_and_notification_are_away(client: ServiceClient) -> None:
    old = sign(client)
    client.world.secrets_manager.down = client.world.notification.down = True
    assert opened(client, old).status_code == 307
    assert opened(client, sign(client)).status_code == 307


def test_the_status_says_what_is_held_and_no_value(client: ServiceClient) -> None:
    answer = client.get("/status")
    assert answer.json()["service_name"] == NAME
    assert answer.json()["version"] == 1
    assert {answer.json()["instance_id"]} == client.world.secrets_manager.holders(NAME)
    [held] = answer.json()["versions"]
    assert (held["version"], held["state"], held["phase"]) == (1, "active", "uses")
    assert {"JWT_SECRET", "DB_PASSWORD"} <= set(held["keys"])
    assert not any(value in answer.text for value in client.world.secrets_manager.values(NAME).values())


def test_a_new_link_is_announced(client: ServiceClient) -> None:
    sign(client)
    wait_until(lambda: client.world.notification.events("link.created"), "link.created is published")
    [event] = client.world.notification.events("link.created")
    assert (event["source"], event["data"]) == (NAME, {"target": httpx2.URL(TARGET).host, "version": 1})


def test_a_peer_is_asked_how_it_is(client: ServiceClient) -> None:
    health = {"status": "healthy", "service": "another"}
    client.world.serve("another", lambda request: httpx2.Response(200, json=health))
    answer = client.get("/peers/another")
    assert answer.json() == {"service_name": "another", "status_code": 200, "health": health}


def test_a_peer_that_nobody_knows_is_not_found(client: ServiceClient) -> None:
    answer = client.get("/peers/nobody")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("name", ["%2e%2e", "%00", "Another", "a%20b"])
def test_what_is_no_name_of_a_peer_is_refused(client: ServiceClient, name: str) -> None:
    assert client.get(f"/peers/{name}").status_code == 422


def test_a_peer_that_speaks_another_language_is_no_error_of_ours(client: ServiceClient) -> None:
    client.world.serve("another", lambda request: httpx2.Response(200, text="<html>"))
    assert client.get("/peers/another").status_code == 503


def test_the_log_level_follows_the_configuration(client: ServiceClient) -> None:
    before = logging.getLogger().level
    try:
        client.world.notification.emit("config.updated", NAME, {"log_level": "DEBUG"}, source="admin")
        wait_until(lambda: logging.getLogger().level == logging.DEBUG, "the level is DEBUG")
        for_another = {"type": "config.updated", "subject": "another", "data": {"log_level": "ERROR"}}
        assert client.post("/notifications", json=for_another).status_code == 200
        assert logging.getLogger().level == logging.DEBUG
        for_all = {"type": "config.updated", "data": {"log_level": "INFO"}}
        assert client.post("/notifications", json=for_all).status_code == 200
        assert logging.getLogger().level == logging.INFO
    finally:
        logging.getLogger().setLevel(before)


@pytest.mark.parametrize(
    "data",
    [
        {"log_level": "LOUD"},
        {"log_level": 7},
        {"log_level": None},
        {"log_level": ["DEBUG"]},
        {"other": "DEBUG"},
        ["log_level"],
        "log_level",
        7,
        None,
    ],
)
def test_a_configuration_that_cannot_be_meant_is_taken_and_changes_nothing(
    client: ServiceClient, data: object
) -> None:
    before = logging.getLogger().level
    event = {"type": "config.updated", "subject": NAME, "data": data}
    # A refusal would have it delivered again, for days, and never be any better.
    assert client.post("/notifications", json=event).status_code == 200
    assert logging.getLogger().level == before


def test_every_operation_stands_in_a_group_of_the_documentation(client: ServiceClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    groups = {
        path: {tag for each in item.values() for tag in each.get("tags", ())} for path, item in paths.items()
    }
    assert groups["/links"] == groups["/links/{token}"] == {"links"}
    assert groups["/status"] == {"service"}
    assert groups["/peers/{serviceName}"] == {"peers"}
    assert all(groups.values())


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/links"), ("GET", "/links/x"), ("GET", "/status"), ("GET", "/peers/x")]
)
def test_nobody_gets_in_without_a_token_or_without_the_permission(
    client: ServiceClient, method: str, path: str
) -> None:
    del client.headers["Authorization"]
    assert client.request(method, path, json={}).status_code == 401
    assert client.request(method, path, json={}, headers=client.bearer(roles=())).status_code == 403

"""The real application in one process: what it makes at the first start, and who gets in."""

import asyncio
import base64
import stat
import time

import httpx2
import jwt
import pytest
from conftest import settings_in
from fountain_common.openapi import violations
from fountain_common.requests import accept
from openapi_spec_validator import OpenAPIV30SpecValidator
from secrets_manager.token_requests import OAuthError, TokenRequest


def test_an_empty_directory_becomes_a_platform(running):
    for name in ("notification", "gateway-lookup", "example-consumer"):
        key = running.settings.identities_dir / name / "api-key"
        assert stat.S_IMODE(key.stat().st_mode) == 0o400
        assert "BEGIN CERTIFICATE" in (key.parent / "ca.pem").read_text()
        secret = running.client.get(f"/secrets/{name}", headers=running.as_("admin")).json()
        assert {"JWT_SECRET", "DB_PASSWORD"} <= secret["secrets"].keys()
    own = running.client.get("/secrets/notification", headers=running.as_("notification")).json()
    assert "DATA_KEY" in own["secrets"]
    assert running.client.get("/health").json()["status"] == "healthy"


def test_a_second_start_makes_nothing_anew(start, settings):
    first = start(settings)
    before = {path: path.read_bytes() for path in settings.identities_dir.rglob("*") if path.is_file()}
    keys = first.client.get("/.well-known/jwks.json").json()
    first.client.__exit__(None, None, None)
    second = start(settings)
    assert {path: path.read_bytes() for path in before} == before
    assert second.client.get("/.well-known/jwks.json").json() == keys


def test_a_generated_key_that_is_named_later_is_added_by_a_rotation_that_leaves_the_rest(start, tmp_path):
    first = start(settings_in(tmp_path, services="action"))
    an_instance = {"X-Fountain-Instance": "a" * 32}
    before = first.client.get("/secrets/action", headers=first.as_("action") | an_instance).json()
    first.client.__exit__(None, None, None)
    named = settings_in(tmp_path, services="action:DATA_KEY")
    second = start(named)
    admin = second.as_("admin")
    mine = {"service_name": "action"}
    (rotation,) = second.client.get("/rotations", params=mine, headers=admin).json()["items"]
    assert (rotation["state"], rotation["version"]) == ("staged", 2), "the instance has not accepted it yet"
    said = second.client.post(
        "/secrets/action/versions/2/ack",
        json={"phase": "accepts"},
        headers=second.as_("action") | an_instance,
    )
    assert said.status_code == 200, said.text
    after = second.client.get("/secrets/action", headers=admin).json()
    assert after["version"] == 2
    assert after["secrets"].keys() - before["secrets"].keys() == {"DATA_KEY"}
    assert before["secrets"].items() <= after["secrets"].items()
    records = second.client.get("/audit", headers=admin).json()["items"]
    added = [one for one in records if one["detail"].get("operation") == "complete"]
    assert [(one["caller"], one["action"], one["detail"]["version"]) for one in added] == [
        ("secrets-manager", "secrets:rotate", 2)
    ]
    second.client.__exit__(None, None, None)
    third = start(named)
    assert third.client.get("/secrets/action", headers=third.as_("admin")).json()["version"] == 2


def test_a_revoked_secret_gets_no_key_and_the_start_goes_on(start, tmp_path):
    first = start(settings_in(tmp_path, services="action"))
    assert first.client.delete("/secrets/action", headers=first.as_("admin")).status_code == 204
    first.client.__exit__(None, None, None)
    second = start(settings_in(tmp_path, services="action:DATA_KEY"))
    rotations = second.client.get("/rotations", headers=second.as_("admin")).json()["items"]
    assert rotations == []


def test_a_lost_identity_volume_is_made_again(start, settings):
    first = start(settings)
    lost = first.key_of("notification")
    first.client.__exit__(None, None, None)
    (settings.identities_dir / "notification" / "api-key").unlink()
    second = start(settings)
    assert second.key_of("notification") != lost
    assert second.ask_token(second.key_of("notification")).status_code == 200


def test_a_token_says_who_where_and_for_how_long(running):
    token = running.token(running.key_of("example-consumer"), resource="notification")
    header, claims = jwt.get_unverified_header(token), jwt.decode(token, options={"verify_signature": False})
    assert header["typ"] == "at+jwt"
    assert header["alg"] == "EdDSA"
    assert header["kid"] in [
        key["kid"] for key in running.client.get("/.well-known/jwks.json").json()["keys"]
    ]
    assert claims["iss"] == "https://secrets-manager.fountain.localhost"
    assert (claims["sub"], claims["aud"], claims["roles"]) == (
        "example-consumer",
        ["notification"],
        ["service"],
    )
    assert claims["exp"] - claims["iat"] == 900
    assert running.key_of("example-consumer").startswith(f"fnt_{claims['kid_api']}_")


def test_the_token_endpoint_takes_form_json_and_basic(running):
    key = running.key_of("admin")
    body = {"grant_type": "client_credentials", "client_id": "admin", "client_secret": key}
    basic = base64.b64encode(f"admin:{key}".encode()).decode()
    answers = [
        running.client.post("/auth/token", data=body),
        running.client.post("/auth/token", json=body),
        running.client.post(
            "/auth/token",
            data={"grant_type": "client_credentials"},
            headers={"Authorization": f"Basic {basic}"},
        ),
    ]
    for answer in answers:
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert answer.json().keys() == {"access_token", "token_type", "expires_in"}


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"client_secret": ""}, 401, "invalid_client"),
        ({"client_secret": "fnt_aaaaaaaaaaaaaa_" + "A" * 43}, 401, "invalid_client"),
        ({"client_id": "example-consumer"}, 401, "invalid_client"),
        ({"resource": "../x"}, 400, "invalid_target"),
        ({"resource": ["example-consumer", "notification"]}, 400, "invalid_target"),
    ],
)
def test_errors_of_the_token_endpoint_are_those_of_oauth(running, form, status, error):
    answer = running.ask_token(**{"key": running.key_of("admin"), **form})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["error"] == error
    assert answer.json()["error_description"]


def test_a_services_key_gets_no_token_through_the_edge_unless_it_is_remote(running):
    key = running.key_of("example-consumer")
    through = {"X-Fountain-Edge": "1"}
    refused = running.ask_token(key, headers=through)
    assert (refused.status_code, refused.json()["error"]) == (400, "unauthorized_client")
    assert (
        running.client.get("/secrets/example-consumer", headers={"X-API-Key": key, **through}).status_code
        == 401
    )
    change = running.client.patch(
        "/identities/example-consumer", json={"remote": True}, headers=running.as_("admin")
    )
    assert change.status_code == 200
    assert running.ask_token(key, headers=through).status_code == 200


def test_a_token_for_a_teams_service_is_refused_here(running):
    token = running.token(running.key_of("admin"), resource="example-consumer")
    assert running.client.get("/identities", headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_any_key_works_here_as_x_api_key(running):
    assert (
        running.client.get("/identities", headers={"X-API-Key": running.key_of("admin")}).status_code == 200
    )
    wrong = running.client.get("/identities", headers={"X-API-Key": "fnt_aaaaaaaaaaaaaa_" + "A" * 43})
    assert wrong.status_code == 401


def exchange(running, service, key, **form):
    return running.ask_token(
        running.key_of(service),
        grant_type="urn:ietf:params:oauth:grant-type:token-exchange",
        subject_token=key,
        subject_token_type="urn:fountain:params:token-type:api-key",
        resource=form.pop("resource", service),
    )


def test_a_key_is_exchanged_for_a_token_for_the_service_that_it_was_made_for(running):
    key = running.person("ada", "operator", audiences=["example-consumer"])
    answer = exchange(running, "example-consumer", key)
    assert answer.status_code == 200
    claims = jwt.decode(answer.json()["access_token"], options={"verify_signature": False})
    assert (claims["sub"], claims["aud"], claims["client_id"]) == (
        "ada",
        ["example-consumer"],
        "example-consumer",
    )
    assert exchange(running, "notification", key).json()["error"] == "invalid_grant"
    assert (
        exchange(running, "example-consumer", key, resource="notification").json()["error"]
        == "invalid_target"
    )


def test_an_unrestricted_key_shown_to_a_service_is_refused_and_audited_as_exposed(running):
    answer = exchange(running, "example-consumer", running.key_of("admin"))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    records = running.client.get(
        "/audit", params={"action": "tokens:exchange", "outcome": "denied"}, headers=running.as_("admin")
    ).json()["items"]
    assert records[0]["caller"] == "admin"
    assert records[0]["detail"]["exposed"] is True


def test_a_key_with_audiences_gets_tokens_for_those_alone(running):
    key = running.person("bob", "viewer", audiences=["notification"])
    claims = jwt.decode(running.token(key), options={"verify_signature": False})
    assert claims["aud"] == ["notification"]
    assert running.ask_token(key, resource="secrets-manager").json()["error"] == "invalid_target"


def test_ten_thousand_wrong_keys_do_not_keep_the_right_one_out(running):
    right = running.key_of("notification")
    wrong = [running.ask_token(right[:-4] + f"{number:04d}") for number in range(40)]
    assert {answer.status_code for answer in wrong} == {401, 429}
    throttled = next(answer for answer in wrong if answer.status_code == 429)
    assert int(throttled.headers["retry-after"]) >= 1
    issuance = running.app.state.core.issuance

    addresses = [accept({}, f"203.0.113.{number}") for number in range(20)]

    async def refused(number):
        asked = TokenRequest("client_credentials", None, f"{right[:-4]}{number:04d}", ())
        with pytest.raises(OAuthError):
            await issuance.issue(asked, addresses[number % len(addresses)])

    async def flood():
        """Ten thousand from twenty addresses, a hundred at a time; the right one among them, from one."""
        honoured = 0
        for begin in range(0, 10_000, 100):
            asked = TokenRequest("client_credentials", None, right, ())
            wrong = (refused(number) for number in range(begin, begin + 100))
            *_, issued = await asyncio.gather(*wrong, issuance.issue(asked, addresses[0]))
            honoured += bool(issued.token)
        return honoured

    assert running.client.portal.call(flood) == 100
    assert running.ask_token(right).status_code == 200
    denied = running.client.get(
        "/audit",
        params={"action": "tokens:issue", "outcome": "denied", "limit": 500},
        headers=running.as_("admin"),
    ).json()["items"]
    assert len(denied) < 400  # ten an address at once, and then one in six seconds


def test_wrong_keys_that_come_together_from_several_addresses_slow_down_none_but_their_own(running):
    right = running.key_of("notification")

    async def ask(address, key):
        transport = httpx2.ASGITransport(running.app, client=(address, 1))
        async with httpx2.AsyncClient(transport=transport, base_url="https://secrets-manager") as client:
            form = {"grant_type": "client_credentials", "client_secret": key}
            return (await client.post("/auth/token", data=form)).status_code

    async def flood():
        wrong = [ask(f"203.0.113.{number % 8}", f"{right[:-4]}{number:04d}") for number in range(400)]
        some = [ask(f"203.0.113.{number}", right) for number in range(9)]
        return await asyncio.gather(
            *wrong[:200], *some, *wrong[200:], ask("203.0.113.99", right[:-4] + "zzzz")
        )

    statuses = running.client.portal.call(flood)
    assert statuses[200:209] == [200] * 9
    assert statuses[-1] == 401, "an address that has not failed before is told that the key is wrong"
    told = statuses.count(401) - 1
    assert 8 * 10 <= told <= 8 * 15  # ten an address at once, and one more in six seconds
    assert told + statuses.count(429) == 400


def test_revoking_an_identity_ends_its_tokens_at_once_and_says_so(running):
    key = running.person("carol", "operator")
    token = {"Authorization": f"Bearer {running.token(key)}"}
    assert running.client.get("/secrets", headers=token).status_code == 200
    assert running.client.delete("/identities/carol", headers=running.as_("admin")).status_code == 204
    assert running.client.get("/secrets", headers=token).status_code == 401
    assert running.ask_token(key).status_code == 401
    listed = running.client.get("/.well-known/revocations").json()["revocations"]
    assert [entry["subject"] for entry in listed] == ["carol"]
    _until(lambda: "identity.revoked" in running.neighbours.types())


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
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
    key = running.person("frank", "viewer", expires_at=moment)
    assert running.ask_token(key).status_code == 200
    _until(lambda: running.ask_token(key).status_code == 401)


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


def test_a_new_signing_key_is_published_before_it_signs(running):
    admin = running.as_("admin")
    before = running.client.get("/.well-known/jwks.json").json()["keys"]
    rotated = running.client.post("/signing-keys/rotate", headers=admin).json()
    after = [key["kid"] for key in running.client.get("/.well-known/jwks.json").json()["keys"]]
    assert after == [before[0]["kid"], rotated["kid"]]
    token = running.token(running.key_of("admin"))
    assert jwt.get_unverified_header(token)["kid"] == before[0]["kid"] == rotated["previous_kid"]
    assert running.client.get("/secrets", headers=admin).status_code == 200
    _until(lambda: "signing-key.rotated" in running.neighbours.types())


def test_an_emergency_voids_every_token_at_once(running):
    admin = running.as_("admin")
    rotated = running.client.post("/signing-keys/rotate", json={"emergency": True}, headers=admin).json()
    keys = running.client.get("/.well-known/jwks.json").json()["keys"]
    assert [key["kid"] for key in keys] == [rotated["kid"]]
    assert running.client.get("/secrets", headers=admin).status_code == 401
    assert running.client.get("/secrets", headers=running.as_("admin")).status_code == 200


def test_no_key_is_shown_twice(running):
    key = running.person("gina", "viewer")
    shown = running.client.get("/identities/gina", headers=running.as_("admin")).text
    assert key.split("_", 2)[2] not in shown
    assert key.split("_")[1] in shown


def test_the_description_is_openapi_and_owes_nothing(running):
    document = running.client.get("/openapi.json").json()
    OpenAPIV30SpecValidator(document).validate()
    assert violations(document) == []


def _until(true, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)

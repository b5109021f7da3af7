"""Keys become tokens: what a token says, whom it is for, and which keys get none."""

import base64
from urllib.parse import quote_plus

import jwt
import pytest


def exchange(running, service, key, **form):
    return running.ask_token(
        running.key_of(service),
        grant_type="urn:ietf:params:oauth:grant-type:token-exchange",
        subject_token=key,
        subject_token_type="urn:fountain:params:token-type:api-key",
        resource=form.pop("resource", service),
    )


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


def test_whoever_knows_the_metadata_alone_gets_a_token_and_can_verify_it(running):
    found = running.client.get("/.well-known/oauth-authorization-server").json()
    key = running.key_of("example-consumer")
    form = {"grant_type": found["grant_types_supported"][0]}
    by_basic = running.client.post(found["token_endpoint"], data=form, auth=("example-consumer", key))
    by_post = running.client.post(found["token_endpoint"], data={**form, "client_secret": key})
    assert found["token_endpoint_auth_methods_supported"] == ["client_secret_basic", "client_secret_post"]
    for answer in (by_basic, by_post):
        token = answer.json()["access_token"]
        kid = jwt.get_unverified_header(token)["kid"]
        keys = {one["kid"]: one for one in running.client.get(found["jwks_uri"]).json()["keys"]}
        jwt.decode(token, jwt.PyJWK(keys[kid]), ["EdDSA"], issuer=found["issuer"], audience="secrets-manager")
    lent = running.person("ada", "operator", audiences=["notification"])
    exchanged = exchange(running, "notification", lent)
    assert exchanged.status_code == 200, exchanged.text
    assert quote_plus(found["grant_types_supported"][1]) in exchanged.request.read().decode()


def test_the_metadata_names_the_issuer_whatever_host_was_asked(running):
    path = "/.well-known/oauth-authorization-server"
    found = running.client.get(path).json()
    issuer = found["issuer"]
    assert issuer == "https://secrets-manager.fountain.localhost"
    assert [found[name] for name in ("token_endpoint", "jwks_uri", "service_documentation")] == [
        issuer + where for where in ("/auth/token", "/.well-known/jwks.json", "/docs")
    ]
    hostile = {
        "Host": "evil.example",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "http",
        "Forwarded": "host=evil.example;proto=http",
    }
    assert running.client.get(path, headers=hostile).json() == found
    assert running.client.get(path, headers={"X-Forwarded-Prefix": "/evil"}).json() == found


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

"""The real application in one process: what it makes at the first start, and at those after it."""

import stat

from conftest import settings_in
from fountain_common.openapi import violations
from openapi_spec_validator import OpenAPIV30SpecValidator


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


def test_the_description_is_openapi_and_owes_nothing(running):
    document = running.client.get("/openapi.json").json()
    OpenAPIV30SpecValidator(document).validate()
    assert violations(document) == []

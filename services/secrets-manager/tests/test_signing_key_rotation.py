"""Signing keys of a running secrets manager: announced before they sign, and void at once in an emergency."""

import jwt
from fountain_common.testing import wait_until


def test_a_new_signing_key_is_published_before_it_signs(running):
    admin = running.as_("admin")
    before = running.client.get("/.well-known/jwks.json").json()["keys"]
    rotated = running.client.post("/signing-keys/rotate", headers=admin).json()
    after = [key["kid"] for key in running.client.get("/.well-known/jwks.json").json()["keys"]]
    assert after == [before[0]["kid"], rotated["kid"]]
    token = running.token(running.key_of("admin"))
    assert jwt.get_unverified_header(token)["kid"] == before[0]["kid"] == rotated["previous_kid"]
    assert running.client.get("/secrets", headers=admin).status_code == 200
    wait_until(lambda: "signing-key.rotated" in running.neighbours.types(), "the event")


def test_an_emergency_voids_every_token_at_once(running):
    admin = running.as_("admin")
    rotated = running.client.post("/signing-keys/rotate", json={"emergency": True}, headers=admin).json()
    keys = running.client.get("/.well-known/jwks.json").json()["keys"]
    assert [key["kid"] for key in keys] == [rotated["kid"]]
    assert running.client.get("/secrets", headers=admin).status_code == 401
    assert running.client.get("/secrets", headers=running.as_("admin")).status_code == 200

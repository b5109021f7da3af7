"""The caller who may nothing, of `fountain check`: one name for good, a key for each check."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from fountain_cli.api import Api
from fountain_cli.exits import CommandError
from fountain_cli.powerless import NAME, powerless


class Issuer:
    """What the Secrets Manager answers about identities, as far as this is concerned."""

    def __init__(self) -> None:
        self.identities: dict[str, dict[str, Any]] = {}

    def api(self) -> Api:
        def opened(_: str) -> httpx2.Client:
            return httpx2.Client(base_url="https://sm", transport=httpx2.MockTransport(self.answer))

        return Api("fnt_admin", opened)

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        _, *parts = request.url.path.split("/")
        match request.method, parts:
            case "POST", ["auth", "token"]:
                return httpx2.Response(200, json={"access_token": "t", "expires_in": 900})
            case "POST", ["identities"]:
                new = json.loads(request.content)
                if new["name"] in self.identities:
                    return httpx2.Response(409, json={"detail": "taken"})
                self.identities[new["name"]] = {**new, "revoked_at": None, "keys": []}
                return httpx2.Response(201, json=new)
        name = parts[1]
        if name not in self.identities:
            return httpx2.Response(404, json={"detail": "no such identity"})
        keys = self.identities[name]["keys"]
        if request.method == "GET":
            return httpx2.Response(200, json=self.identities[name])
        if request.method == "POST":
            made = {"key_id": f"k{len(keys)}", "revoked_at": None, **json.loads(request.content)}
            keys.append(made)
            return httpx2.Response(201, json={**made, "api_key": f"fnt_{made['key_id']}"})
        for key in keys:
            if key["key_id"] == parts[3]:
                key["revoked_at"] = datetime.now(UTC).isoformat()
        return httpx2.Response(204)


def alive(issuer: Issuer) -> list[str]:
    return [key["key_id"] for key in issuer.identities[NAME]["keys"] if key["revoked_at"] is None]


def test_every_check_uses_the_one_identity_and_takes_its_key_back() -> None:
    issuer = Issuer()
    for _ in range(3):
        with powerless(issuer.api()):
            assert len(alive(issuer)) == 1
        assert alive(issuer) == []
    assert list(issuer.identities) == [NAME]
    assert issuer.identities[NAME]["revoked_at"] is None
    assert issuer.identities[NAME]["roles"] == []


def test_a_key_that_a_killed_check_left_is_taken_back_by_the_next_and_no_other() -> None:
    issuer = Issuer()
    now = datetime.now(UTC)
    with powerless(issuer.api()):
        keys = issuer.identities[NAME]["keys"]
        for name, ends in (("left", now - timedelta(hours=1)), ("beside", now + timedelta(minutes=9))):
            keys.append({"key_id": name, "revoked_at": None, "expires_at": ends.isoformat()})
        with powerless(issuer.api()):
            assert alive(issuer) == ["k0", "beside", "k3"]


@pytest.mark.parametrize("odd", [{"roles": ["admin"]}, {"revoked_at": "2026-01-01T00:00:00+00:00"}])
def test_one_who_may_something_is_no_measure(odd: dict[str, Any]) -> None:
    issuer = Issuer()
    with powerless(issuer.api()):
        pass
    issuer.identities[NAME].update(odd)
    with pytest.raises(CommandError, match=NAME), powerless(issuer.api()):
        pass

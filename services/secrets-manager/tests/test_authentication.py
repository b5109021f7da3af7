"""What an attacker can learn from, or do with, keys and tokens that are not his."""

import base64
import bisect
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from secrets_manager.api_keys import ApiKey


def test_a_known_id_and_an_unknown_one_take_the_same_time(running):
    """By time alone they cannot be told apart: of two, the known one took longer half of the time."""
    known = [ApiKey.parse(running.key_of(name)).key_id for name in ("admin", "notification")]
    core = running.app.state.core

    def judged(key):
        def run(session):
            begin = time.perf_counter()
            assert core.authenticator.judge(session, key) is None
            return time.perf_counter() - begin

        return run

    async def measure():
        taken = {True: [], False: []}
        for number in range(1200):
            is_known = number % 2 == 0
            key = ApiKey.generate()
            if is_known:
                key = ApiKey(known[number // 2 % len(known)], key.secret)
            taken[is_known].append(await core.db.read(judged(key.reveal())))
        return taken[True], taken[False]

    known_took, unknown_took = running.client.portal.call(measure)
    assert 0.4 < longer(known_took, unknown_took) < 0.6


def longer(some, others):
    """The chance that one of some is greater than one of the others (Mann-Whitney's U, over its greatest)."""
    others = sorted(others)
    return sum(bisect.bisect_left(others, one) for one in some) / (len(some) * len(others))


@pytest.mark.parametrize("before", ["", "000000000000", "zzzzzzzzzzzzzzzz"])
def test_an_id_before_or_behind_all_others_is_nobodys(running, before):
    answer = running.ask_token(f"fnt_{before}_{'A' * 43}")
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def altered(token, **changes):
    header, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    raw = base64.urlsafe_b64encode(json.dumps({**claims, **changes}).encode()).rstrip(b"=").decode()
    return f"{header}.{raw}.{signature}"


def forged(running, token, *, key=None, algorithm="none", **header):
    claims = {**jwt.decode(token, options={"verify_signature": False}), **header.pop("claims", {})}
    return jwt.encode(
        claims, key, algorithm=algorithm, headers={**jwt.get_unverified_header(token), **header}
    )


def test_no_forged_token_gets_in(running):
    token = running.token(running.person("mallory", "viewer"))
    signing = running.app.state.core.signing_keys.current().private
    public = signing.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    now = int(time.time())
    forgeries = {
        "other roles": altered(token, roles=["admin"]),
        "no algorithm": forged(running, token, alg="none"),
        "the public key as a secret": forged(running, token, key=public, algorithm="HS256", alg="HS256"),
        "typ of another token": forged(running, token, key=signing, algorithm="EdDSA", typ="JWT"),
        "unknown key": forged(running, token, key=signing, algorithm="EdDSA", kid="nobody"),
        "another issuer": forged(running, token, key=signing, algorithm="EdDSA", claims={"iss": "https://x"}),
        "another audience": forged(running, token, key=signing, algorithm="EdDSA", claims={"aud": ["shop"]}),
        "expired": forged(running, token, key=signing, algorithm="EdDSA", claims={"exp": now - 31}),
        "not yet": forged(running, token, key=signing, algorithm="EdDSA", claims={"nbf": now + 60}),
    }
    for what, forgery in forgeries.items():
        answer = running.client.get("/identities", headers={"Authorization": f"Bearer {forgery}"})
        assert answer.status_code == 401, what
    right = running.client.get("/identities", headers={"Authorization": f"Bearer {token}"})
    assert right.status_code == 403


def test_credentials_in_a_url_are_refused(running):
    token = running.token(running.key_of("admin"))
    assert running.client.get("/identities", params={"access_token": token}).status_code == 400


@pytest.mark.parametrize(
    "name",
    ["Admin", "admin/", "..%2fadmin", "x%2f..%2fadmin", "adm\u0131n", "\uff41dmin", "admin%00", "a" * 64],
)
def test_no_other_spelling_of_a_name_reaches_an_identity(running, name):
    answer = running.client.get(f"/identities/{name}", headers=running.as_("admin"))
    assert answer.status_code in (400, 404, 405, 422)


def test_a_marker_in_a_misspelt_request_comes_back_nowhere(start, settings, log, capsys):
    running = start(settings)
    admin = running.as_("admin")
    marker = "marker-5c1f"
    answers = [
        running.client.post(
            "/identities", json={"name": "x", "roles": ["admin"], "password": marker}, headers=admin
        ),
        running.client.post("/identities", json={"name": marker * 9, "roles": [marker]}, headers=admin),
        running.client.post("/identities/admin/keys", json={"secret": marker}, headers=admin),
        running.client.post(
            "/auth/token",
            content=f'{{"client_secret":"{marker}',
            headers={"Content-Type": "application/json"},
        ),
        running.client.post(
            "/auth/token", data={"grant_type": "client_credentials", "client_secret": marker}
        ),
    ]
    for answer in answers:
        assert answer.status_code >= 400
        assert marker not in answer.text
    assert marker not in running.client.get("/audit", params={"limit": 500}, headers=admin).text
    assert marker not in running.client.get("/metrics").text
    assert marker not in json.dumps(running.neighbours.events)
    said = log.getvalue()
    requests = [line for line in map(json.loads, said.splitlines()) if line["event"] == "request"]
    logged = {line["request_id"] for line in requests}
    assert {answer.headers["x-request-id"] for answer in answers} <= logged, "each of them is seen here"
    assert marker not in said + "".join(capsys.readouterr())

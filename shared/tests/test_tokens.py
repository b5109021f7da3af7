"""Which tokens are honoured."""

import base64
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fountain_common.fakes.tokens import ISSUER, TokenMaker
from fountain_common.testing import FakeClock
from fountain_common.tokens import Caller, Revocations, TokenError, UnknownKeyError, read_keys, read_token

clock = FakeClock()
maker = TokenMaker(clock=clock)
keys = read_keys(maker.jwks())


def read(token: str, audience: str = "orders", issuer: str = ISSUER) -> Caller:
    return read_token(token, keys.get, issuer=issuer, audience=audience, now=clock())


def good(**claims: Any) -> str:
    return maker.token("bob", ["viewer"], "orders", **claims)


def test_a_good_token_says_who_is_calling() -> None:
    caller = read(good(kid_api="abc", client_id="bobs-laptop"))
    assert (caller.subject, caller.roles, caller.client_id, caller.key_id) == (
        "bob",
        ("viewer",),
        "bobs-laptop",
        "abc",
    )
    assert caller.audience == ("orders",)
    assert caller.expires_at - caller.issued_at == 900


def test_roles_as_a_string_are_understood() -> None:
    assert read(good(roles="viewer,admin")).is_admin


def test_a_token_for_several_services_is_for_each_of_them() -> None:
    assert read(maker.token("bob", [], ["orders", "stories"]), "stories").subject == "bob"


def without_signature(header: dict[str, Any]) -> str:
    payload = good().split(".")[1]
    head = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    return f"{head}.{payload}."


def test_a_token_without_a_signature_is_refused() -> None:
    for alg in ("none", "None", "NONE", ""):
        with pytest.raises(TokenError, match="not signed"):
            read(without_signature({"alg": alg, "typ": "at+jwt", "kid": maker.kid}))


@pytest.mark.parametrize("encoding", ["raw", "pem", "jwk"])
def test_a_token_signed_with_the_public_key_as_a_shared_secret_is_refused(encoding: str) -> None:
    public = maker.key.public_key()
    secret = {
        "raw": public.public_bytes_raw(),
        "pem": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "jwk": json.dumps(maker.jwks()["keys"][0]).encode(),
    }[encoding]
    import hashlib
    import hmac

    head = base64.urlsafe_b64encode(
        json.dumps({"alg": "HS256", "typ": "at+jwt", "kid": maker.kid}).encode()
    ).rstrip(b"=")
    signed = head + b"." + good().split(".")[1].encode()
    mac = base64.urlsafe_b64encode(hmac.digest(secret, signed, hashlib.sha256)).rstrip(b"=")
    with pytest.raises(TokenError, match="not signed with EdDSA"):
        read((signed + b"." + mac).decode())


def test_a_token_signed_by_somebody_elses_key_under_our_kid_is_refused() -> None:
    stranger = TokenMaker(key=Ed25519PrivateKey.generate(), clock=clock)
    with pytest.raises(TokenError, match="signature"):
        read(stranger.token("bob", ["admin"], "orders", header={"kid": maker.kid}))


def test_a_changed_token_is_refused() -> None:
    head, _, signature = good().split(".")
    other = maker.token("bob", ["admin"], "orders").split(".")[1]
    with pytest.raises(TokenError, match="signature"):
        read(f"{head}.{other}.{signature}")


def test_a_token_of_an_unknown_key_says_so() -> None:
    with pytest.raises(UnknownKeyError):
        read(good(header={"kid": "elsewhere"}))


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"aud": ["stories"]}, "resource=orders"),
        ({"aud": "stories"}, "resource=orders"),
        ({"aud": []}, "no aud"),
        ({"iss": "https://elsewhere.example"}, "not from"),
        ({"iss": ISSUER + "/"}, "not from"),
        ({"exp": clock() - 31}, "expired"),
        ({"nbf": clock() + 31}, "not valid yet"),
        ({"iat": clock() + 31}, "not valid yet"),
        ({"exp": "tomorrow"}, "not numbers"),
        ({"exp": True}, "not numbers"),
        ({"roles": None}, "no roles"),
        ({"roles": 7}, "roles"),
        ({"jti": None}, "no jti"),
        ({"client_id": None}, "no client_id"),
        ({"sub": None}, "no sub"),
        ({"nbf": None}, "no nbf"),
        ({"client_id": 7}, "words"),
    ],
)
def test_a_token_with_wrong_or_missing_claims_is_refused(claims: dict[str, Any], said: str) -> None:
    with pytest.raises(TokenError, match=said):
        read(good(**claims))


def test_clocks_may_differ_by_half_a_minute() -> None:
    assert read(good(exp=clock() - 29))
    assert read(good(nbf=clock() + 29, iat=clock() + 29))


@pytest.mark.parametrize("header", [{"typ": "JWT"}, {"typ": "id+jwt"}, {"kid": ""}, {"crit": ["b64"]}])
def test_a_token_of_another_kind_is_refused(header: dict[str, Any]) -> None:
    with pytest.raises(TokenError):
        read(good(header=header))


@pytest.mark.parametrize("token", ["", "a", "a.b.c", "....", "é.é.é", "e30.e30.e30", "x" * 9000])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(TokenError):
        read(token)


def test_a_refusal_never_repeats_the_token() -> None:
    token = good(exp=clock() - 100)
    with pytest.raises(TokenError) as caught:
        read(token)
    assert token.split(".")[2] not in str(caught.value)


def test_revocation_covers_tokens_from_before_and_none_from_after() -> None:
    caller = read(good(kid_api="k1"))
    at = caller.issued_at

    def covered(entry: dict[str, str], not_before: float) -> bool:
        document = {"issued_at": at, "revocations": [{**entry, "not_before": not_before}]}
        return Revocations.read(document).cover(caller)

    for entry in ({"subject": "bob"}, {"key_id": "k1"}):
        assert covered(entry, at + 0.5)
        assert not covered(entry, at)
    for entry in ({"subject": "alice"}, {"key_id": "k2"}, {"key_id": ""}):
        assert not covered(entry, at + 5)


def test_a_key_set_without_a_usable_key_is_no_key_set() -> None:
    rsa = {"kty": "RSA", "kid": "r", "n": "AQAB", "e": "AQAB"}
    for document in (
        {},
        {"keys": []},
        {"keys": [rsa]},
        {"keys": "x"},
        {"keys": [{"kty": "OKP", "kid": "x"}]},
    ):
        with pytest.raises(ValueError, match="no Ed25519 key"):
            read_keys(document)
    assert list(read_keys({"keys": [rsa, *maker.jwks()["keys"]]})) == [maker.kid]


def test_the_library_agrees_that_our_tokens_are_tokens() -> None:
    assert jwt.get_unverified_header(good())["alg"] == "EdDSA"


@pytest.mark.parametrize("seconds", [931, 1e12, float("inf"), float("nan")])
def test_a_token_that_is_to_live_longer_than_any_that_is_issued_is_refused(seconds: float) -> None:
    now = clock()
    with pytest.raises(TokenError, match="longer"):
        read(good(iat=now, exp=now + seconds))
    assert read(good(iat=now, exp=now + 930)).subject == "bob"


def test_a_caller_knows_which_key_signed_for_it() -> None:
    assert read(good()).signing_key_id == maker.kid

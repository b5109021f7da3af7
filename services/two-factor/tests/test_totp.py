import base64
from urllib.parse import parse_qs, unquote, urlsplit

import pyotp
import pytest
from two_factor.totp import SEED_BYTES, code_for, matching_step, new_seed, otpauth_uri, step_at

# RFC 6238, appendix B, of whose eight digits ours are the last six.
RFC_SEED = b"12345678901234567890"
RFC_CODES = {59: "94287082", 1111111109: "07081804", 1234567890: "89005924", 20000000000: "65353130"}


@pytest.mark.parametrize(("now", "code"), RFC_CODES.items())
def test_the_codes_of_the_rfc(now: int, code: str) -> None:
    assert code_for(RFC_SEED, step_at(now)) == code[-6:]


def test_an_independent_implementation_makes_the_same_codes() -> None:
    seed = new_seed()
    other = pyotp.TOTP(base64.b32encode(seed).decode())
    assert len(seed) == SEED_BYTES
    assert code_for(seed, step_at(1_800_000_000)) == other.at(1_800_000_000)
    assert matching_step(seed, other.at(1_800_000_000), 1_800_000_000) == step_at(1_800_000_000)


@pytest.mark.parametrize(("steps", "accepted"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_one_step_of_drift_each_way_is_accepted(steps: int, accepted: bool) -> None:
    now = 1_800_000_000
    code = code_for(RFC_SEED, step_at(now) + steps)
    assert (matching_step(RFC_SEED, code, now) is not None) == accepted


def test_a_used_code_and_those_before_it_are_refused() -> None:
    now = 1_800_000_000
    step = step_at(now)
    for used in (step - 1, step):
        assert matching_step(RFC_SEED, code_for(RFC_SEED, used), now, after=step) is None
    assert matching_step(RFC_SEED, code_for(RFC_SEED, step + 1), now, after=step) == step + 1


@pytest.mark.parametrize("code", ["", "0", "abcdef", "١٢٣٤٥٦", "0" * 10_000])
def test_what_is_no_code_matches_nothing(code: str) -> None:
    assert matching_step(RFC_SEED, code, 59) is None


def test_the_uri_survives_any_name() -> None:
    uri = otpauth_uri(RFC_SEED, issuer="Fountain & Söhne", username="ada:/?#&@example.org")
    parts = urlsplit(uri)
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    assert unquote(parts.path) == "/Fountain & Söhne:ada:/?#&@example.org"
    assert parse_qs(parts.query)["issuer"] == ["Fountain & Söhne"]
    assert pyotp.parse_uri(uri).now() == pyotp.TOTP(base64.b32encode(RFC_SEED).decode()).now()

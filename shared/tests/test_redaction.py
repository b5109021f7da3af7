import pytest
from fountain_common.redaction import REDACTED, redact, redact_text

KEY = "fnt_abcdefabcdef_" + "A1b2-_" * 7
JWT = "eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJ4In0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"the key {KEY} was refused", KEY),
        (f"token={JWT}", JWT),
        ("Authorization: Bearer abcdefghijkl", "abcdefghijkl"),
        ("authorization: basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("postgresql://user:hunter2@db/x", "hunter2"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
    ],
)
def test_what_looks_like_a_credential_is_taken_out_of_a_text(text: str, secret: str) -> None:
    assert secret not in redact_text(text)
    assert REDACTED in redact_text(text)


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "DB_PASSWORD",
        "jwt",
        "api_key",
        "apikey",
        "client_secret",
        "access_token",
        "newSecrets",
        "secrets",
    ],
)
def test_a_field_is_redacted_by_its_name(name: str) -> None:
    assert redact({name: "x"}) == {name: REDACTED}


def test_whatever_is_inside_is_looked_at() -> None:
    found = redact({"a": [{"b": (KEY,)}], "request": {"password": {"deep": 1}}, "n": 1, "none": None})
    assert found == {"a": [{"b": [REDACTED]}], "request": {"password": REDACTED}, "n": 1, "none": None}


def test_what_is_no_secret_is_left_alone() -> None:
    fields = {
        "event": "secret_rotated",
        "service": "orders",
        "version": 3,
        "key_id": "abc",
        "token_type": "Bearer",
    }
    assert redact(fields) == fields


def test_what_is_endless_ends() -> None:
    endless: dict[str, object] = {}
    endless["self"] = endless
    assert REDACTED in str(redact(endless))

"""Codes of short messages are HMAC's."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st
from secrets_manager.keyed_hash import KeyedHash


@given(st.binary(max_size=64), st.binary(max_size=20), st.binary(max_size=300))
def test_a_code_is_the_hmac_of_kind_and_message(key: bytes, kind: bytes, message: bytes) -> None:
    made = KeyedHash(key, kind)
    for _ in range(2):
        assert made(message) == hmac.digest(key, kind + message, hashlib.sha256)


def test_a_key_beyond_the_block_is_refused_and_none_is_shown() -> None:
    with pytest.raises(ValueError, match="more than 64 bytes"):
        KeyedHash(bytes(65))
    assert repr(KeyedHash(b"key")) == "<KeyedHash>"

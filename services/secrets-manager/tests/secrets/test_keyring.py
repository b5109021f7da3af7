"""Sealed values open where they were put, with the keys that sealed them, and nowhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from secrets_manager.envelope import CannotOpenError
from secrets_manager.keyring import Keyring, Ring

PURPOSE, PLACE = "secret-version", "notification/2"


@pytest.fixture
def keyring() -> Keyring:
    return Keyring(Ring.generate())


@given(st.binary(max_size=300))
def test_what_is_sealed_opens(plaintext: bytes) -> None:
    keyring = Keyring(Ring.generate())
    sealed = keyring.seal(PURPOSE, PLACE, plaintext)
    assert keyring.open(PURPOSE, PLACE, sealed) == plaintext
    assert len(plaintext) < 8 or plaintext not in sealed


@pytest.mark.parametrize(
    ("purpose", "place"),
    [(PURPOSE, "notification/3"), (PURPOSE, "action/2"), ("signing-key", PLACE), (PURPOSE + "n", PLACE[1:])],
)
def test_a_value_put_elsewhere_does_not_open(keyring: Keyring, purpose: str, place: str) -> None:
    sealed = keyring.seal(PURPOSE, PLACE, b"value")
    with pytest.raises(CannotOpenError):
        keyring.open(purpose, place, sealed)


def test_a_value_altered_or_cut_anywhere_does_not_open(keyring: Keyring) -> None:
    sealed = keyring.seal(PURPOSE, PLACE, b"value")
    for position in range(len(sealed)):
        altered = bytearray(sealed)
        altered[position] ^= 1
        for wrong in (bytes(altered), sealed[:position]):
            with pytest.raises(CannotOpenError):
                keyring.open(PURPOSE, PLACE, wrong)


def test_the_newest_key_seals_and_any_opens(keyring: Keyring) -> None:
    old = keyring.seal(PURPOSE, PLACE, b"old")
    keyring.ring = keyring.ring.with_new_key()
    new = keyring.seal(PURPOSE, PLACE, b"new")
    assert (keyring.open(PURPOSE, PLACE, old), keyring.open(PURPOSE, PLACE, new)) == (b"old", b"new")
    assert (keyring.needs_rewrap(old), keyring.needs_rewrap(new)) == (True, False)


def test_once_wrapped_anew_the_old_key_is_not_needed(keyring: Keyring) -> None:
    old = keyring.seal(PURPOSE, PLACE, b"value")
    keyring.ring = keyring.ring.with_new_key()
    wrapped_anew = keyring.rewrap(PURPOSE, PLACE, old)
    keyring.ring = keyring.ring.with_newest_alone()
    assert keyring.open(PURPOSE, PLACE, wrapped_anew) == b"value"
    with pytest.raises(CannotOpenError):
        keyring.open(PURPOSE, PLACE, old)


def test_derived_keys_differ_by_label_and_outlive_a_new_ring_key(keyring: Keyring) -> None:
    before = keyring.derive("row-mac")
    assert before != keyring.derive("audit")
    again = Keyring(Ring.load(keyring.ring.with_new_key().dump()))
    assert again.derive("row-mac") == before


def test_no_key_is_printed(keyring: Keyring) -> None:
    raw = [*keyring.ring.keys.values(), keyring.ring.root]
    for text in (repr(keyring), repr(keyring.ring), str(keyring)):
        assert not any(repr(key)[2:-1] in text or key.hex() in text for key in raw)

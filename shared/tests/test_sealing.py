import pytest
from fountain_common.sealing import SealBroken, Sealer
from hypothesis import given
from hypothesis import strategies as st


def sealer(*keys: str) -> Sealer:
    return Sealer(lambda: keys)


@given(st.text(), st.binary())
def test_what_is_sealed_opens_under_the_same_context(context: str, plaintext: bytes) -> None:
    assert sealer("key").open(context, sealer("key").seal(context, plaintext)) == plaintext


def test_it_does_not_open_in_another_place() -> None:
    sealed = sealer("key").seal("factors/ada", b"seed")
    with pytest.raises(SealBroken):
        sealer("key").open("factors/eve", sealed)


@given(st.data())
def test_any_altered_or_cut_byte_is_noticed(data: st.DataObject) -> None:
    sealed = sealer("key").seal("place", b"seed")
    at = data.draw(st.integers(0, len(sealed) - 1))
    altered = bytearray(sealed)
    altered[at] ^= data.draw(st.integers(1, 255))
    for broken in (bytes(altered), sealed[:at]):
        with pytest.raises(SealBroken):
            sealer("key").open("place", broken)


def test_old_data_opens_while_its_key_is_accepted_and_no_longer() -> None:
    sealed = sealer("old").seal("place", b"seed")
    assert sealer("new", "old").open("place", sealed) == b"seed"
    with pytest.raises(SealBroken):
        sealer("new").open("place", sealed)


def test_a_rotation_that_leaves_the_data_key_alone_asks_for_nothing() -> None:
    sealed = sealer("same").seal("place", b"seed")
    assert sealer("same", "same").current(sealed)
    assert not sealer("new", "same").current(sealed)


def test_the_same_plaintext_never_looks_the_same_twice() -> None:
    assert sealer("key").seal("place", b"seed") != sealer("key").seal("place", b"seed")


def test_without_a_key_nothing_is_sealed() -> None:
    with pytest.raises(SealBroken):
        sealer().seal("place", b"seed")

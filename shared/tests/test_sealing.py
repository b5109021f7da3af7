from collections.abc import AsyncIterator

import pytest
from fountain_common.sealing import HEAD_BYTES, SealBroken, Sealer
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


class Manager:
    """Holds one value of DATA_KEY, and remembers those before it."""

    def __init__(self, held: str, *before: str) -> None:
        self.held, self.before, self.fetched = held, before, 0

    def accepted(self, key: str) -> list[tuple[int, str]]:
        assert key == "DATA_KEY"
        return [(len(self.before) + 1, self.held)]

    async def earlier(self, key: str) -> AsyncIterator[tuple[int, str]]:
        for number, value in enumerate(self.before):
            self.fetched += 1
            yield len(self.before) - number, value


async def test_data_under_a_retired_key_opens_inside_the_block_that_reaches_back_and_not_behind_it() -> None:
    data = sealer("first").seal("place", b"seed")
    follows = Sealer.of(Manager("third", "second", "first", "never needed"))
    async with follows.reaching_back([data]):
        assert follows.open("place", data) == b"seed"
        assert not follows.current(data)
    with pytest.raises(SealBroken):
        follows.open("place", data)


async def test_earlier_keys_are_fetched_only_as_far_back_as_something_needs_them() -> None:
    manager = Manager("third", "second", "first")
    follows = Sealer.of(manager)
    async with follows.reaching_back([follows.seal("place", b"seed")]):
        assert manager.fetched == 0
    async with follows.reaching_back([sealer("second").seal("place", b"seed")[:HEAD_BYTES]]):
        assert manager.fetched == 1


async def test_what_no_version_has_a_key_for_stays_closed() -> None:
    data = sealer("destroyed").seal("place", b"seed")
    follows = Sealer.of(Manager("third", "second"))
    async with follows.reaching_back([data]):
        with pytest.raises(SealBroken):
            follows.open("place", data)

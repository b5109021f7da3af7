"""What a start made is put aside, and what requests make is looked through seldom."""

import gc
from collections.abc import Iterator

import pytest
from fountain_common import entrypoint


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


def test_what_requests_have_in_hand_is_not_looked_through_again_and_again() -> None:
    def collections() -> int:
        return sum(generation["collections"] for generation in gc.get_stats())

    entrypoint._settle_memory()
    assert gc.get_freeze_count() > 0
    before = collections()
    in_hand: list[list[int]] = [[] for _ in range(entrypoint._NEW_OBJECTS // 2)]
    assert collections() == before
    # Nor is it never done: a circle that nobody holds goes in the end.
    in_hand += [[] for _ in range(entrypoint._NEW_OBJECTS)]
    assert collections() > before

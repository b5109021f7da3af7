"""Names for new rows."""

import time
import uuid

from fountain_common import ids
from fountain_common.ids import new_id


def test_an_id_is_a_uuid_of_version_7_of_this_moment() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid.UUID(new_id())
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert before <= made.int >> 80 <= time.time_ns() // 1_000_000
    assert str(made) == str(uuid.UUID(str(made)))


def test_ids_follow_one_another_and_are_never_the_same(monkeypatch) -> None:
    at = [1_000_000_000_000]
    monkeypatch.setattr(ids.time, "time_ns", lambda: at[0])
    one = {new_id() for _ in range(1000)}
    at[0] += 1_000_000
    assert len(one) == 1000
    assert max(one) < new_id()


def test_all_that_is_left_to_chance_varies() -> None:
    seen = [uuid.UUID(new_id()).int for _ in range(300)]
    varying = 0
    for one in seen:
        varying |= one ^ seen[0]
    chance = (0xFFF << 64) | ((1 << 62) - 1)
    assert varying & ((1 << 80) - 1) == chance

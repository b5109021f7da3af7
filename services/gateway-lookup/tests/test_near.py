"""Names that look like one that there is not."""

import time
from collections.abc import Callable

import pytest
from gateway_lookup.near import near

KNOWN = ["action", "example-consumer", "notification", "secrets-manager", "two-factor"]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("exmaple-consumer", ["example-consumer"]),
        ("notifications", ["notification", "action"]),
        ("secret-manager", ["secrets-manager"]),
        ("zzz", []),
        ("a", []),
        ("", []),
    ],
)
def test_those_that_look_like_it_are_named_the_most_alike_first(name: str, found: list[str]) -> None:
    assert near(name, KNOWN) == found


def test_ten_thousand_names_take_little_longer_than_looking_at_each() -> None:
    known = [f"service-{number:05d}" for number in range(10_000)]
    assert "service-01234" in near("sevrice-01234", known)

    def look_at_each() -> None:
        for name in known:
            frozenset(name[at : at + 2] for at in range(len(name) - 1))

    assert taken(lambda: near("sevrice-01234", known)) < 5 * taken(look_at_each)


def taken(work: Callable[[], object]) -> float:
    """The least of a few times, without that in which the machine was busy with others."""

    def once() -> float:
        began = time.thread_time()
        work()
        return time.thread_time() - began

    return min(once() for _ in range(5))

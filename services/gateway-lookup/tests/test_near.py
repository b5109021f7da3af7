"""Names that look like one that there is not."""

import time

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
    began = time.perf_counter()
    near("sevrice-01234", known)
    looked = time.perf_counter() - began
    began = time.perf_counter()
    for name in known:
        frozenset(name[at : at + 2] for at in range(len(name) - 1))
    assert looked < 5 * (time.perf_counter() - began)

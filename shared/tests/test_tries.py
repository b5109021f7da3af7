"""How fast one address may try keys."""

import pytest
from fountain_common.tries import BURST, SECONDS_EACH, Tries, network_of


def test_some_wrong_keys_are_free_and_then_each_costs_a_wait() -> None:
    tries = Tries()
    for _ in range(BURST - 1):
        tries.failed("203.0.113.9", 100.0)
        assert tries.pause("203.0.113.9", 100.0) == pytest.approx(0.0, abs=1e-9)
    tries.failed("203.0.113.9", 100.0)
    assert tries.pause("203.0.113.9", 100.0) == pytest.approx(SECONDS_EACH)
    assert tries.pause("203.0.113.9", 100.0 + SECONDS_EACH) == pytest.approx(0.0, abs=1e-9)


def test_a_while_without_wrong_keys_makes_good_for_them() -> None:
    tries = Tries()
    for _ in range(10 * BURST):
        tries.failed("203.0.113.9", 100.0)
    tries.failed("203.0.113.9", 100.0 + 100 * BURST * SECONDS_EACH)
    assert tries.pause("203.0.113.9", 100.0 + 100 * BURST * SECONDS_EACH) == 0.0


def test_one_address_does_not_pay_for_another() -> None:
    tries = Tries()
    for _ in range(10 * BURST):
        tries.failed("203.0.113.9", 100.0)
    assert tries.pause("203.0.113.10", 100.0) == 0.0


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("", ""),
        ("testclient", "testclient"),
    ],
)
def test_the_addresses_of_one_machine_count_as_one(address: str, network: str) -> None:
    assert network_of(address) == network

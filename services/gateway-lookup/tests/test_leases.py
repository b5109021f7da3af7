"""The rules of leases, on a clock of numbers."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from fountain_common.errors import Conflict, Forbidden
from gateway_lookup import leases
from gateway_lookup.leases import Claim, Key, Lease, State

CLAIM = Claim("shop", "a" * 32, "shop", "10.0.0.7", 8000, generation=5)


def register(found: dict[Key, Lease], claim: Claim, secret: str | None, now: float) -> leases.Granted:
    return leases.register(found.get(claim.key), found.values(), claim, secret, now)


def held(*claims: Claim, now: float = 0.0) -> tuple[dict[Key, Lease], dict[Key, str]]:
    found: dict[Key, Lease] = {}
    told: dict[Key, str] = {}
    for claim in claims:
        granted = register(found, claim, None, now)
        found[claim.key] = granted.lease
        told[claim.key] = granted.secret or ""
    return found, told


def many(count: int, expires_at: float) -> list[Lease]:
    return [
        Lease(Claim("shop", f"{n:032x}", "shop", "10.0.0.7", 8000 + n), b"", expires_at) for n in range(count)
    ]


def test_the_first_registration_tells_a_secret_and_stores_only_its_hash() -> None:
    granted = register({}, CLAIM, None, 100.0)
    assert granted.secret is not None
    assert granted.lease.expires_at == 130.0
    assert granted.secret.encode() not in granted.lease.secret_hash
    assert granted.secret not in repr(granted)
    assert granted.lease.state is State.UP


def test_a_renewal_needs_the_secret_of_the_lease() -> None:
    found, told = held(CLAIM)
    renewed = register(found, CLAIM, told[CLAIM.key], 10.0)
    assert renewed.secret is None
    assert renewed.lease.expires_at == 40.0
    for wrong in (None, "", "guess"):
        with pytest.raises(Forbidden):
            register(found, CLAIM, wrong, 10.0)


def test_a_ghost_of_an_older_generation_is_refused_even_with_its_old_secret() -> None:
    found, told = held(CLAIM)
    successor = replace(CLAIM, generation=6)
    granted = register(found, successor, None, 1.0)
    assert granted.secret
    found[CLAIM.key] = granted.lease
    with pytest.raises(Conflict):
        register(found, CLAIM, told[CLAIM.key], 2.0)
    with pytest.raises(Forbidden):
        leases.check_release(found[CLAIM.key], "shop", told[CLAIM.key])


def test_a_successor_at_the_same_address_displaces_the_ghost_which_cannot_come_back() -> None:
    found, told = held(CLAIM)
    successor = replace(CLAIM, instance="b" * 32, generation=9)
    granted = register(found, successor, None, 1.0)
    assert granted.displaced == (CLAIM.key,)
    after = {successor.key: granted.lease}
    with pytest.raises(Conflict):
        register(after, CLAIM, told[CLAIM.key], 2.0)


def test_an_address_that_another_identity_leases_is_refused_until_it_expires() -> None:
    found, _ = held(CLAIM)
    thief = Claim("thief", "c" * 32, "thief", CLAIM.host, CLAIM.port, generation=99)
    with pytest.raises(Conflict):
        register(found, thief, None, 1.0)
    found[CLAIM.key] = leases.sweep(found.values(), 31.0).expired[0]
    assert register(found, thief, None, 32.0).displaced == (CLAIM.key,)


def test_an_address_at_which_another_service_answers_was_dealt_anew_and_keeps_nobody_out() -> None:
    found, told = held(CLAIM)
    found[CLAIM.key] = leases.misplaced(found[CLAIM.key])
    assert found[CLAIM.key].state is State.DOWN
    heir = Claim("heir", "c" * 32, "heir", CLAIM.host, CLAIM.port, generation=1)
    assert register(found, heir, None, 1.0).displaced == (CLAIM.key,)
    renewed = register(found, CLAIM, told[CLAIM.key], 2.0).lease
    assert not renewed.unproven
    assert leases.probed(renewed, well=True).state is State.UP


def test_an_instance_id_of_another_identity_is_refused() -> None:
    found, told = held(CLAIM)
    with pytest.raises(Forbidden):
        register(found, replace(CLAIM, identity="other"), told[CLAIM.key], 1.0)
    with pytest.raises(Forbidden):
        leases.check_release(found[CLAIM.key], "other", told[CLAIM.key])


def test_giving_up_needs_the_secret() -> None:
    found, told = held(CLAIM)
    with pytest.raises(Forbidden):
        leases.check_release(found[CLAIM.key], "shop", "guess")
    leases.check_release(found[CLAIM.key], "shop", told[CLAIM.key])


def test_a_lease_that_is_not_renewed_expires_and_is_forgotten_later() -> None:
    [lease] = many(1, 30.0)
    assert leases.sweep([lease], 29.9) == leases.Sweep()
    [expired] = leases.sweep([lease], 30.0).expired
    assert expired.state is State.EXPIRED
    assert leases.sweep([expired], 31.0) == leases.Sweep()
    assert leases.sweep([expired], 331.0).forgotten == (lease.claim.key,)


def test_a_late_renewal_revives_an_expired_lease() -> None:
    found, told = held(CLAIM)
    found[CLAIM.key] = leases.sweep(found.values(), 31.0).expired[0]
    assert register(found, CLAIM, told[CLAIM.key], 40.0).lease.state is State.UP


def test_mass_expiry_waits_for_a_probe_and_a_small_one_does_not() -> None:
    late, alive = many(3, 30.0), many(3, 90.0)
    assert len(leases.sweep([*late, *alive], 31.0).suspects) == 3
    assert len(leases.sweep([*late[:2]], 31.0).expired) == 2
    assert len(leases.sweep([*late, *many(4, 90.0)], 31.0).expired) == 3


def test_a_suspect_that_answers_gets_one_more_lease_and_a_silent_one_has_expired() -> None:
    [lease] = many(1, 30.0)
    assert leases.confirmed(lease, True, 31.0).expires_at == 61.0
    assert leases.confirmed(lease, False, 31.0).state is State.EXPIRED


def test_a_restart_gives_every_stored_lease_one_full_lease() -> None:
    [lease] = many(1, 30.0)
    restored = leases.restored(replace(lease, failures=2), 1000.0)
    assert restored == replace(lease, expires_at=1030.0, unproven=True)
    assert restored.state is State.UP


def test_a_restored_lease_keeps_nobody_out_of_its_address_until_it_is_renewed() -> None:
    found, told = held(CLAIM)
    found[CLAIM.key] = leases.probed(leases.restored(found[CLAIM.key], 1000.0), True)
    newcomer = Claim("other", "c" * 32, "other", CLAIM.host, CLAIM.port, generation=1)
    assert register(found, newcomer, None, 1001.0).displaced == (CLAIM.key,)
    found[CLAIM.key] = register(found, CLAIM, told[CLAIM.key], 1002.0).lease
    with pytest.raises(Conflict):
        register(found, newcomer, None, 1003.0)


def test_a_restored_lease_still_keeps_a_ghost_of_its_service_out() -> None:
    found, _ = held(CLAIM)
    found[CLAIM.key] = leases.restored(found[CLAIM.key], 1000.0)
    with pytest.raises(Conflict):
        register(found, replace(CLAIM, instance="b" * 32, generation=4), None, 1001.0)


def test_two_failed_probes_are_down_and_one_good_one_is_up_again() -> None:
    [lease] = many(1, 30.0)
    once = leases.probed(lease, False)
    assert once.state is State.UP
    twice = leases.probed(once, False)
    assert twice.state is State.DOWN
    assert leases.probed(twice, True).state is State.UP


def test_a_draining_instance_says_so_and_an_ipv6_address_is_bracketed() -> None:
    [lease] = many(1, 30.0)
    assert replace(lease, claim=replace(lease.claim, draining=True)).state is State.DRAINING
    assert replace(CLAIM, host="fd00::1").url == "http://[fd00::1]:8000"


@pytest.mark.parametrize(
    "weakened", [leases.lost, leases.misplaced, lambda lease: leases.restored(lease, 1.0)]
)
def test_a_ghost_that_names_no_generation_displaces_no_successor_before_that_ones_lease_has_run_out(
    weakened: Callable[[Lease], Lease],
) -> None:
    """Neither one that is down, nor after a restart of the gateway, nor by renewing late what it had."""
    nameless = replace(CLAIM, generation=0)
    found, told = held(nameless)
    ghost = found.pop(CLAIM.key)
    successor = replace(nameless, instance="b" * 32)
    granted = register(found, successor, None, 2.0)
    found[successor.key] = weakened(granted.lease)
    with pytest.raises(Conflict):
        register(found, nameless, None, 3.0)
    with pytest.raises(Conflict):
        register({**found, CLAIM.key: replace(ghost, expired=True)}, nameless, told[CLAIM.key], 3.0)
    assert register(found, successor, granted.secret, 4.0).secret is None
    found[successor.key] = replace(granted.lease, expired=True)
    assert register(found, nameless, None, 40.0).displaced == (successor.key,)


def test_of_two_of_one_generation_a_ghost_does_not_displace_its_successor() -> None:
    found, told = held(CLAIM)
    equal = replace(CLAIM, instance="b" * 32)
    with pytest.raises(Conflict):
        register(found, equal, None, 1.0)
    # What is down gives way, and then is the ghost.
    found[CLAIM.key] = leases.lost(found[CLAIM.key])
    after = {equal.key: register(found, equal, None, 2.0).lease}
    with pytest.raises(Conflict):
        register(after, CLAIM, told[CLAIM.key], 3.0)

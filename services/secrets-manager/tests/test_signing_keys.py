from hypothesis import given
from hypothesis import strategies as st
from secrets_manager.signing_keys import LEAD_SECONDS, TOKEN_SECONDS, published, signer, turn_over

LEEWAY = 30


def kids(keys):
    return [key.kid for key in keys]


def test_the_first_key_signs_at_once():
    first = turn_over((), 100.0)
    assert signer(first.keys, 100.0) is first.fresh


def test_a_new_key_is_published_a_while_before_it_signs():
    old = turn_over((), 0.0)
    new = turn_over(old.keys, 1000.0)
    assert new.fresh.kid in kids(published(new.keys, 1000.0))
    assert signer(new.keys, 1000.0 + LEAD_SECONDS - 1).kid == old.fresh.kid
    assert signer(new.keys, 1000.0 + LEAD_SECONDS).kid == new.fresh.kid


def test_rotating_while_a_key_is_announced_changes_nothing():
    once = turn_over(turn_over((), 0.0).keys, 1000.0)
    twice = turn_over(once.keys, 1010.0)
    assert twice.keys == once.keys
    assert twice.fresh is once.fresh


def test_an_emergency_leaves_one_key_which_signs():
    keys = turn_over(turn_over((), 0.0).keys, 1000.0).keys
    after = turn_over(keys, 1001.0, emergency=True)
    assert kids(published(after.keys, 1001.0)) == [after.fresh.kid] == [signer(after.keys, 1001.0).kid]


@given(st.lists(st.floats(0, 5000), max_size=8), st.floats(0, 40_000))
def test_whatever_is_rotated_when_every_living_token_has_its_key_published(moments, signed_at):
    now, keys = 0.0, turn_over((), 0.0).keys
    history = []
    for pause in moments:
        history.append((now, keys))
        now += pause
        keys = turn_over(keys, now).keys
    history.append((now, keys))
    known = [each for since, each in history if since <= signed_at][-1]
    kid = signer(known, signed_at).kid
    for since, each in history:
        for moment in (signed_at, signed_at + TOKEN_SECONDS + LEEWAY - 1):
            if since <= moment:
                in_force = [k for s, k in history if s <= moment][-1]
                assert kid in kids(published(in_force, moment)), (since, each)


def test_a_key_does_not_print_itself():
    assert "private" not in repr(turn_over((), 0.0).fresh).lower()


def test_a_clock_before_all_keys_leaves_nobody_without_a_signature():
    """The clock was ahead when the keys were made, and has been set right."""
    first = turn_over((), 5000.0)
    both = turn_over(first.keys, 5100.0)
    assert signer(both.keys, 100.0).kid == first.fresh.kid
    assert first.fresh.kid in kids(published(both.keys, 100.0))

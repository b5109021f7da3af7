import pytest
from secrets_manager.reconciliation import Found, Step, Wanted, parse_wanted, plan


def test_services_and_their_keys_are_read():
    assert parse_wanted("notification:DATA_KEY two_factor:DATA_KEY action") == (
        Wanted("notification", ("DATA_KEY",)),
        Wanted("two-factor", ("DATA_KEY",)),
        Wanted("action"),
    )
    assert parse_wanted("") == ()


@pytest.mark.parametrize("raw", ["No", "a:data_key", "a:", "a a", "secrets-manager", "../x", "a:B:"])
def test_a_misspelt_list_is_refused(raw):
    with pytest.raises(ValueError, match=r"\w"):
        parse_wanted(raw)


def test_an_empty_platform_gets_everything():
    assert plan(Found(exists=False, revoked=False), None) == Step(make_identity=True, make_key=True)


def test_what_is_there_stays():
    assert plan(Found(True, False, ["k1"]), "k1") == Step(make_identity=False, make_key=False)


def test_a_file_that_is_lost_or_not_honoured_is_made_again():
    assert plan(Found(True, False, ["k1"]), None) == Step(make_identity=False, make_key=True)
    assert plan(Found(True, False, ["k2"]), "k1") == Step(make_identity=False, make_key=True)


def test_a_revoked_identity_is_not_brought_back():
    assert plan(Found(exists=True, revoked=True), None) is None

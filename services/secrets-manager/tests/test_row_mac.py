from hypothesis import given
from hypothesis import strategies as st
from secrets_manager.row_mac import RowMacs

MACS = RowMacs(b"m" * 32)
FIELDS = st.lists(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
)


def test_a_row_is_what_was_signed():
    mac = MACS.sign("identities", "ada", "operator", None, 1.5)
    assert MACS.check("identities", mac, "ada", "operator", None, 1.5)


def test_another_role_table_key_or_order_is_refused():
    mac = MACS.sign("identities", "ada", "operator")
    assert not MACS.check("identities", mac, "ada", "admin")
    assert not MACS.check("api_keys", mac, "ada", "operator")
    assert not MACS.check("identities", mac, "operator", "ada")
    assert not RowMacs(b"n" * 32).check("identities", mac, "ada", "operator")


@given(FIELDS, FIELDS)
def test_no_two_rows_share_a_code(one, other):
    same = [(type(field), field) for field in one] == [(type(field), field) for field in other]
    assert (MACS.sign("t", *one) == MACS.sign("t", *other)) == (same and str(one) == str(other))

import pytest
from secrets_manager.api_keys import ApiKey


def test_a_key_reads_back_and_matches_its_hash_alone():
    key = ApiKey.generate()
    assert ApiKey.parse(key.reveal()) == key
    assert key.matches(key.hash)
    assert not ApiKey.generate().matches(key.hash)


def test_a_key_does_not_print_itself():
    key = ApiKey.generate()
    assert key.secret not in repr(key)
    assert key.secret not in f"{[key]}"


def test_the_id_is_part_of_what_is_hashed():
    key = ApiKey.generate()
    assert not ApiKey("a" * 14, key.secret).matches(key.hash)


@pytest.mark.parametrize(
    "raw", ["", "fnt_", "fnt_short_" + "A" * 43, "fnt_" + "a" * 14 + "_" + "A" * 42, "é" * 60]
)
def test_what_is_not_a_key_is_not_read_as_one(raw):
    assert ApiKey.parse(raw) is None

"""Values of secrets come by a prompt or by standard input, and are never repeated in an error."""

import io

import pytest
from fountain_cli.exits import USAGE, CommandError
from fountain_cli.values import given


def test_values_that_are_asked_for_are_lines_in_the_same_order() -> None:
    assert given(["A", "B"], stdin=False, source=io.StringIO("one\r\ntwo\nthree\n")) == {
        "A": "one",
        "B": "two",
    }


def test_a_missing_line_is_named_by_its_key() -> None:
    with pytest.raises(CommandError, match="value for B") as refused:
        given(["A", "B"], stdin=False, source=io.StringIO("one\n"))
    assert refused.value.status == USAGE
    assert "one" not in str(refused.value)


def test_a_json_object_may_hold_values_of_several_lines() -> None:
    assert given([], stdin=True, source=io.StringIO('{"KEY": "a\\nb"}')) == {"KEY": "a\nb"}


@pytest.mark.parametrize("text", ["s3cret", '["s3cret"]', '{"KEY": 5}', "{}", ""])
def test_what_is_no_object_of_strings_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(CommandError) as refused:
        given([], stdin=True, source=io.StringIO(text))
    assert "s3cret" not in str(refused.value)


def test_nothing_is_read_where_nothing_is_given() -> None:
    source = io.StringIO("left\n")
    assert given([], stdin=False, source=source) == {}
    assert source.read() == "left\n"

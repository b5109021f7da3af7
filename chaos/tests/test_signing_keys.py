"""What is said of signing keys that were given, and of the tokens that they signed."""

import pytest

from chaos.history import NewSigningKey, Token
from chaos.invariants import signing_keys_turn

FIRST, SECOND = NewSigningKey("first", 60.0, was_published=True), NewSigningKey("second", 200.0)


def judge(*tokens: Token, published: tuple[str, ...] = ("first", "second"), now: float = 300.0) -> list[str]:
    return [one.detail for one in signing_keys_turn([FIRST, FIRST, SECOND], tokens, published, now)]


def test_keys_that_take_turns_are_no_violation() -> None:
    assert judge(
        Token("older", 50, 51), Token("older", 59.5, 60.5), Token("first", 59.5, 60.5),
        Token("first", 70, 71), Token("first", 199.5, 201), Token("second", 199.5, 201),
        Token("second", 202, 203),
    ) == []  # fmt: skip


@pytest.mark.parametrize(
    ("token", "said"),
    [
        (Token("older", 70, 71), "older signs at 70.00, after its successor has begun"),
        (Token("first", 210, 211), "first signs at 210.00, after its successor has begun"),
        (Token("first", 30, 31), "first signs at 31.00, before its moment"),
        (Token("second", 150, 151), "second signs at 151.00, before its moment"),
    ],
)
def test_a_key_that_signs_outside_its_time_is_found(token: Token, said: str) -> None:
    assert judge(token) == [said]


@pytest.mark.parametrize("missing", ["first", "second"])
def test_a_key_that_is_gone_while_its_tokens_live_is_found(missing: str) -> None:
    left = tuple({"first", "second"} - {missing})
    assert judge(published=left) == [f"{missing} is not published, and its tokens live"]


def test_a_key_may_go_once_its_tokens_are_dead() -> None:
    assert judge(published=("second",), now=200 + 900) == []


def test_a_key_that_signs_unseen_is_found_and_one_that_nobody_could_look_for_is_not() -> None:
    hidden = NewSigningKey("hidden", 60.0, was_published=False)
    unknown = NewSigningKey("hidden", 60.0, was_published=None)
    assert [one.detail for one in signing_keys_turn([hidden], [], ["hidden"], 70)] == [
        "hidden was given and is not published"
    ]
    assert signing_keys_turn([unknown], [], ["hidden"], 70) == []

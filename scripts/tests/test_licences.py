from email.message import Message
from pathlib import Path

import pytest
from check_licences import named, rows
from licences import EXCEPTIONS, UNKNOWN, is_allowed, licence_of, problem

ROOT = Path(__file__).parents[2]


def metadata(**fields: str | list[str]) -> Message:
    message = Message()
    for name, value in fields.items():
        for one in [value] if isinstance(value, str) else value:
            message[name.replace("_", "-")] = one
    return message


def test_everything_that_gets_into_an_image_may_be_handed_out() -> None:
    found = list(rows(named(ROOT)))
    assert len(found) > 40
    assert [wrong for *_, wrong in found if wrong] == []


def test_every_exception_is_of_something_that_is_there_and_has_a_reason() -> None:
    there = {name for name, _ in named(ROOT)}
    assert set(EXCEPTIONS) <= there
    assert all(reason.endswith(".") for _, reason in EXCEPTIONS.values())


@pytest.mark.parametrize(
    ("fields", "licence"),
    [
        ({"License_Expression": "MIT OR Apache-2.0", "License": "other"}, "MIT OR Apache-2.0"),
        ({"Classifier": ["Topic :: X", "License :: OSI Approved :: MIT License"]}, "MIT"),
        ({"License": "whatever", "Classifier": "License :: OSI Approved :: BSD License"}, "LicenseRef-BSD"),
        ({"License": "MIT License"}, "MIT"),
        ({"License": "ISC", "Classifier": "License :: OSI Approved"}, "ISC"),
        ({"License": "as is, ask me"}, UNKNOWN),
        ({}, UNKNOWN),
    ],
)
def test_a_licence_is_read_from_where_it_is_said(fields: dict[str, str | list[str]], licence: str) -> None:
    assert licence_of(metadata(**fields)) == licence


def test_two_classifiers_must_both_be_kept() -> None:
    both = metadata(Classifier=["License :: OSI Approved :: MIT License", "License :: Other/Proprietary"])
    assert not is_allowed(licence_of(both))


@pytest.mark.parametrize("expression", ["MIT", "GPL-3.0-only OR MIT", "(MIT OR ISC) AND Apache-2.0"])
def test_what_can_be_kept_with_allowed_licences_is_allowed(expression: str) -> None:
    assert is_allowed(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "GPL-3.0-only",
        "MIT AND AGPL-3.0-only",
        "GPL-2.0-only WITH Classpath-exception-2.0",
        "",
        "(",
        UNKNOWN,
    ],
)
def test_anything_else_is_not(expression: str) -> None:
    assert not is_allowed(expression)
    assert problem("a", expression)


def test_an_exception_is_for_one_licence() -> None:
    assert problem("Certifi", "MPL-2.0") is None
    assert "exception" in (problem("certifi", "GPL-3.0-only") or "")

"""A page of settings that says something else than the class is found, in words that say what to do."""

from typing import Annotated

import pytest
from fountain_common.settings import ServiceSettings
from fountain_common.testing import misdocumented_settings
from pydantic import Field, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(populate_by_name=True)
    service_name: str = "orders"
    port: int = 8001
    seconds: float = Field(default=30, gt=0)
    retries: int = 0
    colour: str = "none"
    hosts: Annotated[tuple[str, ...], NoDecode] = ("a", "b")
    networks: Annotated[tuple[str, ...], NoDecode] = ()
    address: Annotated[str, Field(validation_alias="FOUNTAIN_SHOP_URL")] = "http://s"

    @field_validator("hosts", "networks", mode="before")
    @classmethod
    def _split(cls, raw: object) -> object:
        return tuple(raw.split()) if isinstance(raw, str) else raw


PAGE = """# Settings

## Every service

| `FOUNTAIN_PORT` | `8000` | The port. |

## orders

| variable | default | what it says |
|---|---|---|
| `FOUNTAIN_SECONDS` | `30` | How long. |
| `FOUNTAIN_RETRIES` | `0` | How often. |
| `FOUNTAIN_COLOUR` | `none` | The name of a colour. |
| `FOUNTAIN_HOSTS` | `a b` | Where to. |
| `FOUNTAIN_NETWORKS` | none | Where else. |
| `FOUNTAIN_SHOP_URL` | `http://s` | From where. |

## stories

| `FOUNTAIN_TELLERS` | `1` | Not of this service. |
"""


def test_a_page_that_says_what_the_class_does_is_right() -> None:
    assert misdocumented_settings(Settings, PAGE) == []


@pytest.mark.parametrize(
    ("said", "instead", "sentence"),
    [
        ("`FOUNTAIN_SECONDS`", "FOUNTAIN_SECONDS", "FOUNTAIN_SECONDS has no row in the section '## orders'."),
        ("`FOUNTAIN_SHOP_URL`", "`FOUNTAIN_ADDRESS`", "FOUNTAIN_ADDRESS has a row and is no setting."),
        ("`30`", "`31`", "FOUNTAIN_SECONDS is `31` in the page, and 30 in the class."),
        ("`30`", "none", "FOUNTAIN_SECONDS is none in the page, and 30 in the class."),
        ("`0`", "none", "FOUNTAIN_RETRIES is none in the page, and 0 in the class."),
        ("`none`", "none", "FOUNTAIN_COLOUR is none in the page, and 'none' in the class."),
        ("`a b`", "`a`", "FOUNTAIN_HOSTS is `a` in the page, and ('a', 'b') in the class."),
        ("| none |", "| `c` |", "FOUNTAIN_NETWORKS is `c` in the page, and () in the class."),
        (
            "`http://s`",
            "`http://b`",
            "FOUNTAIN_SHOP_URL is `http://b` in the page, and 'http://s' in the class.",
        ),
        ("`30`", "`-1`", "The defaults of the page are refused: seconds: Input should be greater than 0."),
        ("## orders", "## others", "The page has no section '## orders'."),
    ],
)
def test_what_the_page_says_otherwise_is_told(said: str, instead: str, sentence: str) -> None:
    assert PAGE.count(said) == 1
    assert sentence in misdocumented_settings(Settings, PAGE.replace(said, instead))


def test_what_is_set_where_the_tests_run_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOUNTAIN_SECONDS", "31")
    monkeypatch.setenv("FOUNTAIN_NETWORKS", "elsewhere")
    assert misdocumented_settings(Settings, PAGE) == []
    assert Settings(_env_file=None).seconds == 31

"""The page of settings says what the class does."""

from pathlib import Path

from action.settings import Settings
from fountain_common import ServiceSettings
from fountain_common.testing import misdocumented_settings

PAGE = Path(__file__).parents[3] / "docs" / "settings.md"


def test_it_has_no_setting_of_its_own_and_the_page_says_so() -> None:
    assert Settings.model_fields.keys() == ServiceSettings.model_fields.keys()
    assert misdocumented_settings(Settings, PAGE.read_text()) == []
    section = PAGE.read_text().split("\n## action\n")[1].split("\n## ")[0]
    assert "nothing besides" in section

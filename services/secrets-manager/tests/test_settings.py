"""The page of settings says what the class does."""

from pathlib import Path

from fountain_common.testing import misdocumented_settings
from secrets_manager.settings import Settings

PAGE = Path(__file__).parents[3] / "docs" / "settings.md"


def test_every_setting_is_documented_with_its_default() -> None:
    assert misdocumented_settings(Settings, PAGE.read_text()) == []

"""The page of settings says what the class does."""

import re
from pathlib import Path

import pytest
from fountain_common.settings import ServiceSettings
from notification.settings import Settings

PAGE = Path(__file__).parents[3] / "docs" / "settings.md"


def _documented() -> dict[str, str]:
    section = PAGE.read_text().split("\n## notification\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(FOUNTAIN_[A-Z_]+)` \| (.*?) \|", section, re.MULTILINE)
    return {name: "" if default == "none" else default.strip("`") for name, default in rows}


def test_every_setting_is_documented_with_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    own = {
        str(field.validation_alias or f"FOUNTAIN_{name.upper()}"): (name, field.default)
        for name, field in Settings.model_fields.items()
        if name not in ServiceSettings.model_fields
    }
    documented = _documented()
    assert set(documented) == set(own)
    for variable, said in documented.items():
        if said:
            monkeypatch.setenv(variable, said)
    assert {name for name, said in documented.items() if not said} == {
        name for name, (_, default) in own.items() if not default
    }
    settings = Settings()
    for name, default in own.values():
        assert getattr(settings, name) == default, f"{name} has another default"

"""The page of settings says what the class does."""

from pathlib import Path

import pytest
from fountain_common.settings import EXIT_CONFIG, load
from fountain_common.testing import misdocumented_settings
from secrets_manager.settings import Settings

PAGE = Path(__file__).parents[3] / "docs" / "settings.md"


def test_every_setting_is_documented_with_its_default() -> None:
    assert misdocumented_settings(Settings, PAGE.read_text()) == []


@pytest.mark.parametrize(
    "address", ["https://openbao:8200", "http://127.0.0.1:8200", "http://[::1]:8200", "http://localhost:8200"]
)
def test_the_key_ring_goes_to_openbao_encrypted_or_not_off_the_machine(monkeypatch, address):
    monkeypatch.setenv("FOUNTAIN_OPENBAO_ADDRESS", address)
    assert load(Settings).openbao_address == address


@pytest.mark.parametrize(
    "address",
    [
        "http://openbao:8200",
        "HTTP://openbao:8200",
        "http://10.0.0.7:8200",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
        "http://127.0.0.1@openbao:8200",
    ],
)
def test_an_address_of_openbao_without_encryption_stops_the_start(monkeypatch, capsys, address):
    monkeypatch.setenv("FOUNTAIN_OPENBAO_ADDRESS", address)
    with pytest.raises(SystemExit) as ended:
        load(Settings)
    assert ended.value.code == EXIT_CONFIG
    said = capsys.readouterr().err
    assert "FOUNTAIN_OPENBAO_ADDRESS: over http:// the key ring" in said
    assert "in plain text" in said


@pytest.mark.parametrize("address", ["openbao:8200", "openbao", "", "ftp://openbao"])
def test_what_is_no_address_of_openbao_stops_the_start(monkeypatch, capsys, address):
    monkeypatch.setenv("FOUNTAIN_OPENBAO_ADDRESS", address)
    with pytest.raises(SystemExit):
        load(Settings)
    assert "https://openbao:8200" in capsys.readouterr().err

import re
from pathlib import Path

import pytest
from fountain_common.settings import EXIT_CONFIG, ServiceSettings, load, misplaced_secrets
from pydantic_settings import SettingsConfigDict

DOCUMENT = Path(__file__).parents[2] / "docs" / "settings.md"


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_file=None)
    service_name: str = "orders"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FOUNTAIN_DOMAIN", raising=False)


def test_the_issuer_follows_the_domain_unless_it_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().issuer == "https://secrets-manager.fountain.localhost"
    monkeypatch.setenv("FOUNTAIN_DOMAIN", "fountain.coach")
    assert Settings().issuer_url == "https://secrets-manager.fountain.coach"
    monkeypatch.setenv("FOUNTAIN_ISSUER", "https://id.example/")
    assert Settings().issuer == "https://id.example"


def test_the_embedded_database_is_in_the_data_folder(tmp_path: Path) -> None:
    assert Settings(data_dir=tmp_path).effective_database_url == f"sqlite:///{tmp_path}/orders.db"


def test_each_process_has_an_instance_id_of_its_own() -> None:
    first, second = Settings().instance_id, Settings().instance_id
    assert first != second
    assert re.fullmatch("[0-9a-f]{32}", first)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FOUNTAIN_JWT_SECRET", "marker"),
        ("fountain_db_password", "marker"),
        ("FOUNTAIN_ADMIN_TOKEN", "marker"),
        ("FOUNTAIN_API_KEY", "marker"),
        ("FOUNTAIN_DATABASE_URL", "postgresql://orders:marker@db/orders"),
        ("FOUNTAIN_GATEWAY_URL", "http://me:marker@gateway"),
    ],
)
def test_a_secret_in_the_environment_stops_the_start_with_a_sentence(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as stop:
        load(Settings)
    assert stop.value.code == EXIT_CONFIG
    said = capsys.readouterr().err
    assert name.upper() in said
    assert "file" in said
    assert "marker" not in said


def test_a_secret_in_the_env_file_stops_the_start_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class WithFile(Settings):
        model_config = SettingsConfigDict(env_file=".env")

    (tmp_path / ".env").write_text("FOUNTAIN_JWT_SECRET=marker\n")
    with pytest.raises(SystemExit):
        load(WithFile)
    assert "FOUNTAIN_JWT_SECRET" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FOUNTAIN_KEK_FILE", "/kek/key"),
        ("FOUNTAIN_IDENTITY_DIR", "/run/x"),
        ("FOUNTAIN_API_KEY", ""),
        ("JWT_SECRET", "somebody else's"),
        ("FOUNTAIN_SERVICES", "notification:DATA_KEY gateway-lookup"),
        ("FOUNTAIN_DATABASE_URL", "postgresql://orders@db/orders"),
    ],
)
def test_what_only_looks_like_a_secret_is_let_through(name: str, value: str) -> None:
    assert misplaced_secrets({name: value}) == []


def test_wrong_settings_are_told_in_plain_sentences(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FOUNTAIN_PORT", "many")
    monkeypatch.setenv("FOUNTAIN_LOG_LEVEL", "LOUD")
    with pytest.raises(SystemExit) as stop:
        load(Settings)
    assert stop.value.code == EXIT_CONFIG
    said = capsys.readouterr().err
    assert "FOUNTAIN_PORT" in said
    assert "FOUNTAIN_LOG_LEVEL" in said
    assert "Traceback" not in said


def test_the_database_password_is_read_anew_each_time(tmp_path: Path) -> None:
    file = tmp_path / "password"
    settings = Settings(database_password_file=file)
    assert settings.database_password() is None
    file.write_text("one\n")
    assert settings.database_password() == "one"
    file.write_text("two\n")
    assert settings.database_password() == "two"


def test_every_setting_is_documented_and_every_documented_one_exists() -> None:
    documented = dict(re.findall(r"^\| `FOUNTAIN_([A-Z_]+)` \| (.*?) \|", DOCUMENT.read_text(), re.MULTILINE))
    fields = {name.upper(): field for name, field in ServiceSettings.model_fields.items()}
    common = DOCUMENT.read_text().split("## Every service")[1].split("\n## ")[0]
    named = set(re.findall(r"^\| `FOUNTAIN_([A-Z_]+)`", common, re.MULTILINE))
    assert named == set(fields)
    for name, field in fields.items():
        if field.default_factory is None and not field.is_required() and field.default != "":
            assert str(field.default) in documented[name], f"{name} has another default"

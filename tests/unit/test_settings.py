"""Settings, their errors, and what they never show."""

from pathlib import Path

import pytest

from aisha import settings
from aisha.errors import SettingsError
from aisha.settings import MIB, Settings, variable

SECRETS = {
    "AISHA_BOT_TOKEN": "123456789:AAH-this-is-the-secret-token-itself0",
    "AISHA_DATABASE_URL": "postgresql://user:hidden-password@host/name",
    "AISHA_REDIS_URL": "redis://user:hidden-password@host:1/0",
    "AISHA_S3_ACCESS_KEY": "hidden-access-key",
    "AISHA_S3_SECRET_KEY": "hidden-secret-key",
}


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(variable(name), raising=False)


def test_every_setting_has_a_default_and_a_description() -> None:
    assert Settings()
    assert all(field.description for field in Settings.model_fields.values())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AISHA_BOT_TOKEN", "no token"),
        ("AISHA_BOT_TOKEN", "123456"),
        ("AISHA_BOT_API_URL", "no address"),
        ("AISHA_DATABASE_URL", "no address"),
        ("AISHA_DATABASE_URL", "mysql://host/name"),
        ("AISHA_REDIS_URL", "no address"),
        ("AISHA_DEFAULT_LANGUAGE", "xx"),
        ("AISHA_S3_ENDPOINT", "ftp://host"),
        ("AISHA_MAVEN_REPOSITORY", "host"),
        ("AISHA_MODELS_URL", "//host"),
        ("AISHA_MAX_FILE_SIZE", "20 MB"),
        ("AISHA_MAX_FILE_SIZE", "0"),
        ("AISHA_MAX_FILE_SIZE", "-1"),
        ("AISHA_MAX_DURATION", "four hours"),
        ("AISHA_MAX_DURATION", "0"),
        ("AISHA_CONCURRENCY", "0"),
        ("AISHA_CONCURRENCY", "1.5"),
        ("AISHA_WEB_PORT", "65536"),
        ("AISHA_HEALTH_PORT", "-1"),
        ("AISHA_WORKER_METRICS_PORT", "http"),
        ("AISHA_LOG_FORMAT", "xml"),
        ("AISHA_LOG_LEVEL", "loud"),
    ],
)
def test_a_malformed_value_is_refused_by_its_variable(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name):
        settings.load()


def test_every_malformed_value_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AISHA_WEB_PORT", "x")
    monkeypatch.setenv("AISHA_LOG_LEVEL", "x")
    with pytest.raises(SettingsError, match=r"AISHA_WEB_PORT.*AISHA_LOG_LEVEL"):
        settings.load()


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AISHA_WEB_PORT", "")
    monkeypatch.setenv("AISHA_BOT_TOKEN", "")
    assert settings.load().web_port == 8080
    assert settings.load().bot_token is None


def test_what_is_required_and_unset_is_named() -> None:
    with pytest.raises(SettingsError, match=r"AISHA_DATABASE_URL, AISHA_REDIS_URL"):
        Settings().required("database_url", "redis_url", "data_dir")
    with pytest.raises(SettingsError, match="AISHA_BOT_TOKEN"):
        Settings().secret("bot_token")


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    loaded = settings.load()
    for shown in (repr(loaded), str(loaded), str(loaded.model_dump()), loaded.model_dump_json()):
        assert not any(secret in shown for secret in ("hidden", "AAH"))
    assert loaded.secret("bot_token") == SECRETS["AISHA_BOT_TOKEN"]


def test_errors_do_not_show_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AISHA_S3_ENDPOINT", "http://user:hidden@[")
    with pytest.raises(SettingsError) as raised:
        settings.load()
    assert "hidden" not in str(raised.value)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, 20 * MIB),
        ({"bot_api_url": "https://api.telegram.org/"}, 20 * MIB),
        ({"bot_api_url": "http://localhost:8081"}, 2000 * MIB),
        ({"max_file_size": 5 * MIB}, 5 * MIB),
    ],
)
def test_the_largest_file_follows_the_bot_api_server(given: dict[str, object], expected: int) -> None:
    assert Settings.model_validate(given).file_limit == expected


def test_folders_are_absolute_and_models_lie_in_the_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AISHA_DATA_DIR", "~/data")
    assert settings.load().data_dir == Path.home() / "data"
    assert settings.load().models_path == Path.home() / "data" / "models"


def test_the_running_tree_on_the_data_folder_lends_its_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "environment").write_text("AISHA_DATABASE_URL=postgresql://its/own\n")
    monkeypatch.setenv("AISHA_DATA_DIR", str(tmp_path))
    assert settings.load_running().secret("database_url") == "postgresql://its/own"
    monkeypatch.setenv("AISHA_DATABASE_URL", "postgresql://mine")
    assert settings.load_running().secret("database_url") == "postgresql://mine"

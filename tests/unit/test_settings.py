"""Settings, their errors, and what they never show."""

from pathlib import Path
from urllib.parse import quote_plus

import pytest
from pydantic import SecretStr
from tests.integration.tls.terminator import Authority

from aisha import settings
from aisha.errors import SettingsError
from aisha.settings import MIB, Settings, variable

SECRETS = {
    "AISHA_BOT_TOKEN": "123456789:AAH-this-is-the-secret-token-itself0",
    "AISHA_DATABASE_URL": "postgresql://user:hidden-password@host/name",
    "AISHA_REDIS_URL": "redis://user:hidden-password@host:1/0",
    "AISHA_WEBHOOK_SECRET": "hidden-webhook-secret",
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
        ("AISHA_BOT_MODE", "pushing"),
        ("AISHA_WEBHOOK_URL", "no address"),
        ("AISHA_WEBHOOK_SECRET", "two words"),
        ("AISHA_WEBHOOK_SECRET", "x" * 257),
        ("AISHA_WEBHOOK_IP", "bot.example"),
        ("AISHA_WEBHOOK_CERTIFICATE", "/no/such/file"),
        ("AISHA_WEBHOOK_CERTIFICATE", "/"),
        ("AISHA_WEBHOOK_PORT", "0"),
        ("AISHA_DRAIN_SECONDS", "-1"),
        ("AISHA_CA_FILE", "/no/such/file"),
        ("AISHA_SECRETS_DIR", "/no/such/folder"),
        ("AISHA_DEFAULT_LANGUAGE", "xx"),
        ("AISHA_S3_ENDPOINT", "ftp://host"),
        ("AISHA_MAVEN_REPOSITORY", "host"),
        ("AISHA_MODELS_URL", "//host"),
        ("AISHA_MAX_FILE_SIZE", "20 MB"),
        ("AISHA_MAX_FILE_SIZE", "0"),
        ("AISHA_MAX_FILE_SIZE", "-1"),
        ("AISHA_MAX_DURATION", "four hours"),
        ("AISHA_MAX_DURATION", "0"),
        ("AISHA_MEDIA_MEMORY_MIB", "15"),
        ("AISHA_MEDIA_SECONDS", "0"),
        ("AISHA_SPOOL_DIR", "/no/such/folder"),
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


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no certificate in"),
        (b"\x30\x82\xff", "no certificate in"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n", "no certificate in"),
        (b"-----BEGIN EC PRIVATE KEY-----\n", "a private key in"),
    ],
)
def test_what_telegram_is_not_to_be_sent_as_a_certificate_is_refused_with_the_remedy(
    content: bytes, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = Authority(tmp_path).file
    monkeypatch.setenv("AISHA_WEBHOOK_CERTIFICATE", str(file))
    assert settings.load().webhook_certificate == file
    file.write_bytes(content)
    with pytest.raises(
        SettingsError, match=f"AISHA_WEBHOOK_CERTIFICATE: .*{reason} {file}.*; name a PEM file"
    ):
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


def test_every_secret_can_come_from_a_file_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SECRETS.items():
        (tmp_path / name).write_text(value + "\n")
    monkeypatch.setenv("AISHA_SECRETS_DIR", str(tmp_path))
    loaded = settings.load()
    kept = {name: loaded.secret(name.removeprefix("AISHA_").lower()) for name in SECRETS}
    assert kept == SECRETS
    assert set(SECRETS) == {
        variable(n) for n, f in Settings.model_fields.items() if f.annotation == SecretStr | None
    }


def test_the_environment_goes_before_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "AISHA_S3_SECRET_KEY").write_text("from-the-file")
    monkeypatch.setenv("AISHA_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("AISHA_S3_SECRET_KEY", "from-the-environment")
    assert settings.load().secret("s3_secret_key") == "from-the-environment"


def test_a_malformed_secret_file_is_named_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "AISHA_BOT_TOKEN").write_text("hidden token")
    monkeypatch.setenv("AISHA_SECRETS_DIR", str(tmp_path))
    with pytest.raises(SettingsError, match="AISHA_BOT_TOKEN") as raised:
        settings.load()
    assert "hidden" not in str(raised.value)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("postgresql://h/n", "postgresql://h/n?sslmode=verify-full&sslrootcert=CA"),
        ("postgresql://h/n?sslmode=require", "postgresql://h/n?sslmode=require&sslrootcert=CA"),
        (
            "postgresql://h/n?sslmode=verify-ca&sslrootcert=x",
            "postgresql://h/n?sslmode=verify-ca&sslrootcert=x",
        ),
    ],
)
def test_with_an_own_authority_the_database_must_prove_its_name(
    address: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AISHA_DATABASE_URL", address)
    assert settings.load().database_address == address
    authority = tmp_path / "ca.crt"
    authority.touch()
    monkeypatch.setenv("AISHA_CA_FILE", str(authority))
    assert settings.load().database_address == expected.replace("CA", quote_plus(str(authority)))


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
        ({"bot_api_url": "http://localhost:8081", "stored_bytes_per_user": 100 * MIB}, 100 * MIB),
    ],
)
def test_the_largest_file_follows_the_bot_api_server(given: dict[str, object], expected: int) -> None:
    assert Settings.model_validate(given).file_limit == expected


@pytest.mark.parametrize("limit", ["stored_bytes", "stored_bytes_per_user"])
def test_a_file_that_storage_could_never_hold_is_refused_at_start(
    limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AISHA_MAX_FILE_SIZE", str(5 * MIB))
    monkeypatch.setenv(variable(limit), str(5 * MIB - 1))
    with pytest.raises(SettingsError, match=f"{variable(limit)}: .*AISHA_MAX_FILE_SIZE"):
        settings.load()


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


def test_a_refusal_is_our_own_sentence_without_the_librarys_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AISHA_DEFAULT_LANGUAGE", "xx")
    monkeypatch.setenv("AISHA_WEB_PORT", "x")
    with pytest.raises(SettingsError) as raised:
        settings.load()
    assert "Value error" not in str(raised.value)
    assert "AISHA_DEFAULT_LANGUAGE: no language of the catalogue" in str(raised.value)


@pytest.mark.parametrize(
    ("misspelt", "meant"),
    [
        ("AISHA_BOT_TOKN", "AISHA_BOT_TOKEN"),
        ("AISHA_TOKEN", "AISHA_BOT_TOKEN"),
        ("AISHA_DEFAULT_LANG", "AISHA_DEFAULT_LANGUAGE"),
        ("AISHA_DATABASEURL", "AISHA_DATABASE_URL"),
        ("AISHA_MAX_FILESIZE", "AISHA_MAX_FILE_SIZE"),
        ("AISHA_MODEL_DIR", "AISHA_MODELS_DIR"),
    ],
)
def test_a_misspelt_variable_stops_with_the_nearest_name(
    misspelt: str, meant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(misspelt, "anything")
    with pytest.raises(SettingsError, match=f"{misspelt}: there is no such setting; did you mean {meant}\\?"):
        settings.load()


def test_a_misspelt_file_of_a_secret_stops_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "AISHA_S3_SECRETKEY").write_text("hidden")
    (tmp_path / "README").touch()
    monkeypatch.setenv("AISHA_SECRETS_DIR", str(tmp_path))
    with pytest.raises(SettingsError, match="did you mean AISHA_S3_SECRET_KEY"):
        settings.load()


def test_a_variable_like_no_setting_stops_with_where_the_settings_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AISHA_QQQ", "1")
    with pytest.raises(SettingsError, match=r"AISHA_QQQ: there is no such setting; docs/settings.md"):
        settings.load()


def test_variables_of_other_programs_and_of_other_readers_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AISHA_SANDBOX_TOKEN", "AISHA_VAULT_PASSWORD", "AISHA_PRELOADED", "MY_AISHA_TOKEN"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("aisha_web_port", "8090")
    assert settings.load().web_port == 8090


def test_where_nothing_has_run_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AISHA_DATA_DIR", str(tmp_path))
    with pytest.raises(SettingsError, match=f"nothing is running on {tmp_path}: start it with `aisha run`"):
        settings.load_running()

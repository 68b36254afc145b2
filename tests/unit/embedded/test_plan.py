"""What `aisha run` decides before anything runs."""

from pathlib import Path

import pytest

from aisha.errors import SettingsError
from aisha.settings import Settings
from aisha_embedded.plan import AppPorts, Plan, wanted_services
from aisha_embedded.process import Spec


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"AISHA_{name.upper()}", raising=False)


def words(*arguments: str) -> list[str]:
    return list(arguments)


async def later() -> dict[str, str]:
    return {}


def app(made: Plan) -> list[Spec]:
    coming = later()
    coming.close()
    return made.app(coming)


def plan(settings: Settings, token: str | None = None) -> Plan:
    return Plan(settings, AppPorts(8080, 8081, 8082), token, words, words)


def test_every_service_is_embedded_unless_a_setting_replaces_it() -> None:
    assert wanted_services(Settings()) == {"postgres", "redis", "s3"}
    assert wanted_services(Settings(database_url="postgresql://x")) == {"redis", "s3"}
    assert wanted_services(Settings(redis_url="redis://x")) == {"postgres", "s3"}


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"s3_endpoint": "http://x"}, "AISHA_S3_ACCESS_KEY, AISHA_S3_SECRET_KEY"),
        ({"s3_access_key": "k"}, "AISHA_S3_ENDPOINT"),
        ({"bot_api_url": "http://x"}, "AISHA_BOT_TOKEN"),
    ],
)
def test_half_of_a_replacement_is_refused_by_name(given: dict[str, str], missing: str) -> None:
    with pytest.raises(SettingsError, match=missing):
        wanted_services(Settings(**given))


def test_without_a_token_the_bot_talks_to_the_sandbox() -> None:
    made = plan(Settings(), "1:t")
    env = made.environment({"AISHA_REDIS_URL": "redis://x"})
    assert [spec.name for spec in app(made)] == ["sandbox", "bot", "worker"]
    assert env["AISHA_BOT_TOKEN"] == env["AISHA_SANDBOX_TOKEN"] == "1:t"
    assert env["AISHA_BOT_API_URL"] == made.address == "http://127.0.0.1:8080"
    assert env["AISHA_REDIS_URL"] == "redis://x"


def test_with_a_token_there_is_no_sandbox_and_the_address_is_the_bots_health() -> None:
    made = plan(Settings(bot_token="2:t"))
    env = made.environment({})
    assert [spec.name for spec in app(made)] == ["bot", "worker"]
    assert made.address == "http://127.0.0.1:8081"
    assert "AISHA_BOT_API_URL" not in env


def test_no_secret_is_an_argument() -> None:
    made = plan(Settings(data_dir=Path("d")), "1:t")
    assert "1:t" not in [word for spec in (*app(made), made.pull_model) for word in spec.argv]


def test_a_restarted_sandbox_keeps_its_port() -> None:
    assert list(app(plan(Settings(), "1:t"))[0].argv) == ["sandbox", "--port", "8080", "--strict-port"]

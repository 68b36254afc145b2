"""Every setting of every process, read once from the environment and from a folder of secrets.

A variable is the field's name in capitals behind `AISHA_`. `docs/settings.md` is generated from this file.
"""

import os
import re
import ssl
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import parse_qs, urlencode, urlsplit

from pydantic import (
    DirectoryPath,
    Field,
    FilePath,
    HttpUrl,
    IPvAnyAddress,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from aisha.errors import ServiceError, SettingsError
from aisha.models.catalogue import LANGUAGES, VENDOR_URL

MIB = 1024 * 1024
GIB = 1024 * MIB
CLOUD_API_URL = "https://api.telegram.org"
CLOUD_FILE_LIMIT = 20 * MIB
LOCAL_FILE_LIMIT = 2000 * MIB

TOKEN = re.compile(r"\d+:[A-Za-z0-9_-]+")
WEBHOOK_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")
"""What Telegram takes as `secret_token` (Bot API, setWebhook)."""

NOT_SETTINGS = {"AISHA_PRELOADED", "AISHA_SANDBOX_TOKEN", "AISHA_VAULT_PASSWORD"}
"""Variables that are read elsewhere: by the allocator, the sandbox and the playbooks."""

Port = Annotated[int, Field(ge=0, le=65535)]
Mode = Literal["polling", "webhook"]


class Settings(BaseSettings):
    """The environment of one process; secrets print as stars."""

    model_config = SettingsConfigDict(env_prefix="AISHA_", env_ignore_empty=True, extra="ignore", frozen=True)

    bot_token: SecretStr | None = Field(
        None,
        description="The bot's token from @BotFather. If unset, `aisha run` starts the sandbox instead.",
    )
    bot_api_url: HttpUrl | None = Field(
        None, description=f"Address of a Bot API server. Default: {CLOUD_API_URL}, or the sandbox's."
    )
    bot_mode: Mode = Field(
        "polling",
        description="How updates arrive: the bot polls, or Telegram posts them. `aisha webhook sync` tells Telegram.",
    )
    webhook_url: HttpUrl | None = Field(
        None, description="Public https URL that Telegram posts updates to. Needed in webhook mode."
    )
    webhook_secret: SecretStr | None = Field(
        None,
        description="Secret that Telegram sends along: 1 to 256 of A-Z, a-z, 0-9, _ and -. Needed in webhook mode.",
    )
    webhook_ip: IPvAnyAddress | None = Field(
        None, description="Fixed IP address for Telegram to post to, instead of the webhook's address in DNS."
    )
    webhook_certificate: Path | None = Field(
        None,
        description="Certificate file (PEM) for Telegram to trust at the webhook, if no public CA has signed it: the"
        " CA's certificate, or the self-signed one. Never a key.",
    )
    webhook_host: str = Field("127.0.0.1", description="Address that the bot listens on for the webhook.")
    webhook_port: Annotated[int, Field(gt=0, le=65535)] = Field(
        8083, description="Port that the bot listens on for the webhook, in webhook mode only."
    )
    data_dir: Path = Field(Path(".local"), description="Folder of the embedded services, models and secrets.")
    database_url: SecretStr | None = Field(
        None, description="PostgreSQL, as postgresql://user:password@host:port/name. Default: embedded."
    )
    redis_url: SecretStr | None = Field(
        None, description="Redis, as redis://user:password@host:port/0. Default: embedded."
    )
    s3_endpoint: HttpUrl | None = Field(
        None, description="S3 server, as http://host:port. Default: embedded."
    )
    s3_access_key: SecretStr | None = Field(None, description="S3 access key.")
    s3_secret_key: SecretStr | None = Field(None, description="S3 secret key.")
    s3_bucket: str = Field(
        "aisha", description="S3 bucket; created at start if it is missing and the user may create it."
    )
    ca_file: FilePath | None = Field(
        None,
        description="Certificates (PEM) of a private CA, trusted in addition to the system's for PostgreSQL, Redis and"
        " S3. With it PostgreSQL's certificate must match its name, unless its address has an `sslmode`.",
    )
    secrets_dir: Path | None = Field(
        None,
        description="Folder of files, each named like a variable and holding its value. The environment overrides it.",
    )
    models_dir: Path | None = Field(
        None, description="Folder of speech models. Default: models/ in the data folder."
    )
    maven_repository: HttpUrl | None = Field(
        None, description="Maven repository for the English model. Default: the central one."
    )
    models_url: HttpUrl = Field(HttpUrl(VENDOR_URL), description="Where the other speech models come from.")
    default_language: str = Field("en", description="Language of speech for users who have not chosen one.")
    max_file_size: int | None = Field(
        None,
        gt=0,
        description="Maximum size of a file, in bytes. Default: 20 MiB with Telegram's cloud, else 2000 MiB.",
    )
    max_duration: int = Field(4 * 3600, gt=0, description="Maximum duration of a recording, in seconds.")
    media_memory_mib: int | None = Field(
        None,
        ge=16,
        description="Memory that reading one recording may take, in MiB. Default: 256, or an eighth of the host's or"
        " container's when that is less.",
    )
    media_seconds: int | None = Field(
        None,
        gt=0,
        description="Processor seconds that reading one recording may take. Default: 20, and more for a larger file, by"
        " how fast this host decodes.",
    )
    spool_dir: DirectoryPath | None = Field(
        None,
        description="Folder in which a recording lies while it is read. One that finds no room waits; one larger than"
        " its file system is refused. Default: the system's folder for temporary files.",
    )
    stored_bytes: int = Field(
        16 * GIB,
        gt=0,
        description="Maximum size of all recordings in object storage that have no answer yet, in bytes; others wait at"
        " Telegram. When answered ones, which are kept for a day, make it more, they are removed sooner.",
    )
    stored_bytes_per_user: int = Field(
        4 * GIB,
        gt=0,
        description="The same for one user: with that much in hand, this user's next recordings wait. No larger file is"
        " accepted.",
    )
    min_free_bytes: int = Field(
        GIB,
        ge=0,
        description="Minimum free space of AISHA_OBJECTS_DIR, in bytes; below it new recordings wait.",
    )
    objects_dir: Path | None = Field(
        None,
        description="Folder of the object storage's data, if this process can see it. `aisha run` sets it.",
    )
    unfinished_segments: int = Field(
        400,
        gt=0,
        description="Maximum number of unfinished segments of long recordings, 10 MB each at most; at that number"
        " cutting waits.",
    )
    unfinished_segments_per_user: int = Field(100, gt=0, description="The same for one user's recordings.")
    file_patience: int = Field(
        300,
        ge=0,
        description="Seconds for which a file that Telegram does not have is asked for again: it says that a file is"
        " gone, or unavailable for the moment, in the same words.",
    )
    keep_days: int = Field(
        365,
        gt=0,
        description="Days after which a delivered message, its text and its words are deleted.",
    )
    privacy_notice: str | None = Field(
        None,
        max_length=2000,
        description="Your own words at the end of /privacy: who runs this bot, and how to reach you.",
    )
    concurrency: int | None = Field(
        None, gt=0, description="Number of jobs that a worker host does at once. Default: one per core."
    )
    drain_seconds: int = Field(
        600,
        ge=0,
        description="Seconds that a stopping worker has to finish its jobs; then they return to the queue.",
    )
    web_port: Port = Field(
        8080, description="Port of the sandbox's web chat; if it is taken, the next free one."
    )
    health_port: Port = Field(8081, description="Port of the bot's /health and /metrics; 0 turns them off.")
    worker_metrics_port: Port = Field(8082, description="Port of the worker's /metrics; 0 turns them off.")
    metrics_host: str = Field("127.0.0.1", description="Address that the health and metrics ports bind to.")
    log_format: Literal["console", "json"] = Field("console", description="Log lines for people, or as JSON.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Minimum level of log lines."
    )

    @field_validator("stored_bytes", "stored_bytes_per_user")
    @classmethod
    def _room_for_a_file(cls, limit: int, info: ValidationInfo) -> int:
        largest = info.data.get("max_file_size") or 0
        if limit < largest:
            raise ValueError(f"less than AISHA_MAX_FILE_SIZE, {largest}: such a file would wait for ever")
        return limit

    @field_validator("data_dir", "models_dir", "objects_dir")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        return path and path.expanduser().absolute()

    @field_validator("bot_token")
    @classmethod
    def _token(cls, token: SecretStr | None) -> SecretStr | None:
        if token and not TOKEN.fullmatch(token.get_secret_value()):
            raise ValueError("not a token as @BotFather gives it: digits, a colon, letters and digits")
        return token

    @field_validator("webhook_secret")
    @classmethod
    def _webhook_secret(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret and not WEBHOOK_SECRET.fullmatch(secret.get_secret_value()):
            raise ValueError("not 1 to 256 of A-Z, a-z, 0-9, _ and -")
        return secret

    @field_validator("webhook_certificate")
    @classmethod
    def _webhook_certificate(cls, path: Path | None) -> Path | None:
        if path:
            _check_certificate(path)
        return path

    @field_validator("default_language")
    @classmethod
    def _language(cls, code: str) -> str:
        if code not in LANGUAGES:
            raise ValueError(f"no language of the catalogue: {', '.join(LANGUAGES)}")
        return code

    @field_validator("database_url")
    @classmethod
    def _database(cls, url: SecretStr | None) -> SecretStr | None:
        return _address(url, ("postgresql", "postgres"), "postgresql://user:password@host:port/name")

    @field_validator("redis_url")
    @classmethod
    def _redis(cls, url: SecretStr | None) -> SecretStr | None:
        return _address(url, ("redis", "rediss", "unix"), "redis://user:password@host:port/0")

    @property
    def database_address(self) -> str:
        """PostgreSQL's address in clear, with the own authority in it.

        Raises:
            SettingsError: it is unset; names the variable.
        """
        address = self.secret("database_url")
        own = {"sslmode": "verify-full", "sslrootcert": str(self.ca_file)} if self.ca_file else {}
        given = parse_qs(urlsplit(address).query)
        added = urlencode({name: value for name, value in own.items() if name not in given})
        return f"{address}{'&' if given else '?'}{added}" if added else address

    @property
    def models_path(self) -> Path:
        """The folder of speech models."""
        return self.models_dir or self.data_dir / "models"

    @property
    def api_url(self) -> str:
        """The Bot API server's address, without a slash at its end."""
        return str(self.bot_api_url or CLOUD_API_URL).rstrip("/")

    @property
    def file_limit(self) -> int:
        """The largest file accepted, in bytes.

        A cloud getFile stops at 20 MiB; a server of one's own may serve up to 2000 MiB and says so itself. What storage
        cannot hold is not accepted either.
        """
        server = CLOUD_FILE_LIMIT if self.api_url == CLOUD_API_URL else LOCAL_FILE_LIMIT
        return min(self.max_file_size or server, server, self.stored_bytes, self.stored_bytes_per_user)

    def required(self, *names: str) -> None:
        """Raise `SettingsError` naming each of these settings that is unset."""
        if missing := [variable(name) for name in names if getattr(self, name) is None]:
            raise SettingsError(
                f"not set: {', '.join(missing)} (`aisha run` sets them for its embedded services)"
            )

    def secret(self, name: str) -> str:
        """Return a required secret in clear.

        Raises:
            SettingsError: it is unset; names the variable.
        """
        self.required(name)
        value: SecretStr = getattr(self, name)
        return value.get_secret_value()


def _address(url: SecretStr | None, schemes: tuple[str, ...], example: str) -> SecretStr | None:
    """Return the address, or raise a ValueError that does not tell it: it holds a password."""
    if url is None:
        return None
    try:
        parts = urlsplit(url.get_secret_value())
        good = parts.scheme in schemes and bool(parts.hostname or parts.query) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good:
        raise ValueError(f"not an address like {example}")
    return url


def _check_certificate(path: Path) -> None:
    """Raise a ValueError, with what to do, unless the file can be sent as a certificate to be trusted."""
    remedy = "name a PEM file that this process may read, with certificates alone"
    try:
        text = path.read_text("ascii", "ignore")
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}; {remedy}") from None
    if "PRIVATE KEY-" in text:
        raise ValueError(f"a private key in {path}, which must not be sent; {remedy}")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ValueError, ssl.SSLError):
        raise ValueError(f"no certificate in {path}; {remedy}") from None


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return f"AISHA_{name.upper()}"


NOTHING_RUNS = (
    "nothing is running on {}: start it with `aisha run`, or name a database with AISHA_DATABASE_URL"
)


def load_running() -> Settings:
    """Read the settings; those of the `aisha run` on the data folder stand in where no database is set.

    Raises:
        SettingsError: a value is malformed, or nothing has ever run there.
    """
    loaded = load()
    if loaded.database_url:
        return loaded
    running = loaded.data_dir / "secrets" / "environment"
    if not running.exists():
        raise SettingsError(NOTHING_RUNS.format(loaded.data_dir))
    return load(running)


def unreachable(error: Exception) -> ServiceError:
    """Return the error to raise when the database of `load_running` does not answer."""
    loaded = load()
    if loaded.database_url:
        return ServiceError(f"cannot reach the database of AISHA_DATABASE_URL: {error}")
    return ServiceError(NOTHING_RUNS.format(loaded.data_dir))


def load(file: Path | None = None) -> Settings:
    """Read the settings from the environment; what is not set there from a file of `NAME=value` lines, or the secrets.

    Raises:
        SettingsError: a value is malformed or a variable misspelt; names the variable, never a secret's value.
    """
    secrets = os.environ.get("AISHA_SECRETS_DIR") or None
    if secrets and not Path(secrets).is_dir():
        raise SettingsError(f"AISHA_SECRETS_DIR: no folder {secrets}")
    try:
        files = [file.name for file in Path(secrets).iterdir()] if secrets else []
        if misspelt := [*_misspelt([*os.environ, *files])]:
            raise SettingsError("; ".join(misspelt))
        return Settings(_env_file=file, _secrets_dir=secrets)
    except OSError as error:
        raise SettingsError(f"AISHA_SECRETS_DIR: {error.filename}: {error.strerror}") from None
    except ValidationError as error:
        wrong = [f"{variable(str(e['loc'][0]))}: {_reason(e)}" for e in error.errors(include_input=False)]
        raise SettingsError("; ".join(wrong)) from None


def _misspelt(names: list[str]) -> Iterator[str]:
    """Yield a sentence for each name that looks like a setting's and is none."""
    known = {variable(name) for name in Settings.model_fields}
    for name in sorted(names):
        if name.upper().startswith("AISHA_") and name.upper() not in known | NOT_SETTINGS:
            near = get_close_matches(
                name.upper().removeprefix("AISHA_"), [each.removeprefix("AISHA_") for each in known], 1
            )
            advice = f"did you mean AISHA_{near[0]}?" if near else "docs/settings.md has them all"
            yield f"{name}: there is no such setting; {advice}"


def _reason(error: ErrorDetails) -> str:
    """Return what is wrong with a value: our own sentence without the library's "Value error," before it."""
    own = error.get("ctx", {}).get("error")
    return str(own) if isinstance(own, ValueError) else error["msg"]

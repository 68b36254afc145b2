"""`aisha migrate`: bring the schema to the newest revision, or to a named one."""

from pathlib import Path

import click
import psycopg
import structlog

from aisha import logs, settings
from aisha.database.connect import LOST, connect
from aisha.errors import ServiceError

MIGRATIONS = Path(__file__).parent / "migrations"
log = structlog.get_logger(__name__)


def migrate(url: str, revision: str = "head") -> None:
    """Run the migrations between the database's revision and the one named; one at a time over all hosts.

    Raises:
        ServiceError: the database cannot be reached.
    """
    try:
        before = current(url)
        if before == newest() and revision == "head":  # the usual case, without Alembic's slow import
            log.info("database is up to date", revision=before)
            return
        _run(url, revision)
        log.info("database migrated", before=before, after=current(url))
    except LOST as error:
        raise ServiceError(f"cannot reach the database of AISHA_DATABASE_URL: {error}") from None


def current(url: str) -> str | None:
    """Return the database's revision, None when it has no schema yet."""
    with connect(url) as connection:
        try:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except psycopg.errors.UndefinedTable:
            return None
    return str(row["version_num"]) if row else None


def newest() -> str:
    """Return the newest revision: a revision's file is named after it, in their order."""
    return max(path.name for path in (MIGRATIONS / "versions").glob("*.py")).split("_")[0]


def _run(url: str, revision: str) -> None:
    import sqlalchemy
    from alembic import command
    from alembic.config import Config

    engine = sqlalchemy.create_engine(sqlalchemy.make_url(url).set(drivername="postgresql+psycopg"))
    try:
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text("SELECT pg_advisory_lock(hashtextextended('migrate', 0))"))
            connection.commit()
            config = Config(attributes={"connection": connection})
            config.set_main_option("script_location", str(MIGRATIONS))
            command.upgrade(config, revision)
            connection.commit()
    except sqlalchemy.exc.OperationalError as error:
        raise ServiceError(f"cannot reach the database of AISHA_DATABASE_URL: {error.orig}") from None
    finally:
        engine.dispose()


@click.command("migrate")
@click.option("--revision", default="head", show_default=True, help="The schema revision to reach.")
def migrate_command(revision: str) -> None:
    """Bring the database to the newest schema."""
    loaded = settings.load()
    logs.configure(loaded, "migrate")
    migrate(loaded.secret("database_url"), revision)

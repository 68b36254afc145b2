"""`aisha migrate`: bring the schema to the newest revision, or to a named one."""

import re
from dataclasses import dataclass
from pathlib import Path

import click
import psycopg
import structlog

from aisha import logs, settings
from aisha.database.connect import LOST, connect
from aisha.errors import ServiceError, SettingsError

MIGRATIONS = Path(__file__).parent / "migrations"
PHASE = re.compile(r'^phase = "(expand|contract)"$', re.MULTILINE)
DOWNGRADE = re.compile(r"^def downgrade\(", re.MULTILINE)
PENDING_STATUS = {True: 10, False: 11}
"""Exit status of `--check` when something is pending, by whether every step expands."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Step:
    """One migration: `expand` leaves the schema usable for the release before it, `contract` does not."""

    revision: str
    phase: str
    reversible: bool


def steps() -> list[Step]:
    """Return every migration, oldest first: files are named after their revisions, which sort by age."""
    return [_step(path) for path in sorted((MIGRATIONS / "versions").glob("*.py"))]


def pending(current: str | None) -> list[Step]:
    """Return what a database lacks; nothing when it is newer than this release."""
    return [step for step in steps() if step.revision > (current or "")]


def migrate(url: str, *, expand_only: bool = False) -> None:
    """Run the migrations that the database lacks; one process at a time over all hosts.

    A database that a newer release has expanded is left as it is: this release runs on it.

    Raises:
        ServiceError: the database cannot be reached, or a step is refused.
    """
    before = current(url)
    lacking = pending(before)
    if not lacking:  # the usual case, without Alembic's slow import
        log.info("database is up to date", revision=before, newest=steps()[-1].revision)
        return
    contracting = [step.revision for step in lacking if step.phase == "contract"]
    if expand_only and contracting:
        raise ServiceError(
            f"refused: {', '.join(contracting)} would break the release that runs; "
            "run `aisha migrate` when only this release is left"
        )
    _run(url, lacking[-1].revision)
    log.info("database migrated", before=before, after=current(url))


def migrate_to(url: str, revision: str) -> None:
    """Bring the schema to a revision, forward or back.

    Raises:
        SettingsError: there is no such revision.
        ServiceError: the way back passes a migration that cannot be undone, or the database cannot be reached.
    """
    if revision not in {step.revision for step in steps()}:
        raise SettingsError(f"no revision {revision}; there are {', '.join(s.revision for s in steps())}")
    before = current(url)
    undone = [step for step in steps() if revision < step.revision <= (before or "")]
    if final := [step.revision for step in undone if not step.reversible]:
        raise ServiceError(f"there is no way back before {', '.join(final)}: restore a backup instead")
    _run(url, revision, back=bool(undone))
    log.info("database migrated", before=before, after=current(url))


def current(url: str) -> str | None:
    """Return the database's revision, None when it has no schema yet.

    Raises:
        ServiceError: it cannot be reached.
    """
    try:
        with connect(url) as connection:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except psycopg.errors.UndefinedTable:
        return None
    except LOST as error:
        raise ServiceError(f"cannot reach the database of AISHA_DATABASE_URL: {error}") from None
    return str(row["version_num"]) if row else None


def describe(url: str) -> tuple[int, str]:
    """Return the exit status and the output of `--check`."""
    before = current(url)
    if not (lacking := pending(before)):
        return 0, f"nothing pending: the database is at {before}"
    words = ", ".join(f"{step.revision} ({step.phase})" for step in lacking)
    expanding = all(step.phase == "expand" for step in lacking)
    safe = "the running release goes on working" if expanding else "the running release would break"
    return PENDING_STATUS[expanding], f"pending: {words}; {safe}"


def _step(path: Path) -> Step:
    text = path.read_text()
    phase = PHASE.search(text)
    assert phase, f"{path.name} declares no phase"
    return Step(path.name.split("_")[0], phase[1], bool(DOWNGRADE.search(text)))


def _run(url: str, revision: str, *, back: bool = False) -> None:
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
            (command.downgrade if back else command.upgrade)(config, revision)
            connection.commit()
    except sqlalchemy.exc.OperationalError as error:
        raise ServiceError(f"cannot reach the database of AISHA_DATABASE_URL: {error.orig}") from None
    finally:
        engine.dispose()


@click.command("migrate")
@click.option(
    "--check",
    is_flag=True,
    help="Change nothing; exit 0: up to date, 10: all steps expand, 11: one contracts.",
)
@click.option("--expand-only", is_flag=True, help="Refuse a step that would break the running release.")
@click.option("--to", "revision", metavar="REVISION", help="The schema revision to reach, forward or back.")
@click.pass_context
def migrate_command(context: click.Context, *, check: bool, expand_only: bool, revision: str | None) -> None:
    """Bring the database to the newest schema."""
    if check + expand_only + (revision is not None) > 1:
        raise click.UsageError("--check, --expand-only and --to exclude each other")
    loaded = settings.load()
    logs.configure(loaded, "migrate")
    if check:
        status, words = describe(loaded.database_address)
        click.echo(words)
        context.exit(status)
    if revision is not None:
        migrate_to(loaded.database_address, revision)
    else:
        migrate(loaded.database_address, expand_only=expand_only)

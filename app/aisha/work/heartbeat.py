"""How a worker host reports that it is alive, and checks which services it reaches."""

from collections.abc import Callable

import psycopg
import structlog
from redis.exceptions import RedisError

from aisha.database import workers
from aisha.database.connect import connect as connect_database
from aisha.errors import ServiceError
from aisha.health import Checks
from aisha.lanes import ONCE, connect
from aisha.objects import UNREACHABLE, Objects
from aisha.settings import Settings

log = structlog.get_logger(__name__)


class Heartbeat:
    """Speaks for one host; each beat has connections of its own, because work-horses would inherit open ones."""

    def __init__(self, settings: Settings, name: str, concurrency: int) -> None:
        self._settings = settings
        self._name = name
        self._concurrency = concurrency

    def beat(self, languages: list[str]) -> Checks:
        """Record that this host is alive and recognises these languages; return the state of its services."""
        return {
            "database": _state(lambda: self._say_seen(languages)),
            "redis": _state(self._ping),
            "objects": _state(self._reach_objects),
        }

    def end(self) -> None:
        """Remove this host from the capacity by which lanes are filled."""
        try:
            with connect_database(self._settings.database_address) as connection:
                connection.run(workers.leave(self._name))
        except psycopg.Error:
            log.info("could not sign off, the database is unreachable")

    def _say_seen(self, languages: list[str]) -> None:
        with connect_database(self._settings.database_address) as connection:
            connection.run(workers.seen(self._name, self._concurrency, languages))

    def _ping(self) -> None:
        with connect(self._settings, **ONCE) as redis:
            redis.ping()

    def _reach_objects(self) -> None:
        with Objects(self._settings) as objects:
            objects.check()


def _state(reach: Callable[[], None]) -> str:
    """Return `ok` or what is wrong with a service."""
    try:
        reach()
    except (psycopg.Error, RedisError, ServiceError, *UNREACHABLE) as error:
        log.warning("a service does not answer", error=f"{type(error).__name__}: {error}")
        return f"{type(error).__name__}: {error}"[:200]
    return "ok"

"""The phases: what is done to the rehearsal while updates arrive."""

import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.roll.client import Target
from tests.bench.roll.rehearsal import (
    APP,
    SERVICES,
    Rehearsal,
    RehearsalError,
    eventually,
    extra,
    inside,
    manifest,
    play,
)

DEPLOY = "ansible/playbooks/deploy.yml"
ROLLBACK = "ansible/playbooks/rollback.yml"
SITE = "site.yml"

WEBHOOK = {"bot_mode": "webhook"}
BAD = 'raise RuntimeError("this image is bad on purpose")\n'
REFUSED, NOTHING = "bot stays as it was", "nothing: every host runs its release"
"""What a release says."""

READY_SECONDS = 15
"""How long a bad bot has to become ready."""

CONTROL_SECONDS = 20
RESTARTED = APP[1]
RELOADS = 3
RELOAD_PAUSE_SECONDS = 5


class Phases:
    """Each method is a phase: it does one thing that an operator does, and returns when that is over.

    Raises:
        RehearsalError: it did not go as expected.
    """

    def __init__(self, rehearsal: Rehearsal, target: Target) -> None:
        self._rehearsal, self._target = rehearsal, target
        self.newer = ""
        """The image of the last deploy."""

    def begin(self) -> None:
        """Before any load: the bots take webhooks, in the release that a rollback returns to."""
        play(DEPLOY, extra(**WEBHOOK))

    def end(self) -> None:
        """After all load: restore what the inventory says."""
        play(DEPLOY)

    def control(self) -> None:
        """Nothing: a control for losses without a cause."""
        time.sleep(CONTROL_SECONDS)

    def deploy(self) -> None:
        """A new image: the current sources with a new version."""
        _release(images_source=str(self._rehearsal.image("new", _version)))
        self.newer = manifest(APP[0])["image"]

    def bad_image(self) -> None:
        """An image whose bot exits at start: the release must be rejected."""
        source = str(self._rehearsal.image("bad", _break))
        said = play(
            DEPLOY, extra(**WEBHOOK, images_source=source, bot_ready_seconds=READY_SECONDS), fails=True
        )
        if REFUSED not in said:
            raise RehearsalError(f"the bad image was not refused by the roll:\n{said[-4000:]}")

    def rollback(self) -> None:
        """Back to the release before the new image."""
        play(ROLLBACK)

    def environment(self) -> None:
        """Another value in the environment of the bots."""
        _release(bot_environment={"BENCH_ROLL": str(int(time.time()))})

    def certificate(self) -> None:
        """Renew the certificates early, until the proxy shows its new one."""
        before = self._rehearsal.certificate(self._target)
        due = before.days_left + 1
        early = extra(certificates_renew_before_days=due, certificates_days=due + 1)
        play(SITE, "--tags=certificates", f"--limit={SERVICES}", early)
        eventually(lambda: self._rehearsal.certificate(self._target) != before, "the new certificate")
        play(SITE, "--tags=certificates", f"--limit={SERVICES}")

    def host_restart(self) -> None:
        """A host of the app is restarted, and its bots are ready again."""
        self._rehearsal.restart(RESTARTED)

    def reload(self) -> None:
        """The proxy is reloaded, which closes kept connections with requests in flight."""
        for _ in range(RELOADS):
            time.sleep(RELOAD_PAUSE_SECONDS)
            inside(SERVICES, "systemctl", "reload", "nginx")
        time.sleep(RELOAD_PAUSE_SECONDS)

    def named(self, name: str) -> Callable[[], None]:
        """Return a phase by its name."""
        phase: Callable[[], None] = getattr(self, name)
        return phase


def _release(**variables: object) -> None:
    """Release with variables that change something."""
    if NOTHING in play(DEPLOY, extra(**WEBHOOK, **variables)):
        raise RehearsalError(f"nothing to release with {variables}")


def _version(repository: Path) -> None:
    """Give the sources a version that has never existed."""
    file = repository / "pyproject.toml"
    text = file.read_text()
    line = next(line for line in text.splitlines() if line.startswith("version = "))
    file.write_text(text.replace(line, f'{line[:-1]}+roll.{int(time.time())}"', 1))


def _break(repository: Path) -> None:
    """Have the bot exit as soon as it starts; other verbs still work, so that nothing notices earlier."""
    _version(repository)
    with (repository / "app" / "aisha" / "bot.py").open("a") as file:
        file.write(BAD)

"""Production goes from the previous release to this one and back, with voices in flight: each is answered once."""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.media import voice
from tests.integration.bots.harness import App, Bot, Worker, until
from tests.speech import voices

from aisha_embedded.services import Services, erase

PREVIOUS = "ddaec2d4e1f5ca739a9706cb288916eee9d49a81"
"""The commit of the release that production runs before this one; moves with each release."""

pytestmark = pytest.mark.timeout(900)
ROOT = Path(__file__).parents[3]
PEOPLE, VOICES_EACH = 10, 5
IN_FLIGHT = PEOPLE * VOICES_EACH


@pytest.fixture(scope="module")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The previous release's source, from Git's history."""
    folder = tmp_path_factory.mktemp("previous")
    archive = subprocess.run(("git", "archive", PREVIOUS, "app"), cwd=ROOT, capture_output=True)
    assert archive.returncode == 0, f"{archive.stderr.decode()}A shallow clone? git fetch --unshallow"
    subprocess.run(("tar", "--extract", f"--directory={folder}"), input=archive.stdout, check=True)
    return folder / "app"


@pytest.fixture(scope="module")
async def services(tmp_path_factory: pytest.TempPathFactory, previous: Path) -> AsyncIterator[dict[str, str]]:
    """Services with the previous release's schema."""
    data_dir = tmp_path_factory.mktemp("data")
    async with Services.start(data_dir) as started:
        command = (sys.executable, "-m", "aisha", "migrate")
        subprocess.run(command, env={**started.environment, "PYTHONPATH": str(previous)}, check=True)
        yield started.environment
    erase(data_dir)


@pytest.fixture
async def old(app: App, services: dict[str, str], previous: Path) -> AsyncIterator[App]:
    """The previous release, on the same services and the same sandbox as this one."""
    release = App(services, app.sandbox, app.http, app.folder, source=previous)
    yield release
    await release.end()


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Different voices of 2 to 10 s."""
    folder = tmp_path_factory.mktemp("recordings")
    clips = [clip.path for clip in voices()[: 2 * IN_FLIGHT]]
    return [voice(clip, folder) for clip in clips]


class Production:
    """A bot and a worker of whichever release was rolled last."""

    def __init__(self, models: Path) -> None:
        self._models = models
        self._bot: Bot | None = None
        self.workers: list[Worker] = []

    async def roll(self, release: App) -> None:
        """Start the release's bot and worker, then stop those that ran before."""
        bot, worker = release.bot(), Worker(release, self._models, concurrency=2)
        self.workers.append(worker)
        await bot.ready()
        await worker.ready()
        if self._bot:
            self.workers[-2].process.terminate()
            assert await self._bot.stop() == 0
            assert await self.workers[-2].ended() == 0
        self._bot = bot


@pytest.fixture
def production(models_dir: Path) -> Iterator[Production]:
    made = Production(models_dir)
    yield made
    for worker in made.workers:
        if worker.process.poll() is None:
            worker.process.kill()
            worker.process.wait()


async def test_every_voice_is_answered_once_over_an_upgrade_and_the_way_back(
    app: App, old: App, production: Production, recordings: list[Path]
) -> None:
    chats = [await app.control.user(first_name=f"Person {n}") for n in range(PEOPLE)]
    await production.roll(old)
    await _send(app, chats, recordings[:IN_FLIGHT])
    status, said = await app.aisha("migrate", "--expand-only")
    assert status == 0, said
    await production.roll(app)
    await _send(app, chats, recordings[IN_FLIGHT:])
    await production.roll(old)
    await _delivered(app)
    assert [app.answers(chat) for chat in chats] == [2 * VOICES_EACH] * PEOPLE
    outcomes = await app.query("SELECT outcome, count(*) FROM messages GROUP BY 1")
    assert "failed" not in [row["outcome"] for row in outcomes]
    assert await _hosts(app) == len(production.workers)


async def _send(app: App, chats: list[int], recordings: list[Path]) -> None:
    """Have every person send some, and wait until the first is being decoded."""
    for chat, recording in zip(cycle(chats), recordings, strict=False):
        await app.control.ask("POST", f"/chats/{chat}/messages", kind="voice", path=str(recording))
    await until(lambda: app.query("SELECT id FROM jobs WHERE state = 'started'"), "a job that runs")


async def _delivered(app: App) -> None:
    """Wait until every message has been delivered; what is left is told when that takes too long."""
    left: list[dict[str, Any]] = []

    async def done() -> bool:
        left[:] = await app.query("SELECT * FROM messages WHERE state <> 'delivered'")
        return not left and len(await app.query("SELECT id FROM messages")) == 2 * IN_FLIGHT

    await until(done, "every message to be delivered; left:", lambda: str(left), seconds=400)


async def _hosts(app: App) -> int:
    """Return how many worker hosts have done jobs."""
    rows = await app.query("SELECT count(DISTINCT worker) FROM jobs")
    return int(rows[0]["count"])

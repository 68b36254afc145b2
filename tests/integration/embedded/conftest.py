import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from tests.integration.embedded.driven import Driven

from aisha_embedded.services import Services, erase


@pytest.fixture(scope="module")
def make_data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Path]]:
    made: list[Path] = []

    def make() -> Path:
        made.append(tmp_path_factory.mktemp("data"))
        return made[-1]

    yield make
    for data_dir in made:
        erase(data_dir)


@pytest.fixture
def data_dir(make_data_dir: Callable[[], Path]) -> Path:
    return make_data_dir()


@pytest.fixture(scope="module")
async def services(make_data_dir: Callable[[], Path]) -> AsyncIterator[Services]:
    async with Services.start(make_data_dir()) as started:
        yield started


@pytest.fixture
def drive() -> Iterator[Callable[..., Driven]]:
    driven: list[Driven] = []

    def start(*arguments: str, **env: str) -> Driven:
        driven.append(Driven(*arguments, **env))
        return driven[-1]

    yield start
    for one in driven:
        if one.child.poll() is None:
            one.signal(signal.SIGTERM)
            one.end()

"""Whether a service answers: one question at a time, whoever asks."""

import asyncio

import pytest

from aisha import probe as probes
from aisha.probe import Probe


class Service:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def ask(self) -> None:
        self.asked += 1
        await self.answer


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "ANSWER_SECONDS", 0.01)


async def test_a_service_that_hangs_is_asked_once_however_many_want_to_know() -> None:
    service = Service()
    probe = Probe(service.ask)
    for _ in range(3):
        states = await asyncio.gather(*(probe.state() for _ in range(50)))
        assert {state.startswith("no answer") for state in states} == {True}
    assert service.asked == 1


async def test_a_late_answer_counts_and_the_next_question_is_a_new_one() -> None:
    service = Service()
    probe = Probe(service.ask)
    await probe.state()
    asking = asyncio.create_task(probe.state())
    await asyncio.sleep(0)
    service.answer.set_result(None)
    assert await asking == "ok"
    assert await probe.state() == "ok"
    assert service.asked == 2


async def test_what_is_wrong_is_said() -> None:
    service = Service()
    service.answer.set_exception(ConnectionError("refused"))
    assert await Probe(service.ask).state() == "ConnectionError: refused"

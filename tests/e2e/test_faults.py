"""An accepted message is answered exactly once as its sender sees it, whatever is killed.

Each test has fifty voices in flight, kills something when the first answers have come, and then looks at every
chat: one reply to each voice, with what was said in it, and nothing else.
"""

import time
from collections.abc import Callable

import psutil
import pytest
import redis
from harness import Telegram, Tree, is_final, wait_for
from media import voice
from tests.speech import Clip, prompts, word_error_rate

VOICES = 50
CHATS = 5
ANSWERED_BEFORE_FAULT = 5
RECOVERY_SECONDS = 120

Sent = dict[tuple[int, int], Clip]


@pytest.fixture(scope="module")
def fifty(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    """Fifty different voices as Telegram clients send them, and what is said in each."""
    folder = tmp_path_factory.mktemp("voices")
    return [Clip(voice(clip.path, folder), clip.text) for clip in prompts()[:VOICES]]


def send(telegram: Telegram, name: str, clips: list[Clip]) -> Sent:
    """Send the voices from five people."""
    chats = [telegram.person(f"{name} {number}") for number in range(CHATS)]
    return {
        (chats[n % CHATS], telegram.send_file(chats[n % CHATS], clip.path)): clip
        for n, clip in enumerate(clips)
    }


def finals(telegram: Telegram, sent: Sent) -> int:
    """Count the voices that have an answer."""
    return sum(
        is_final(said.text)
        for chat in {chat for chat, _ in sent}
        for said in telegram.said(chat)
        if said.reply_to
    )


def assert_each_answered_once(telegram: Telegram, sent: Sent) -> None:
    """Wait for the last answer, and a little longer for unexpected messages."""
    wait_for(lambda: finals(telegram, sent) >= len(sent), RECOVERY_SECONDS, "fifty answers")
    time.sleep(3)
    for chat in {chat for chat, _ in sent}:
        said = telegram.said(chat)
        expected = sorted(message for of, message in sent if of == chat)
        assert sorted(one.reply_to or 0 for one in said) == expected, [one.text for one in said]
        assert all(is_final(one.text) for one in said), [one.text for one in said]
        heard = {one.reply_to: one.text for one in said}
        clips = [sent[chat, message] for message in expected]
        assert word_error_rate([clip.text for clip in clips], [heard[message] for message in expected]) < 0.4
    assert finals(telegram, sent) == len(sent)


HORSE_AT_WORK = 0.05
"""Seconds of CPU time; one that waits for a job has used less."""


def horses(tree: Tree) -> list[psutil.Process]:
    """Return the work-horses, those that wait for a job among them, once one is at work.

    None while a process ends that was just listed, as cold workers do when the warm ones have come.
    """
    try:
        found = [horse for worker in tree.workers() for horse in worker.children()]
        return found if any(horse.cpu_times().user > HORSE_AT_WORK for horse in found) else []
    except psutil.NoSuchProcess:
        return []


def kill_horses(tree: Tree) -> None:
    """Kill all work-horses three times, each time while one is at work."""
    for _ in range(3):
        tree.kill(wait_for(lambda: horses(tree), 20, "a work-horse at work"))
        time.sleep(0.3)


def kill_rq_workers(tree: Tree) -> None:
    tree.kill(tree.workers())


def kill_readers(tree: Tree) -> None:
    """Kill what reads recordings three times, the children that read one among them."""
    for _ in range(3):
        tree.kill(wait_for(lambda: tree.named("media.server"), 20, "what reads recordings"))
        time.sleep(0.3)


def kill_worker(tree: Tree) -> None:
    tree.kill([tree.one("aisha_embedded.ahead worker")])


def kill_bot(tree: Tree) -> None:
    """Kill the bot three times, so that it dies at different moments of a sending."""
    for _ in range(3):
        tree.kill([wait_for(lambda: tree.named("aisha_embedded.ahead bot"), 20, "the bot")[0]])
        time.sleep(2.5)


def kill_redis(tree: Tree) -> None:
    tree.kill([tree.one("valkey-server")])


def flush_redis(tree: Tree) -> None:
    """FLUSHALL, with the URL that the bot itself was given."""
    url = tree.setting("AISHA_REDIS_URL")
    with redis.Redis.from_url(url) as client:
        client.flushall()


def kill_postgres(tree: Tree) -> None:
    tree.kill([tree.one("postgres")])


def kill_s3(tree: Tree) -> None:
    tree.kill([tree.one("weed")])


def kill_all(tree: Tree) -> None:
    """Kill every process at once and start again."""
    tree.kill_everything()
    tree.start()


FAULTS = [
    kill_horses,
    kill_rq_workers,
    kill_readers,
    kill_worker,
    kill_bot,
    kill_redis,
    flush_redis,
    kill_postgres,
    kill_s3,
    kill_all,
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_fifty_messages_are_each_answered_once_after(
    fault: Callable[[Tree], None], tree: Tree, telegram: Telegram, fifty: list[Clip]
) -> None:
    """The name's end is the fault."""
    tree.forget_recordings()
    sent = send(telegram, fault.__name__, fifty)
    wait_for(lambda: finals(telegram, sent) >= ANSWERED_BEFORE_FAULT, 60, "the first answers")
    assert finals(telegram, sent) < VOICES
    fault(tree)
    assert_each_answered_once(telegram, sent)

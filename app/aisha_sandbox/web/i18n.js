// The interface's words, English and Russian by the browser's language.

const WORDS = {
  en: {
    chats: "Chats", you: "You", bot: "bot", members: (n) => `${n} members`, start: "START", restart: "RESTART BOT",
    message: "Message", send: "Send", attach: "Attach", record: "Record a voice message", cancel: "Cancel",
    recording: "Recording", inviteTitle: "What can this bot do?", invite: "Press the microphone and speak, or drop a file",
    inviteMore: "Voice, audio and video become text here, on this machine. Nothing leaves it.",
    typing: "typing", upload_document: "sending a file", upload_voice: "sending a voice message", record_voice: "recording",
    upload_audio: "sending audio", upload_video: "sending a video", upload_photo: "sending a photo", choose_sticker: "typing",
    find_location: "typing", record_video: "recording a video", record_video_note: "recording a video", upload_video_note: "sending a video",
    edited: "edited", reply: "Reply", forward: "Forward", edit: "Edit", del: "Delete", copy: "Copy text", copied: "Copied", block: "Block bot", unblock: "Unblock bot",
    blocked: "You blocked this bot", kick: "Remove bot from group", add: "Add bot to group", notMember: "The bot is not in this group",
    theme: "Light or dark", newUser: "New person", newGroup: "New group", name: "First name", lastName: "Last name", username: "Username",
    language: "Language of the person", title: "Group name", create: "Create", save: "Save", who: "Who is in it?", switchUser: "Speak as", settings: "Profile",
    voice: "Voice message", audio: "Audio", video: "Video", video_note: "Video message", photo: "Photo", document: "File", file: "File", album: "Album",
    quick: "Drop to send", quickMore: "as voice, audio, video or photo", asFile: "Drop to send as a file", asFileMore: "unchanged, without a player",
    pickMedia: "Audio, video or photo", pickFile: "As a file", pickNote: "As a video message", play: "Play", pause: "Pause", download: "Download", back: "Back", menu: "Menu",
    noMic: "The microphone is not available: ", lost: "Connecting…", editing: "Edit message", today: "Today", yesterday: "Yesterday", empty: "No messages yet",
    deleted: "Deleted message", joined: (who) => `${who} joined the group`, ok: "OK", close: "Close", react: "React", speed: "Speed", commands: "Commands", draft: "writing…",
    keyboard: "Bot keyboard", down: "To the newest message", openLink: "Open this link?", failed: "Not sent: ", gone: "The file is no longer available", you_: "You: ", dropped: "file",
  },
  ru: {
    chats: "Чаты", you: "Вы", bot: "бот", members: (n) => `участников: ${n}`, start: "НАЧАТЬ", restart: "ПЕРЕЗАПУСТИТЬ",
    message: "Сообщение", send: "Отправить", attach: "Прикрепить", record: "Записать голосовое сообщение", cancel: "Отмена",
    recording: "Запись", inviteTitle: "Что умеет этот бот?", invite: "Нажмите на микрофон и говорите или перетащите файл",
    inviteMore: "Голос, аудио и видео становятся текстом прямо на этой машине. Ничего не уходит наружу.",
    typing: "печатает", upload_document: "отправляет файл", upload_voice: "отправляет голосовое", record_voice: "записывает",
    upload_audio: "отправляет аудио", upload_video: "отправляет видео", upload_photo: "отправляет фото", choose_sticker: "печатает",
    find_location: "печатает", record_video: "записывает видео", record_video_note: "записывает видео", upload_video_note: "отправляет видео",
    edited: "изменено", reply: "Ответить", forward: "Переслать", edit: "Изменить", del: "Удалить", copy: "Копировать текст", copied: "Скопировано", block: "Заблокировать бота", unblock: "Разблокировать",
    blocked: "Вы заблокировали бота", kick: "Удалить бота из группы", add: "Добавить бота в группу", notMember: "Бота нет в этой группе",
    theme: "Светлая или тёмная", newUser: "Новый человек", newGroup: "Новая группа", name: "Имя", lastName: "Фамилия", username: "Имя пользователя",
    language: "Язык человека", title: "Название группы", create: "Создать", save: "Сохранить", who: "Кто в ней?", switchUser: "Говорить от имени", settings: "Профиль",
    voice: "Голосовое сообщение", audio: "Аудио", video: "Видео", video_note: "Видеосообщение", photo: "Фото", document: "Файл", file: "Файл", album: "Альбом",
    quick: "Отпустите, чтобы отправить", quickMore: "как голос, аудио, видео или фото", asFile: "Отпустите, чтобы отправить файлом", asFileMore: "без изменений и без проигрывателя",
    pickMedia: "Аудио, видео или фото", pickFile: "Файлом", pickNote: "Видеосообщением", play: "Слушать", pause: "Пауза", download: "Скачать", back: "Назад", menu: "Меню",
    noMic: "Микрофон недоступен: ", lost: "Соединение…", editing: "Изменение сообщения", today: "Сегодня", yesterday: "Вчера", empty: "Сообщений пока нет",
    deleted: "Удалённое сообщение", joined: (who) => `${who} теперь в группе`, ok: "ОК", close: "Закрыть", react: "Реакция", speed: "Скорость", commands: "Команды", draft: "пишет…",
    keyboard: "Клавиатура бота", down: "К новым сообщениям", openLink: "Открыть ссылку?", failed: "Не отправлено: ", gone: "Файл больше недоступен", you_: "Вы: ", dropped: "файл",
  },
};

export const locale = (navigator.language || "en").toLowerCase().startsWith("ru") ? "ru" : "en";
export const t = WORDS[locale];
document.documentElement.lang = locale;

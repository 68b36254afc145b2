"""Cuts a long answer into messages that Telegram takes."""

LIMIT = 4096
"""Maximum length of one message in UTF-16 code units (Bot API, sendMessage)."""


def split(text: str, limit: int = LIMIT) -> list[str]:
    """Return the text in parts of at most `limit` UTF-16 code units, cut at paragraphs, lines or words.

    White space at a cut is dropped; a word longer than a message is cut inside, never within a character.
    """
    parts = []
    rest = text.strip()
    while utf16_length(rest) > limit:
        head = _head(rest, limit)
        cut = _cut(head, rest)
        parts.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return [*parts, rest] if rest else parts


def utf16_length(text: str) -> int:
    """Return the length as Telegram counts it: characters beyond the basic plane count twice."""
    return len(text) + sum(ord(character) > 0xFFFF for character in text)


def _head(text: str, limit: int) -> str:
    """Return the longest beginning that fits."""
    length = 0
    for index, character in enumerate(text):
        length += 2 if ord(character) > 0xFFFF else 1
        if length > limit:
            return text[:index]
    return text


def _cut(head: str, text: str) -> int:
    """Return where to cut: after the last paragraph, line or word of `head` that leaves it at least half full."""
    if text[len(head)].isspace():
        return len(head)
    for separator in ("\n\n", "\n", " "):
        cut = head.rfind(separator)
        if cut >= len(head) // 2:
            return cut
    return next((place for place in range(len(head) - 1, 0, -1) if head[place].isspace()), len(head))

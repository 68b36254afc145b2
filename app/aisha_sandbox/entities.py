"""Text with entities: HTML, MarkdownV2, Markdown: https://core.telegram.org/bots/api#formatting-options.

Offsets and lengths count UTF-16 code units; the byte offsets within errors count UTF-8. Errors are worded as in
tdlib's MessageEntity.cpp.
"""

import html
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aisha_sandbox.answers import ApiError, bad_request

Entity = dict[str, Any]
Parsed = tuple[str, list[Entity]]

TAGS = {
    "b": "bold", "strong": "bold", "i": "italic", "em": "italic", "u": "underline", "ins": "underline",
    "s": "strikethrough", "strike": "strikethrough", "del": "strikethrough", "code": "code", "pre": "pre",
    "tg-spoiler": "spoiler", "blockquote": "blockquote", "a": "text_link", "span": "spoiler",
    "tg-emoji": "custom_emoji",
}  # fmt: skip
TAG = re.compile(
    r"""<(/?)([A-Za-z][A-Za-z0-9-]*)((?:\s+[A-Za-z-]+(?:\s*=\s*(?:"[^"]*"|'[^']*'|[^\s>"']+))?)*)\s*>"""
)
ATTRIBUTE = re.compile(r"""([A-Za-z-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"']+)))?""")
CHARACTER = re.compile(r"&(?:lt|gt|amp|quot|#\d{1,7}|#[xX][0-9a-fA-F]{1,6});")
RESERVED = "_*[]()~`>#+-=|{}.!"
AUTOMATIC = re.compile(
    r"(?P<url>(?:https?://|www\.)[^\s<>\"]*[^\s<>\".,;:!?)\]'»]|\b[a-z0-9-]+(?:\.[a-z0-9-]+)*\."
    r"(?:com|org|net|io|dev|ru|app|me|info|de|fr|uk|eu)\b(?:/[^\s<>\"]*[^\s<>\".,;:!?)\]'»])?)"
    r"|(?P<email>[\w.+-]+@[\w-]+(?:\.[\w-]+)+)"
    r"|(?<![\w@])@(?P<mention>[A-Za-z]\w{2,31})\b"
    r"|(?<![\w#])#(?P<hashtag>\w*[^\W\d]\w*)"
    r"|(?<![\w/<>])/(?P<bot_command>[A-Za-z0-9_]{1,64}(?:@[A-Za-z]\w{2,31})?)(?![\w/])",
    re.IGNORECASE,
)
OPAQUE = {"pre", "code", "text_link", "text_mention", "custom_emoji"}


def utf16_length(text: str) -> int:
    """Return the length in UTF-16 code units."""
    return len(text) + sum(ord(c) > 0xFFFF for c in text)


def utf16_slice(text: str, offset: int, length: int) -> str:
    """Return the part at an offset and of a length in UTF-16 code units."""
    raw = text.encode("utf-16-le", "surrogatepass")
    return raw[2 * offset : 2 * (offset + length)].decode("utf-16-le", "replace")


def formatted(text: str, parse_mode: str | None, explicit: list[Entity] | None) -> Parsed:
    """Return the text that Telegram shows, trimmed, and its entities, automatic ones included.

    Raises:
        ApiError: the markup is broken.
    """
    text = text.replace("\r", "").replace("\0", "")
    parser = PARSERS.get((parse_mode or "").lower())
    if parse_mode and not parser:
        raise bad_request("unsupported parse_mode")
    text, entities = parser(text) if parser else (text, _explicit(text, explicit or []))
    text, entities = _trimmed(text, entities)
    return text, _sorted(entities + automatic(text, entities))


def automatic(text: str, taken: list[Entity]) -> list[Entity]:
    """Return the links, mentions, hashtags, commands and addresses that clients mark by themselves."""
    found = []
    for match in AUTOMATIC.finditer(text):
        offset = utf16_length(text[: match.start()])
        length = utf16_length(match.group())
        blocked = any(
            e["type"] in OPAQUE and e["offset"] < offset + length and offset < e["offset"] + e["length"]
            for e in taken
        )
        if not blocked:
            found.append({"type": match.lastgroup, "offset": offset, "length": length})
    return found


def _sorted(entities: list[Entity]) -> list[Entity]:
    return sorted(entities, key=lambda e: (e["offset"], -e["length"]))


def _trimmed(text: str, entities: list[Entity]) -> Parsed:
    """Trim as Telegram does: entities shrink with the text, and empty ones vanish."""
    left = utf16_length(text) - utf16_length(text.lstrip())
    text = text.strip()
    end = utf16_length(text)
    kept = []
    for entity in entities:
        start = max(entity["offset"] - left, 0)
        stop = min(entity["offset"] + entity["length"] - left, end)
        if stop > start:
            kept.append(entity | {"offset": start, "length": stop - start})
    return text, kept


def _explicit(text: str, entities: list[Entity]) -> list[Entity]:
    end = utf16_length(text)
    kept = []
    for entity in entities:
        if not isinstance(entity, dict) or not {"type", "offset", "length"} <= entity.keys():
            raise bad_request("can't parse MessageEntity: expected an object with type, offset and length")
        start, stop = int(entity["offset"]), int(entity["offset"]) + int(entity["length"])
        if start < 0 or stop > end or stop < start:
            raise bad_request(
                f"entity beginning at UTF-16 offset {start} ends after the end of the text"
                f" at UTF-16 offset {stop}"
                if stop > end
                else "receive an entity with incorrect offset or length"
            )
        if stop > start and entity["type"] not in {"mention", "hashtag", "bot_command", "url", "email"}:
            kept.append(dict(entity))
    return kept


def _broken(reason: str) -> ApiError:
    return bad_request(f"can't parse entities: {reason}")


@dataclass
class _Output:
    """The text so far, and the entities open and closed in it."""

    source: str
    parts: list[str] = field(default_factory=list)
    length: int = 0
    entities: list[Entity] = field(default_factory=list)

    def write(self, text: str) -> None:
        self.parts.append(text)
        self.length += utf16_length(text)

    def close(self, kind: str, start: int, **extra: Any) -> None:
        if self.length > start:
            self.entities.append({"type": kind, "offset": start, "length": self.length - start, **extra})

    def byte(self, position: int) -> int:
        return len(self.source[:position].encode())

    def result(self) -> Parsed:
        return "".join(self.parts), _sorted(self.entities)


def parse_html(text: str) -> Parsed:
    """Parse the HTML style."""
    out = _Output(text)
    stack: list[tuple[str, int, dict[str, str], int]] = []
    position = 0
    while position < len(text):
        if text[position] == "<":
            match = _tag(out, position)
            if match.group(1):
                _end_tag(out, stack, match)
            else:
                stack.append(_start_tag(out, match))
            position = match.end()
        elif character := CHARACTER.match(text, position):
            out.write(html.unescape(character.group()))
            position = character.end()
        else:
            end = re.compile(r"[<&]").search(text, position + 1)
            stop = end.start() if end else len(text)
            out.write(text[position:stop])
            position = stop
    if stack:
        raise _broken(f'Can\'t find end tag corresponding to start tag "{stack[-1][0]}"')
    return out.result()


def _tag(out: _Output, position: int) -> re.Match[str]:
    match = TAG.match(out.source, position)
    if match:
        return match
    if ">" not in out.source[position:]:
        raise _broken(f"Unclosed start tag at byte offset {out.byte(position)}")
    name = re.match(r"</?([^\s>/]*)", out.source[position:])
    tag = name.group(1) if name else ""
    raise _broken(f'Unsupported start tag "{tag}" at byte offset {out.byte(position)}')


def _start_tag(out: _Output, match: re.Match[str]) -> tuple[str, int, dict[str, str], int]:
    tag = match.group(2).lower()
    attributes = {
        m.group(1).lower(): html.unescape(m.group(2) or m.group(3) or m.group(4) or "")
        for m in ATTRIBUTE.finditer(match.group(3))
    }
    if tag not in TAGS:
        raise _broken(f'Unsupported start tag "{tag}" at byte offset {out.byte(match.start())}')
    if tag == "span" and attributes.get("class") != "tg-spoiler":
        raise _broken(f'Tag "span" must have class "tg-spoiler" at byte offset {out.byte(match.start())}')
    return tag, out.length, attributes, match.start()


def _end_tag(out: _Output, stack: list[tuple[str, int, dict[str, str], int]], match: re.Match[str]) -> None:
    found = match.group(2).lower()
    if not stack:
        raise _broken(f"Unexpected end tag at byte offset {out.byte(match.start())}")
    tag, start, attributes, _ = stack.pop()
    if found != tag:
        raise _broken(
            f"Unmatched end tag at byte offset {out.byte(match.start())},"
            f' expected "</{tag}>", found "</{found}>"'
        )
    nested_pre = stack and stack[-1][0] == "pre" and tag == "code"
    if nested_pre:
        language = attributes.get("class", "").removeprefix("language-")
        if language:
            stack[-1][2]["language"] = language
        return
    _close_html(out, tag, start, attributes)


def _close_html(out: _Output, tag: str, start: int, attributes: dict[str, str]) -> None:
    kind, extra = TAGS[tag], dict[str, Any]()
    if tag == "a":
        written = utf16_slice("".join(out.parts), start, out.length - start)
        link = _link(attributes.get("href") or written)
        if not link:
            return
        kind, extra = link
    elif tag == "blockquote" and "expandable" in attributes:
        kind = "expandable_blockquote"
    elif tag == "pre" and "language" in attributes:
        extra = {"language": attributes["language"]}
    elif tag == "tg-emoji":
        extra = {"custom_emoji_id": attributes.get("emoji-id", "")}
    out.close(kind, start, **extra)


def _link(url: str) -> tuple[str, dict[str, Any]] | None:
    """Return the entity of a link; None where Telegram shows plain text instead."""
    if match := re.fullmatch(r"tg://user\?id=(\d+)", url):
        return "text_mention", {"user": {"id": int(match.group(1)), "is_bot": False, "first_name": "User"}}
    if not re.match(r"(?:https?|tg|ton|mailto|tel):", url):
        if not re.match(r"[\w-]+(\.[\w-]+)+", url):
            return None
        url = f"http://{url}"
    if re.fullmatch(r"https?://[^/?#]+", url):
        url += "/"
    return "text_link", {"url": url}


MARKS = [("__", "underline"), ("||", "spoiler"), ("*", "bold"), ("_", "italic"), ("~", "strikethrough")]
MARK_NAMES = {
    "underline": "Underline", "spoiler": "Spoiler", "bold": "Bold", "italic": "Italic",
    "strikethrough": "Strikethrough", "code": "Code", "pre": "Pre", "text_link": "TextUrl",
    "blockquote": "BlockQuote", "custom_emoji": "CustomEmoji",
}  # fmt: skip


class _MarkdownV2:
    """Reads MarkdownV2: marks nest, an underscore pair is an underline, and a backslash escapes."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.out = _Output(text)
        self.position = 0
        self.stack: list[tuple[str, str, int, int]] = []
        self.quote: int | None = None
        self.line_start = True

    def parse(self) -> Parsed:
        while self.position < len(self.text):
            self._step()
        if self.stack:
            _, kind, _, start = self.stack[-1]
            raise _broken(
                f"Can't find end of {MARK_NAMES[kind]} entity at byte offset {self.out.byte(start)}"
            )
        self._end_quote()
        return self.out.result()

    def _step(self) -> None:
        text, position = self.text, self.position
        character = text[position]
        if self.line_start and self._quote_line():
            return
        self.line_start = character == "\n"
        if character == "\\" and position + 1 < len(text) and 0 < ord(text[position + 1]) <= 126:
            self.out.write(text[position + 1])
            self.position += 2
        elif character == "`":
            self._code()
        elif character == "]" and self.stack and self.stack[-1][0] == "[":
            self._end_link()
        elif not self._mark():
            self._plain(character)

    def _plain(self, character: str) -> None:
        if character == "[" or self.text.startswith("![", self.position):
            opener = "![" if character == "!" else "["
            self.stack.append(("[", "text_link", self.out.length, self.position))
            self.position += len(opener)
        elif character in RESERVED:
            raise _broken(f"Character '{character}' is reserved and must be escaped with the preceding '\\'")
        else:
            self.out.write(character)
            self.position += 1

    def _quote_line(self) -> bool:
        opened = self.text.startswith("**>", self.position)
        if opened or self.text.startswith(">", self.position):
            if opened:
                self._end_quote()
            if self.quote is None:
                self.quote = self.out.length
            self.position += 3 if opened else 1
            self.line_start = False
            return True
        self._end_quote()
        return False

    def _end_quote(self, kind: str = "blockquote") -> None:
        if self.quote is not None:
            self.out.close(kind, self.quote)
            self.quote = None

    def _mark(self) -> bool:
        end_of_line = self.text[self.position + 2 : self.position + 3] in {"", "\n"}
        closing = self.text.startswith("||", self.position) and end_of_line and not self._open("||")
        if self.quote is not None and closing:
            self.position += 2
            self._end_quote("expandable_blockquote")
            return True
        for mark, kind in MARKS:
            if self.text.startswith(mark, self.position):
                return self._toggle(mark, kind)
        return False

    def _toggle(self, mark: str, kind: str) -> bool:
        if self.stack and self.stack[-1][0] == mark:
            _, kind, start, _ = self.stack.pop()
            self.out.close(kind, start)
        elif mark == "__" and self.stack and self.stack[-1][0] == "_" and not self._open("__"):
            return self._toggle("_", "italic")
        elif self._open(mark):
            raise self._unclosed()
        else:
            self.stack.append((mark, kind, self.out.length, self.position))
        self.position += len(mark)
        return True

    def _open(self, mark: str) -> bool:
        return any(opened == mark for opened, *_ in self.stack)

    def _unclosed(self) -> ApiError:
        _, kind, _, start = self.stack[-1]
        return _broken(f"Can't find end of {MARK_NAMES[kind]} entity at byte offset {self.out.byte(start)}")

    def _code(self) -> None:
        fence = "```" if self.text.startswith("```", self.position) else "`"
        kind, begin = ("pre" if fence == "```" else "code"), self.position + len(fence)
        end = begin
        while end < len(self.text) and not self.text.startswith(fence, end):
            end += 2 if self.text[end] == "\\" else 1
        if end >= len(self.text):
            raise _broken(
                f"Can't find end of {MARK_NAMES[kind]} entity at byte offset {self.out.byte(self.position)}"
            )
        body = re.sub(r"\\([\x01-\x7e])", r"\1", self.text[begin:end])
        extra = {}
        if kind == "pre" and (match := re.match(r"([^\s`]*)\n", body)):
            extra = {"language": match.group(1)} if match.group(1) else {}
            body = body[match.end() :]
        start = self.out.length
        self.out.write(body)
        self.out.close(kind, start, **extra)
        self.position = end + len(fence)

    def _end_link(self) -> None:
        _, _, start, _ = self.stack.pop()
        self.position += 1
        if not self.text.startswith("(", self.position):
            return
        end = self.position + 1
        while end < len(self.text) and self.text[end] != ")":
            end += 2 if self.text[end] == "\\" else 1
        if end >= len(self.text):
            raise _broken(f"Can't find end of a URL at byte offset {self.out.byte(self.position)}")
        url = re.sub(r"\\([\x01-\x7e])", r"\1", self.text[self.position + 1 : end])
        self.position = end + 1
        if emoji := re.fullmatch(r"tg://emoji\?id=(\d+)", url):
            self.out.close("custom_emoji", start, custom_emoji_id=emoji.group(1))
        elif link := _link(url):
            self.out.close(link[0], start, **link[1])


def parse_markdown_v2(text: str) -> Parsed:
    """Parse the MarkdownV2 style."""
    return _MarkdownV2(text).parse()


MARKDOWN = re.compile(r"\\([_*`\[])|```(?:([^\s`]+)\n|\n)?(.*?)```|`([^`]+)`|\*([^*]+)\*|_([^_]+)_|\[([^\]]+)\]\(([^)]+)\)|([_*`\[])", re.DOTALL)  # fmt: skip  # noqa: E501


def parse_markdown(text: str) -> Parsed:
    """Parse the legacy Markdown style, which does not nest."""
    out = _Output(text)
    position = 0
    for match in MARKDOWN.finditer(text):
        out.write(text[position : match.start()])
        position = match.end()
        _markdown_part(out, match)
    out.write(text[position:])
    return out.result()


def _markdown_part(out: _Output, match: re.Match[str]) -> None:
    escaped, language, pre, code, bold, italic, label, url, lone = match.groups()
    start = out.length
    if lone == "[" or escaped:
        out.write(lone or escaped)
    elif lone:
        raise _broken(f"Can't find end of the entity starting at byte offset {out.byte(match.start())}")
    elif label:
        out.write(label)
        if link := _link(url):
            out.close(link[0], start, **link[1])
    else:
        kinds = (("pre", pre), ("code", code), ("bold", bold), ("italic", italic))
        kind, body = next((kind, body) for kind, body in kinds if body is not None)
        out.write(body)
        out.close(kind, start, **({"language": language} if language else {}))


PARSERS: dict[str, Callable[[str], Parsed]] = {
    "html": parse_html,
    "markdownv2": parse_markdown_v2,
    "markdown": parse_markdown,
}

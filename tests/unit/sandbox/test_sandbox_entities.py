import pytest

from aisha_sandbox.answers import ApiError
from aisha_sandbox.entities import formatted


def kinds(text: str, mode: str | None = None) -> tuple[str, list[tuple[str, int, int]]]:
    plain, entities = formatted(text, mode, None)
    return plain, [(e["type"], e["offset"], e["length"]) for e in entities]


def test_html_nests_and_unescapes() -> None:
    assert kinds("<b>a <i>b</i></b> &lt;c&gt;", "HTML") == ("a b <c>", [("bold", 0, 3), ("italic", 2, 1)])


def test_offsets_count_utf16_units() -> None:
    assert kinds("😀<b>x</b>", "HTML") == ("😀x", [("bold", 2, 1)])


def test_the_text_is_trimmed_and_its_entities_with_it() -> None:
    assert kinds("  <b> hi </b>\n", "HTML") == ("hi", [("bold", 0, 2)])


def test_code_in_pre_names_the_language() -> None:
    _, (entity,) = formatted('<pre><code class="language-python">x</code></pre>', "HTML", None)
    assert (entity["type"], entity["language"]) == ("pre", "python")


def test_markdown_v2_marks_escapes_and_links() -> None:
    text, found = kinds(r"*b* _i_ __u__ ~s~ ||p|| `c` [l](https://a.b) \!", "MarkdownV2")
    assert text == "b i u s p c l !"
    assert [kind for kind, *_ in found] == [
        "bold", "italic", "underline", "strikethrough", "spoiler", "code", "text_link",
    ]  # fmt: skip


def test_markdown_v2_quotes_lines() -> None:
    assert kinds(">a\n>b\nc", "MarkdownV2") == ("a\nb\nc", [("blockquote", 0, 4)])


def test_clients_mark_commands_links_mentions_and_hashtags() -> None:
    _, found = kinds("/start@some_bot see https://a.io/x, @someone #tag not/this")
    assert [kind for kind, *_ in found] == ["bot_command", "url", "mention", "hashtag"]


def test_nothing_is_marked_within_code() -> None:
    assert kinds("<code>/start @someone</code>", "HTML")[1] == [("code", 0, 15)]


@pytest.mark.parametrize(
    ("text", "mode", "reason"),
    [
        ("<foo>x</foo>", "HTML", 'Unsupported start tag "foo" at byte offset 0'),
        ("<b>x", "HTML", 'Can\'t find end tag corresponding to start tag "b"'),
        ("я</b>", "HTML", "Unexpected end tag at byte offset 2"),
        ("<b>x</i>", "HTML", 'Unmatched end tag at byte offset 4, expected "</b>", found "</i>"'),
        ("a.", "MarkdownV2", r"Character '.' is reserved and must be escaped with the preceding '\'"),
        ("*a", "MarkdownV2", "Can't find end of Bold entity at byte offset 0"),
        ("`a", "MarkdownV2", "Can't find end of Code entity at byte offset 0"),
        ("*a", "Markdown", "Can't find end of the entity starting at byte offset 0"),
    ],
)
def test_broken_markup_is_refused_in_telegrams_words(text: str, mode: str | None, reason: str) -> None:
    with pytest.raises(ApiError) as caught:
        formatted(text, mode, None)
    assert caught.value.description == f"Bad Request: can't parse entities: {reason}"

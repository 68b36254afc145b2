"""docs/glossary.md lists terms that the project uses."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GLOSSARY = ROOT / "docs" / "glossary.md"
LINES = [line for line in GLOSSARY.read_text().splitlines() if line.startswith("- ")]
TERMS = [re.fullmatch(r"- \*\*(.+?)\*\*: [^.].+\.\)?", line) for line in LINES]
SOURCES = [
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/*.md"),
    *(path for folder in ("app", "ansible", "roles") for path in (ROOT / folder).rglob("*.*")),
]
ELSEWHERE = "\n".join(
    path.read_text() for path in SOURCES if path != GLOSSARY and path.suffix in {".md", ".py", ".yml"}
)


def test_every_line_is_a_term_with_its_sentences() -> None:
    assert LINES
    assert [line for line, term in zip(LINES, TERMS, strict=True) if not term] == []


def test_the_terms_are_sorted_and_each_is_there_once() -> None:
    terms = [term[1].casefold() for term in TERMS if term]
    assert terms == sorted(set(terms))


@pytest.mark.parametrize("term", [term[1] for term in TERMS if term])
def test_a_term_is_used_elsewhere(term: str) -> None:
    assert re.search(rf"\b{re.escape(term)}", ELSEWHERE, re.IGNORECASE)

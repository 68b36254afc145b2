"""A language is found however its code is written."""

import pytest

from aisha.errors import ModelError
from aisha.models.catalogue import language


@pytest.mark.parametrize("code", ["en", "EN", "en-US", "en_GB", " En-us "])
def test_a_language_is_found_by_any_of_its_tags(code: str) -> None:
    assert language(code).code == "en"


@pytest.mark.parametrize("code", ["", "-", "xx", "english", "enx-US"])
def test_what_is_no_language_is_refused_with_those_that_are(code: str) -> None:
    with pytest.raises(ModelError, match=r"en \(English\)"):
        language(code)

"""The languages that Aisha can recognise, and the models of each, named as in the vendor's list."""

import re
from dataclasses import dataclass
from typing import Literal

from aisha.errors import ModelError

VENDOR_URL = "https://alphacephei.com/vosk/models"
"""Where the vendor publishes the models, by name; `model-list.json` is beside them."""

Size = Literal["small", "large"]


@dataclass(frozen=True, slots=True)
class Model:
    """One published model; `megabytes` is the archive's size, for people."""

    name: str
    language: str
    size: Size
    megabytes: int


@dataclass(frozen=True, slots=True)
class MavenModel:
    """A model that its vendor publishes as a Maven artifact, with the SHA-256 of its archive."""

    group: str
    artifact: str
    version: str
    packaging: str
    sha256: str

    @property
    def file_name(self) -> str:
        """The archive's name in any Maven repository."""
        return f"{self.artifact}-{self.version}.{self.packaging}"


@dataclass(frozen=True, slots=True)
class Language:
    """A language of speech: ISO 639-1 code, its names, and its models."""

    code: str
    english: str
    russian: str
    native: str
    small: Model
    large: Model | None = None

    def model(self, size: Size) -> Model:
        """Return the model of that size.

        Raises:
            ModelError: the vendor publishes none.
        """
        if size == "small":
            return self.small
        if self.large is None:
            raise ModelError(f"there is no large model for {self.english}; pull the small one")
        return self.large


def _language(
    code: str,
    names: tuple[str, str, str],
    small: tuple[str, int],
    large: tuple[str, int] | None = None,
) -> Language:
    big = Model(large[0], code, "large", large[1]) if large else None
    return Language(code, *names, Model(small[0], code, "small", small[1]), big)


LANGUAGES: dict[str, Language] = {
    language.code: language
    for language in (
        _language(
            "en",
            ("English", "английский", "English"),
            ("vosk-model-small-en-us-0.15", 40),
            ("vosk-model-en-us-0.22", 1800),
        ),
        _language(
            "ru",
            ("Russian", "русский", "русский"),
            ("vosk-model-small-ru-0.22", 45),
            ("vosk-model-ru-0.42", 1800),
        ),
        _language(
            "uk",
            ("Ukrainian", "украинский", "українська"),
            ("vosk-model-small-uk-v3-small", 133),
            ("vosk-model-uk-v3", 343),
        ),
        _language(
            "de",
            ("German", "немецкий", "Deutsch"),
            ("vosk-model-small-de-0.15", 45),
            ("vosk-model-de-0.21", 1900),
        ),
        _language(
            "fr",
            ("French", "французский", "français"),
            ("vosk-model-small-fr-0.22", 41),
            ("vosk-model-fr-0.22", 1400),
        ),
        _language(
            "es",
            ("Spanish", "испанский", "español"),
            ("vosk-model-small-es-0.42", 39),
            ("vosk-model-es-0.42", 1400),
        ),
        _language(
            "it",
            ("Italian", "итальянский", "italiano"),
            ("vosk-model-small-it-0.22", 48),
            ("vosk-model-it-0.22", 1200),
        ),
        _language(
            "pt",
            ("Portuguese", "португальский", "português"),
            ("vosk-model-small-pt-0.3", 31),
            ("vosk-model-pt-fb-v0.1.1-20220516_2113", 1600),
        ),
        _language("pl", ("Polish", "польский", "polski"), ("vosk-model-small-pl-0.22", 50)),
        _language("tr", ("Turkish", "турецкий", "Türkçe"), ("vosk-model-small-tr-0.3", 35)),
    )
}

MAVEN = {
    "vosk-model-small-en-us-0.15": MavenModel(
        group="com.alphacephei",
        artifact="vosk-model-en",
        version="0.3.45",
        packaging="aar",
        sha256="8a5792fccaf873b4745dbd1b3fe19d8a77a15898e806674020eea820424771cd",
    )
}
"""Models that can be fetched without the vendor's web site."""


def language(code: str) -> Language:
    """Return the language of a code or an IETF language tag, such as `en`, `EN` or `en-US`.

    Raises:
        ModelError: it is not in the catalogue; names those that are.
    """
    try:
        return LANGUAGES[re.split("[-_]", code.strip().lower())[0]]
    except KeyError:
        known = ", ".join(f"{one.code} ({one.english})" for one in LANGUAGES.values())
        raise ModelError(f"no model for the language {code!r}; known are {known}") from None


def named(name: str) -> Model | None:
    """Return the model of that name."""
    models = (model for one in LANGUAGES.values() for model in (one.small, one.large))
    return next((model for model in models if model and model.name == name), None)

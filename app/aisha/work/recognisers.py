"""The recognisers of this host, one for each language with an installed model, and what keeps them warm."""

import signal
import time
from itertools import takewhile

import structlog

from aisha.database import messages
from aisha.database.connect import connect
from aisha.errors import ModelError
from aisha.models.store import InstalledModel, installed
from aisha.objects import Objects
from aisha.settings import Settings
from aisha.speech.engine import ENGINE, Recogniser
from aisha.speech.media.reader import MediaReader
from aisha.speech.warm_up import warm_up_speech

log = structlog.get_logger(__name__)

WARM_ENOUGH = 25.0
WARM_MOST = 60.0
LOOK_SECONDS = 10
"""How often a worker looks whether a cold language has been spoken meanwhile."""


class Recognisers:
    """Loads, warms and replaces recognisers; lives in the worker's parent, before its work-horses are forked."""

    def __init__(self, settings: Settings, media: MediaReader) -> None:
        self._settings = settings
        self._media = media
        self._models: dict[str, InstalledModel] = {}
        self._refused: dict[str, InstalledModel] = {}
        self._warmth: dict[str, float] = {}
        self._look_again_at: dict[str, float] = {}
        self._warmed_with: dict[str, list[str]] = {}
        self.by_language: dict[str, Recogniser] = {}

    @property
    def languages(self) -> list[str]:
        """The languages that can be recognised."""
        return list(self.by_language)

    def load(self) -> None:
        """Load every installed model.

        Raises:
            ModelError: none is installed, or none loads.
        """
        self.follow()
        if not self.by_language:
            default = self._settings.default_language
            raise ModelError(
                f"no speech model in {self._settings.models_path} (AISHA_MODELS_DIR):"
                f" run `aisha models pull {default}`"
            )

    def follow(self) -> bool:
        """Load what was installed since, drop what was removed; tell whether anything changed.

        A model that does not load is logged and left alone until it is installed again.
        """
        found = installed(self._settings.models_path)
        wanted = {
            language: model for language, model in found.items() if self._refused.get(language) != model
        }
        if wanted == self._models or (self._models and not wanted):
            return False
        self.by_language = {
            language: self.by_language[language]
            for language, model in wanted.items()
            if self._models.get(language) == model
        }
        for language, model in wanted.items():
            if language not in self.by_language:
                self._load_one(language, model)
        self._models = {language: model for language, model in wanted.items() if language in self.by_language}
        return True

    def warm_up(self) -> None:
        """Warm what is cold with recorded speech of its language; ends early when this process is told to stop."""
        for language, recogniser in self.by_language.items():
            if language in self._warmth:
                continue
            began = time.monotonic()
            speech = warm_up_speech(language, self._settings.models_path)
            self._warmth[language] = recogniser.warm(takewhile(lambda _: not told_to_stop(), speech))
            took = round(time.monotonic() - began, 2)
            log.info("warmed up", language=language, seconds=round(self._warmth[language], 1), took=took)

    def warm_with_recent(self) -> bool:
        """Warm a language that is still cold with its recent recordings; tell whether one was warmed."""
        for language in self.languages:
            if self._warmth.get(language, 0) >= WARM_ENOUGH:
                continue
            if time.monotonic() < self._look_again_at.get(language, 0):
                continue
            self._look_again_at[language] = time.monotonic() + LOOK_SECONDS
            if (heard := self._hear_recent(language)) > self._warmth.get(language, 0):
                self._warmth[language] = heard
                log.info("warmed with recent recordings", language=language, seconds=round(heard, 1))
                return True
        return False

    def _load_one(self, language: str, model: InstalledModel) -> None:
        began = time.monotonic()
        for known in (self._warmth, self._look_again_at, self._warmed_with):
            known.pop(language, None)
        try:
            self.by_language[language] = ENGINE.load(model.path)
        except ModelError as error:
            self._refused[language] = model
            log.error("model not loaded", model=model.name, error=str(error))
        else:
            log.info("model loaded", model=model.name, took=round(time.monotonic() - began, 2))

    def _hear_recent(self, language: str) -> float:
        """Decode recent recordings to warm the graph; return their seconds, none where there are no new ones.

        Both clients are closed afterwards: an open connection would be inherited by every work-horse, and two of them
        would read from one socket.
        """
        heard = 0.0
        try:
            with connect(self._settings.database_address) as connection:
                keys = connection.all(messages.recent_speech(language))
            if keys == self._warmed_with.get(language, []):
                return 0.0
            with Objects(self._settings) as objects:
                for key in keys:
                    if heard < WARM_MOST and not told_to_stop():
                        with (
                            objects.spool(key, self._settings.spool_dir) as file,
                            self._media.blocks(file) as audio,
                        ):
                            heard += self.by_language[language].warm(audio)
            self._warmed_with[language] = keys
        except Exception as error:
            log.warning("no recent recordings to warm with", language=language, error=str(error))
        return heard


def told_to_stop() -> bool:
    """Return whether a stop signal, which this process has blocked, is pending."""
    return bool(signal.sigpending() & {signal.SIGTERM, signal.SIGINT})

"""Every error that Aisha raises on purpose, as one small tree.

The message of an error is for the operator: it names the thing and the fix. What a Telegram user reads is chosen
from `aisha.texts` by the error's class; what is logged is the event around it.
"""

from typing import ClassVar

from aisha.outcomes import Outcome


class AishaError(Exception):
    """The root: a failure whose message is fit to print without a traceback."""


class SettingsError(AishaError):
    """A setting is missing or malformed; the message names its environment variable."""


class ModelError(AishaError):
    """A speech model is unknown, not installed, damaged or cannot be fetched."""


class ServiceError(AishaError):
    """A service cannot be reached, does not start or does not become ready."""


class AudioError(AishaError):
    """A file cannot be transcribed, however often it is tried; `outcome` is what its message ends with."""

    outcome: ClassVar[Outcome] = "failed"


class EmptyFileError(AudioError):
    """The file has no bytes, or a header and no sound behind it."""

    outcome = "empty"


class UnreadableFileError(AudioError):
    """The file is no audio or video that can be decoded, or is damaged before its first sample."""

    outcome = "unreadable"


class DecoderKilledError(UnreadableFileError):
    """The process that decoded the file was killed, by no limit of its own: another attempt may succeed."""


class NoSoundError(AudioError):
    """The file is a video or image without an audio stream."""

    outcome = "no_sound"


class NoModelError(AudioError):
    """No worker has a model of the recording's language."""

    outcome = "no_model"


class TooLongError(AudioError):
    """The recording is longer than the operator allows."""

    outcome = "too_long"


class TooLargeError(AudioError):
    """The file is larger than the Bot API server or the operator allows."""

    outcome = "too_large"


class FileGoneError(AudioError):
    """Telegram no longer has the file."""

    outcome = "gone"

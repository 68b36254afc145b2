"""What can become of a recording: `messages.outcome` holds one of these, and `aisha.texts` has a sentence for each."""

from typing import Literal

Outcome = Literal[
    "speech",
    "silence",
    "no_speech",
    "too_short",
    "empty",
    "unreadable",
    "no_sound",
    "too_long",
    "too_large",
    "gone",
    "no_model",
    "failed",
]

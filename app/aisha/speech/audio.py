"""Decodes any recording to blocks of 16 kHz mono samples, in this process and piece by piece.

A recording that ends before its own container or its sender says is marked as truncated, so that the
reader of the text learns that it ends early.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, cast

import av
import numpy as np
from av.audio.stream import AudioStream
from numpy.typing import NDArray

from aisha.errors import EmptyFileError, UnreadableFileError
from aisha.speech.container import ends_within_page, open_container
from aisha.speech.lengths import SENDERS, declared_seconds, probable_seconds
from aisha.speech.level import RATE
from aisha.speech.loudness import Loudness
from aisha.speech.tracks import Track, audio_tracks, first_with_sound

MISSING, MISSING_PART, MISSING_PCM = 1.5, 0.05, 0.25
"""A recording is truncated when more than 1.5 s and more than 5 % of its declared length are missing; uncompressed,
when 0.25 s are, as there the header counts samples."""

Source = BinaryIO | Path


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """What a recording is; `duration` in seconds, None if neither the container nor decoding gives it.

    After decoding, `duration` is what was decoded, `declared` what the container or the sender promised,
    `damaged` the number of places that could not be decoded, and `truncated` whether the end is missing.
    `track` is the number of the audio track that is decoded, from 1 to `tracks`.
    """

    container: str
    codec: str
    sample_rate: int
    channels: int
    has_video: bool
    duration: float | None
    declared: float | None = None
    damaged: int = 0
    truncated: bool = False
    track: int = 1
    tracks: int = 1


def probe(source: Source) -> AudioInfo:
    """Read what the headers tell, without decoding; a seekable source is at its beginning again afterwards.

    Raises:
        EmptyFileError, UnreadableFileError, NoSoundError: as `blocks`.
    """
    with Blocks(source) as reader:
        return reader.info


def blocks(source: Source, expected_duration: float | None = None) -> "Blocks":
    """Decode one audio track of a file or of an open binary stream, which need not be seekable.

    It is the default track, or if that is silent, another one that is not.

    A source that cannot seek must be readable from front to back, as Ogg is and many MP4 files are not.
    `expected_duration` is the length in seconds that the sender declared. The result is an iterator of int16
    arrays of half a second; once it is exhausted, its `info` tells the decoded duration and the damage.

    Raises:
        EmptyFileError: there are no bytes, or no samples.
        UnreadableFileError: it is no audio or video, or nothing of it can be decoded.
        NoSoundError: there is no audio stream.
    """
    return Blocks(source, expected_duration)


class Blocks(Iterator[NDArray[np.int16]]):
    """The decoded audio of one recording, block by block.

    1. open the container, choose an audio track, discard every other stream;
    2. decode packet by packet; skip what is damaged and count it;
    3. mix the channels, place each frame by its timestamp (a gap becomes silence) and resample to 16 kHz;
    4. raise what is far too quiet and hand out blocks of half a second;
    5. at the end compare with what was declared, and close.
    """

    def __init__(self, source: Source, expected_duration: float | None = None) -> None:
        self._file, self._owned = (source.open("rb"), True) if isinstance(source, Path) else (source, False)
        self._seekable = self._file.seekable()
        self._expected = expected_duration
        try:
            self._container = open_container(self._file, self._seekable)
            self._stream, number, tracks = self._choose_track()
            self.info = self._describe(number, tracks)
            self._track = Track(self._container, self._stream, self.info.declared)
        except BaseException:
            self.close()
            raise
        self._samples = self._generate()

    def __enter__(self) -> "Blocks":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> "Blocks":
        return self

    def __next__(self) -> NDArray[np.int16]:
        return next(self._samples)

    def close(self) -> None:
        """Free the decoder; close the file if it was opened here, else rewind it."""
        if container := getattr(self, "_container", None):
            container.close()
        if self._owned:
            self._file.close()
        elif self._seekable and not self._file.closed:
            self._file.seek(0)

    def _choose_track(self) -> tuple[AudioStream, int, int]:
        """Return the track to decode, its number and how many there are; only a seekable file is looked through."""
        indices = [track.index for track in audio_tracks(self._container)]
        chosen = indices[0]
        if len(indices) > 1 and self._seekable:
            self._container.close()
            chosen = first_with_sound(self._file, indices)
            self._container = open_container(self._file, self._seekable)
        stream = cast("AudioStream", self._container.streams[chosen])
        return stream, sorted(indices).index(chosen) + 1, len(indices)

    def _describe(self, track: int, tracks: int) -> AudioInfo:
        context = self._stream.codec_context
        cover = av.stream.Disposition.attached_pic
        has_video = any(not stream.disposition & cover for stream in self._container.streams.video)
        declared = declared_seconds(self._container, self._stream, self._file)
        return AudioInfo(
            container=self._container.format.name,
            codec=context.name,
            sample_rate=context.sample_rate,
            channels=context.layout.nb_channels,
            has_video=has_video,
            duration=declared or probable_seconds(self._container, self._stream),
            declared=declared,
            track=track,
            tracks=tracks,
        )

    def _generate(self) -> Iterator[NDArray[np.int16]]:
        decoded = 0
        try:
            for block in Loudness().blocks(self._track.pieces()):
                decoded += block.size
                yield block
            self.info = self._judge_end(decoded / RATE)
        finally:
            self.close()

    def _judge_end(self, decoded: float) -> AudioInfo:
        """Compare with what was declared; a length is the sender's only where a recorder's container has none."""
        declared = self.info.declared
        if not declared and self.info.container.split(",")[0] in SENDERS:
            declared = self._expected
        broken = self._track.damaged > 0
        if not decoded and (broken or declared or self._cut_off()):
            raise UnreadableFileError(f"damaged before its first sample: {self.info.container}")
        if not decoded:
            raise EmptyFileError("the file is empty: it holds no sound")
        return replace(
            self.info,
            duration=decoded,
            declared=declared,
            damaged=self._track.damaged,
            truncated=self._is_missing(decoded, declared) or self._cut_off(),
        )

    def _is_missing(self, decoded: float, declared: float | None) -> bool:
        if not declared:
            return False
        uncompressed = self.info.codec.startswith("pcm_")
        return declared - decoded > (MISSING_PCM if uncompressed else max(MISSING, MISSING_PART * declared))

    def _cut_off(self) -> bool:
        """Tell whether the file ends within a packet.

        After an MP3's last frame there are often strange tags, which prove nothing.
        """
        kind = self.info.container
        if self._seekable and kind == "ogg" and ends_within_page(self._file):
            return True
        return self._track.ends_broken and kind != "mp3"

"""The audio tracks of a recording: which there are, which is heard, and how one is decoded."""

from collections.abc import Iterator
from typing import Any, BinaryIO, cast

import av
import av.error
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer

from aisha.errors import EmptyFileError, NoSoundError, UnreadableFileError
from aisha.speech.channels import Samples
from aisha.speech.container import open_container
from aisha.speech.level import Level
from aisha.speech.loudness import Loudness
from aisha.speech.timeline import Clock, check_rate, timed

BROKEN_READS = 16
KEEPING_TIME = {"amrnb": "libopencore_amrnb", "amrwb": "libopencore_amrwb"}
"""Decoders that make silence of the frames that AMR leaves out in pauses (DTX), where FFmpeg's own fail."""

SOUND = 0.3
"""Seconds above -50 dBFS; a track with less is a click or silence."""

TRACKS = 16
"""Tracks that are looked at."""


def audio_tracks(container: InputContainer) -> list[AudioStream]:
    """Return the tracks that can be decoded, the default first.

    Raises:
        EmptyFileError: there is no track of any kind.
        UnreadableFileError: none can be decoded.
        NoSoundError: there is no audio track.
    """
    tracks = [stream for stream in container.streams.audio if _decodable(stream)]
    if not tracks:
        if not len(container.streams):
            raise EmptyFileError("the file is empty: it holds no sound")
        if container.streams.video and not container.streams.audio:
            raise NoSoundError(f"no audio stream in this {container.format.name}")
        raise UnreadableFileError(f"no audio that can be decoded in this {container.format.name}")
    check_rate(max(track.codec_context.sample_rate for track in tracks))
    check_rate(min(track.codec_context.sample_rate for track in tracks))
    return sorted(tracks[:TRACKS], key=lambda s: not s.disposition & av.stream.Disposition.default)


def first_with_sound(file: BinaryIO, indices: list[int]) -> int:
    """Return the first of these streams that is not silent, else the one with the most sound."""
    heard: dict[int, float] = {}
    for index in indices:
        heard[index] = _heard(file, index)
        if heard[index] >= SOUND:
            return index
    return max(indices, key=lambda index: heard[index])


class Track:
    """One audio stream of an open container; every other one is discarded.

    `damaged` is the number of places that could not be decoded, `ends_broken` whether the last of them is the end.
    """

    def __init__(self, container: InputContainer, stream: AudioStream, declared: float | None = None) -> None:
        self._container, self._stream = container, stream
        self._clock = Clock(stream, container, declared)
        self._decoder = _decoder(stream)
        self.damaged = 0
        self.ends_broken = False
        for other in container.streams:
            if other is not stream:
                other.discard = av.stream.Discard.all

    def pieces(self) -> Iterator[Samples]:
        """Decode the stream to pieces of mono samples at 16 kHz; what is damaged is skipped."""
        begun = False
        for gap, piece in timed(self._frames(), self._clock):
            if gap and begun and self._container.format.name == "ogg":
                self.damaged += 1  # a gap in Ogg is skipped pages
            begun = True
            yield piece

    def _frames(self) -> Iterator[AudioFrame]:
        """Yield what can be decoded."""
        for packet in self._packets():
            try:
                frames = self._decoder.decode(packet) if self._decoder else packet.decode()
                for frame in cast("list[AudioFrame]", frames):
                    self.ends_broken = False
                    yield frame
            except (av.error.FFmpegError, OSError, ValueError):
                self._count_damage()

    def _packets(self) -> Iterator[Any]:
        """Yield the packets of the stream; after a broken read continue behind it, a bounded number of times."""
        broken = 0
        while broken < BROKEN_READS:
            try:
                yield from self._container.demux(self._stream)
            except IndexError:
                continue  # a packet of a stream that began midway, which PyAV does not know
            except (av.error.FFmpegError, OSError):
                self._count_damage()
                broken += 1
            else:
                return

    def _count_damage(self) -> None:
        self.damaged += 1
        self.ends_broken = True


def _decodable(stream: AudioStream) -> bool:
    return stream.codec_context is not None and stream.codec_context.sample_rate > 0


def _decoder(stream: AudioStream) -> AudioCodecContext | None:
    """Return a decoder that keeps time better than the stream's own, if there is one."""
    name = KEEPING_TIME.get(stream.codec_context.name)
    if not name or name not in av.codecs_available:
        return None
    return cast("AudioCodecContext", AudioCodecContext.create(name, "r"))


def _heard(file: BinaryIO, index: int) -> float:
    """Return the seconds of sound in a stream, at most a bit more than `SOUND`."""
    heard = 0.0
    with open_container(file, seekable=True) as container:
        track = Track(container, cast("AudioStream", container.streams[index]))
        for block in Loudness().blocks(track.pieces()):
            heard += Level.of(block).heard
            if heard >= SOUND:
                break
    return heard

"""Audio files in and out, and change of sample rate."""

from __future__ import annotations

import io
import os
import stat
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import soundfile as sf
import soxr
from numpy.typing import NDArray

from .checks import ParameterError, float_array, integer, number
from .files import refuse_device, writing
from .hints import Array, ArrayLike, PathLike

# sizes that a program writes when it streams and does not know the length yet
_UNKNOWN_SIZES = (0xFFFFFFFF, 0x7FFFF000, 0xFFFFFFFFFFFFFFFF)
_HIGHEST_RATE = 10_000_000  # beyond any converter: a damaged header, whose frames would be endless
_MOST_CHUNKS = 10_000  # that is read in search of the sound
# first bytes; where chunks begin; a chunk's name and size; what of it counts in the size; padding
_CHUNKED = (
    ((b"RIFF", b"RF64"), 12, "<4sI", 0, 2),
    ((b"RIFX", b"FORM"), 12, ">4sI", 0, 2),
    (b"riff\x2e\x91\xcf\x11", 40, "<16sQ", 24, 8),  # W64
    (b"caff", 8, ">4sQ", 0, 1),
)
_READ_VALUES = 2**20  # numbers taken at once: many channels make shorter blocks


def read_audio(path: PathLike) -> tuple[NDArray[np.float32], int]:
    """Read a whole audio file as one channel.

    Parameters
    ----------
    path : str or path-like
        Any file that libsndfile reads: WAV, AIFF, FLAC, Ogg, MP3 and others; "-" is standard
        input.

    Returns
    -------
    audio : ndarray, shape (N,), float32
        Samples, full scale = 1; several channels are averaged. Integer files of up to 24 bits
        come through exactly.
    sample_rate : int
        Samples per second, in Hz.

    Raises
    ------
    ParameterError
        If the file is missing or unreadable, is cut short, holds no samples, or holds NaN or
        infinity; the one-line message names the file.

    Notes
    -----
    libsndfile reads WAV, AIFF, AU, CAF and W64 files that were cut short without a word, so the
    size that their header declares is compared with the file's length here. Ogg files declare no
    length: of one that was cut short, what is left is read.

    Examples
    --------
    >>> audio, sample_rate = read_audio("examples/notes/clarinet_F4.wav")
    >>> audio.shape, audio.dtype, sample_rate
    ((66150,), dtype('float32'), 44100)
    """
    blocks = read_blocks(path)
    return np.concatenate(list(blocks)), blocks.sample_rate


def read_blocks(path: PathLike, block_samples: int = 2**19) -> AudioBlocks:
    """Read an audio file as one channel, block by block, in memory that does not grow with it.

    Parameters
    ----------
    path : str or path-like
        As for `read_audio`. What comes through a pipe is held in memory, encoded as it came.
    block_samples : int
        Largest length of a block.

    Returns
    -------
    AudioBlocks
        To iterate over, as often as needed: the blocks of `read_audio`'s samples.

    Raises
    ------
    ParameterError
        As for `read_audio`, with the same message: at once where the header tells, else when the
        fault is reached.

    Examples
    --------
    >>> blocks = read_blocks("examples/notes/clarinet_F4.wav", 50000)
    >>> blocks.sample_rate, [len(block) for block in blocks]
    (44100, [50000, 16150])
    """
    return AudioBlocks(path, block_samples)


class AudioBlocks:
    """The samples of an audio file in blocks, as `read_blocks` gives them.

    Parameters
    ----------
    path : str or path-like
        The file.
    block_samples : int
        Largest length of a block.

    Attributes
    ----------
    sample_rate : int
        Samples per second, in Hz.
    """

    def __init__(self, path: PathLike, block_samples: int = 2**19) -> None:
        """Look at the header."""
        self._name = "standard input" if str(path) == "-" else path
        self._block_samples = integer("block_samples", block_samples, 1)
        with self._one_line_errors():
            self._source = _seekable(path)
            self._piped = isinstance(self._source, bytes)
            with self._open() as file:
                declared, held = _sound_bytes(file)
            if declared > held:
                self._refuse_cut("bytes of sound", declared, held)
            with self._open_sound() as file:
                self.sample_rate, self._n_frames = file.samplerate, file.frames
        if not 1 <= self.sample_rate <= _HIGHEST_RATE:
            self._refuse(
                f"its sample rate must be from 1 to {_HIGHEST_RATE} Hz, got {self.sample_rate}"
            )

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Yield float32 arrays of shape (at most block_samples,)."""
        n_samples = 0
        with self._one_line_errors(), self._open_sound() as file:
            if file.samplerate != self.sample_rate or file.frames < self._n_frames:
                self._refuse("it has changed since it was opened")
            n_rows = max(1, min(self._block_samples, _READ_VALUES // file.channels))
            while len(channels := file.read(n_rows, dtype="float32", always_2d=True)):
                with np.errstate(over="ignore", invalid="ignore"):
                    block = channels[:, 0] if channels.shape[1] == 1 else channels.mean(axis=1)
                finite = np.isfinite(block)
                if not finite.all():
                    first = int(finite.argmin())
                    self._refuse(
                        f"samples must be finite, got {block[first]} at sample {n_samples + first}"
                    )
                n_samples += len(block)
                yield np.ascontiguousarray(block)
            n_declared = file.frames
        if n_samples < n_declared:
            self._refuse_cut("samples", n_declared, n_samples)
        if n_samples == 0:
            self._refuse("it holds no samples")

    def _open(self):
        return io.BytesIO(self._source) if self._piped else open(self._source, "rb")

    def _open_sound(self):
        return sf.SoundFile(self._open() if self._piped else _native(self._source))

    def _refuse(self, reason):
        raise ParameterError(f"cannot read {self._name}: {reason}")

    def _refuse_cut(self, what, declared, held):
        self._refuse(
            f"it is cut short: its header declares {declared} {what}, the file holds {held}"
        )

    @contextmanager
    def _one_line_errors(self):
        try:
            yield
        except OSError as error:
            reason = error.strerror or error
        except (sf.SoundFileError, TypeError, MemoryError) as error:  # TypeError: headerless .raw
            reason = getattr(error, "error_string", str(error)).rstrip(". ")
            if reason.startswith("File does not exist"):  # said of a damaged MP3, which does
                reason = "it is damaged"
        else:
            return
        raise ParameterError(f"cannot read {self._name}: {reason or 'not enough memory'}")


def _seekable(path):
    """Return `path`, or the bytes of a pipe: whoever reads a header has to go back."""
    if str(path) == "-":
        if sys.stdin.isatty():
            raise OSError("it is a terminal")
        return sys.stdin.buffer.read()
    refuse_device(path)
    if stat.S_ISFIFO(os.stat(path).st_mode):
        with open(path, "rb") as pipe:
            return pipe.read()
    return path


def _native(path):
    """The path as soundfile takes it even where its bytes are no text."""
    return path if os.name == "nt" else os.fsencode(path)


def _sound_bytes(file):
    """Return how many bytes of sound an uncompressed file declares, and how many it holds.

    Both are 0 where the format declares none, and where the header leaves the size open.
    """
    head = file.read(24)
    end = file.seek(0, 2)
    if head[:4] == b".snd" and len(head) == 24:  # AU: one header, one size
        start, size = struct.unpack(">4xII", head[:12])
        return (0, 0) if size in _UNKNOWN_SIZES else (size, max(end - start, 0))
    known = [layout for magic, *layout in _CHUNKED if head.startswith(magic)]
    if not known:
        return 0, 0
    start, head_format, counted, padding = known[0]
    length, size_64 = struct.calcsize(head_format), None
    for _ in range(_MOST_CHUNKS):
        file.seek(start)
        head = file.read(length)
        if len(head) < length:
            break
        name, size = struct.unpack(head_format, head)
        start += length
        if name == b"ds64" and end - start >= 16:  # RF64: sizes beyond 32 bits
            size_64 = struct.unpack("<8xQ", file.read(16))[0]
        if name[:4] in (b"data", b"SSND", b"BODY"):
            if size == 0xFFFFFFFF and size_64 is not None:
                size = size_64
            return (0, 0) if size in _UNKNOWN_SIZES else (size - counted, end - start)
        size = max(size - counted, 0)
        start += size + -size % padding
        if start >= end:
            break
    return 0, 0


def write_wav(
    path: PathLike, audio: ArrayLike, sample_rate: int, *, overwrite: bool = False
) -> None:
    """Write one channel as a WAV file, whole or not at all.

    Parameters
    ----------
    path : str or path-like
        The file to write. It is written under another name beside it and then renamed.
    audio : array_like, shape (N,)
        Samples, full scale = 1.
    sample_rate : int
        Samples per second, in Hz.
    overwrite : bool
        Replace a file that is already there.

    Raises
    ------
    ParameterError
        If an argument breaks its rule, the file exists and `overwrite` is false, or it cannot be
        written.

    Notes
    -----
    The file has 16 bits. Where a sample lies beyond full scale it has 32-bit floats instead:
    nothing is clipped and the level stays as it is.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_wav(f"{folder}/half.wav", [0.0, 0.5, -0.5], 8000)
    ...     read_audio(f"{folder}/half.wav")
    (array([ 0. ,  0.5, -0.5], dtype=float32), 8000)
    """
    audio = float_array("audio", audio, 1)
    sample_rate = integer("sample_rate", sample_rate, 1)
    subtype = "PCM_16" if np.abs(audio).max() <= 1 else "FLOAT"
    with writing(path, overwrite=overwrite) as part:
        try:
            sf.write(_native(part), audio, sample_rate, subtype=subtype, format="WAV")
        except sf.SoundFileError as error:
            reason = getattr(error, "error_string", str(error)).rstrip(". ")
            raise ParameterError(f"cannot write {path}: {reason}") from None


def resample(audio: ArrayLike, from_rate: float, to_rate: float) -> Array:
    """Bring one channel from one sample rate to another.

    Parameters
    ----------
    audio : array_like, shape (N,)
        Samples; float32 stays float32, everything else becomes float64.
    from_rate, to_rate : float
        Sample rates in Hz.

    Returns
    -------
    ndarray, shape (about N * to_rate / from_rate,)
        The same sound at `to_rate`; sample 0 stays at time 0.

    Raises
    ------
    ParameterError
        If an argument breaks its rule, or no sample would be left.

    Notes
    -----
    By the library soxr at its setting HQ: 20 bits, linear phase.

    Examples
    --------
    >>> resample(np.zeros(44100), 44100, 16000).shape
    (16000,)
    """
    audio = float_array("audio", audio, 1)
    from_rate = number("from_rate", from_rate, above=0)
    to_rate = number("to_rate", to_rate, above=0)
    if from_rate == to_rate:
        return audio
    resampled = soxr.resample(audio, from_rate, to_rate)
    if resampled.size == 0:
        raise ParameterError(
            f"audio must be longer: {audio.size} samples at {from_rate:g} Hz "
            f"leave none at {to_rate:g} Hz"
        )
    return resampled

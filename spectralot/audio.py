"""Audio files in and out, and change of sample rate."""

import struct

import numpy as np
import soundfile as sf
import soxr

from .checks import ParameterError, float_array, integer, number
from .files import writing

# sizes that a program writes when it streams and does not know the length yet
_UNKNOWN_SIZES = (0xFFFFFFFF, 0x7FFFF000)


def read_audio(path):
    """Read a whole audio file as one channel.

    Parameters
    ----------
    path : str or path-like
        Any file that libsndfile reads: WAV, AIFF, FLAC, Ogg, MP3 and others.

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
    libsndfile reads a WAV or AIFF file that was cut short without a word, so the size that its
    header declares is compared with the file's length here. Ogg files declare no length: of one
    that was cut short, what is left is read.

    Examples
    --------
    >>> audio, sample_rate = read_audio("examples/notes/clarinet_F4.wav")
    >>> audio.shape, audio.dtype, sample_rate
    ((66150,), dtype('float32'), 44100)
    """
    try:
        declared, held = _sound_bytes(path)
        with sf.SoundFile(path) as file:
            n_declared, sample_rate = file.frames, file.samplerate
            channels = file.read(dtype="float32", always_2d=True)
    except OSError as error:
        raise ParameterError(f"cannot read {path}: {error.strerror or error}") from None
    except (sf.SoundFileError, TypeError, MemoryError) as error:  # TypeError: headerless .raw
        reason = getattr(error, "error_string", str(error)).rstrip(". ")
        raise ParameterError(f"cannot read {path}: {reason}") from None
    if declared > held:
        raise ParameterError(
            f"cannot read {path}: it is cut short: "
            f"its header declares {declared} bytes of sound, the file holds {held}"
        )
    if len(channels) < n_declared:
        raise ParameterError(
            f"cannot read {path}: it is cut short: "
            f"its header declares {n_declared} samples, the file holds {len(channels)}"
        )
    if len(channels) == 0:
        raise ParameterError(f"cannot read {path}: it holds no samples")
    audio = channels[:, 0] if channels.shape[1] == 1 else channels.mean(axis=1)
    finite = np.isfinite(audio)
    if not finite.all():
        first = int(finite.argmin())
        raise ParameterError(
            f"cannot read {path}: samples must be finite, got {audio[first]} at sample {first}"
        )
    return np.ascontiguousarray(audio), sample_rate


def _sound_bytes(path):
    """Return how many bytes of sound a WAV or AIFF file declares, and how many it holds.

    Both are 0 for any other file, and where the header leaves the size open.
    """
    with open(path, "rb") as file:
        form = file.read(12)[:4]
        if form not in (b"RIFF", b"RIFX", b"RF64", b"FORM"):
            return 0, 0
        order = ">" if form in (b"RIFX", b"FORM") else "<"
        end = file.seek(0, 2)
        start, size_64 = 20, None
        file.seek(12)
        while len(head := file.read(8)) == 8:
            name, size = struct.unpack(f"{order}4sI", head)
            if name == b"ds64" and end - start >= 16:  # RF64: sizes beyond 32 bits
                size_64 = struct.unpack("<8xQ", file.read(16))[0]
            if name in (b"data", b"SSND"):
                if size == 0xFFFFFFFF and size_64 is not None:
                    size = size_64
                return (0, 0) if size in _UNKNOWN_SIZES else (size, end - start)
            start += size + size % 2 + 8
            file.seek(start - 8)
    return 0, 0


def write_wav(path, audio, sample_rate, *, overwrite=False):
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
            sf.write(part, audio, sample_rate, subtype=subtype, format="WAV")
        except sf.SoundFileError as error:
            reason = getattr(error, "error_string", str(error)).rstrip(". ")
            raise ParameterError(f"cannot write {path}: {reason}") from None


def resample(audio, from_rate, to_rate):
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

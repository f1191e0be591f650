"""What a page plays: sounds encoded so that every browser knows them."""

import io

import numpy as np
import soundfile as sf

from ..audio import resample

LONGEST_S = 300.0  # what lasts longer is not heard on the page: it would weigh tens of megabytes
_LOSSLESS_BYTES = 1_500_000  # that FLAC may take, all sounds together
_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)  # that both formats know
_TYPES = {"FLAC": "audio/flac", "MP3": "audio/mpeg"}
FORMATS = {"audio/flac": "FLAC, 16 bits, lossless", "audio/mpeg": "MP3, some 80 kbit/s"}


def encoded(sounds, sample_rate):
    """Encode sounds that are to be compared by ear.

    Parameters
    ----------
    sounds : list of ndarray, shape (N,)
        Full scale = 1.
    sample_rate : float
        Samples per second, in Hz. Rates that browsers may not know become 48 kHz.

    Returns
    -------
    files : list of bytes
        FLAC of 16 bits, or MP3 where that would take more than 1.5 MB.
    media_type : str
        What a browser calls the format.
    gain_db : float
        Below 0 where all had to be made softer alike, lest one be clipped.
    """
    if sample_rate not in _RATES:
        sounds = [resample(sound, sample_rate, 48000) for sound in sounds]
        sample_rate = 48000
    loudest = max(float(np.abs(sound).max()) for sound in sounds)
    gain = 0.99 / loudest if loudest > 1 else 1.0
    for form in _TYPES:
        files = [_encode(gain * sound, sample_rate, form) for sound in sounds]
        if sum(map(len, files)) <= _LOSSLESS_BYTES:
            break
    return files, _TYPES[form], 20 * np.log10(gain)


def _encode(sound, sample_rate, form):
    file = io.BytesIO()
    sf.write(file, sound, int(sample_rate), format=form)
    return file.getvalue()

"""How far two recordings are apart, in decibels: numbers to report, without gradients.

Formulas: docs/derivations/vertical.md.
"""

import numpy as np

from . import checks
from .stft import stft_magnitude_forward

__all__ = ["level_difference_db", "log_spectral_distance"]

AVERAGES = ("rms", "square")
LOWEST_DB = -300.0


def log_spectral_distance(
    target,
    estimate,
    *,
    n_fft=1024,
    hop_length=256,
    window="hann",
    padding="end",
    floor_db=-50.0,
    average="rms",
):
    r"""Log-spectral distance of two recordings.

    .. math:: \mathrm{LSD} = \frac{1}{T} \sum_t \sqrt{\frac{1}{K} \sum_k
              \big(Y_{dB}[t,k] - X_{dB}[t,k]\big)^2}

    Parameters
    ----------
    target : array_like, shape (N,) or (B, N)
        What is to be reached.
    estimate : array_like, shape of the target
        What was reached.
    n_fft, hop_length : int
        Frame length and step in samples.
    window : str, tuple or array_like
        As in `spectralot.stft_magnitude_forward`.
    padding : {"end", "center", "none"}
        As in `spectralot.frame_count`.
    floor_db : float
        Lowest level that counts, at least -300, in dB relative to an orthonormal magnitude of 1.
        It decides how much bins without sound weigh: a published number belongs to its floor.
    average : {"rms", "square"}
        "rms": root of the mean square over bins, then the mean over frames, in dB: the textbook's.
        "square": the mean square over bins and frames, in dB squared: what the evaluation of
        arXiv:2312.14507 computes.

    Returns
    -------
    float, or ndarray of shape (B,)
        One distance for each item. A silent recording stands at the floor.

    Raises
    ------
    ParameterError
        If an argument breaks its rule or the shapes differ.

    References
    ----------
    Rabiner, Juang, *Fundamentals of Speech Recognition*, 1993, section 4.5.1 (log spectral
    distance); docs/derivations/vertical.md, equations 13 to 15.

    Examples
    --------
    >>> import numpy as np
    >>> from spectralot.metrics import log_spectral_distance
    >>> noise = np.random.default_rng(0).standard_normal(4096)
    >>> round(log_spectral_distance(noise, 0.5 * noise), 2)
    6.02
    """
    target, estimate = _pair(target, estimate)
    floor_db = checks.number("floor_db", floor_db, minimum=LOWEST_DB)
    checks.one_of("average", average, AVERAGES)
    stft = dict(n_fft=n_fft, hop_length=hop_length, window=window, padding=padding)
    levels = []
    for signal in (target, estimate):
        magnitude = stft_magnitude_forward(signal, **stft)[0].astype(np.float64, copy=False)
        levels.append(20 * np.log10(np.maximum(magnitude, 10 ** (floor_db / 20))))
    frames = np.square(levels[1] - levels[0]).mean(axis=-1)
    return _each((np.sqrt(frames) if average == "rms" else frames).mean(axis=-1))


def level_difference_db(target, estimate, *, floor_db=-120.0):
    """By how much the estimate is louder than the target.

    Parameters
    ----------
    target : array_like, shape (N,) or (B, N)
        What is to be reached.
    estimate : array_like, shape of the target
        What was reached.
    floor_db : float
        Lowest level that counts, at least -300, in dB relative to a root mean square of 1.

    Returns
    -------
    float, or ndarray of shape (B,)
        Level of the estimate's root mean square less that of the target's, in dB, one for each
        item. A silent recording stands at the floor.

    Raises
    ------
    ParameterError
        If an argument breaks its rule or the shapes differ.

    References
    ----------
    docs/derivations/vertical.md, equation 16.

    Examples
    --------
    >>> import numpy as np
    >>> from spectralot.metrics import level_difference_db
    >>> round(level_difference_db(np.ones(100), 0.5 * np.ones(100)), 2)
    -6.02
    """
    target, estimate = _pair(target, estimate)
    floor_db = checks.number("floor_db", floor_db, minimum=LOWEST_DB)
    powers = [np.square(x, dtype=np.float64).mean(axis=-1) for x in (target, estimate)]
    powers = np.maximum(powers, 10 ** (floor_db / 10))
    return _each(10 * np.log10(powers[1] / powers[0]))


def _pair(target, estimate):
    target = checks.float_array("target", target, (1, 2))
    estimate = checks.float_array("estimate", estimate, (1, 2))
    checks.same_shape("estimate", estimate, target.shape)
    return target, estimate


def _each(values):
    """A Python number where there is one item without a batch axis."""
    return values if np.ndim(values) else float(values)

"""How far two recordings are apart, in decibels, and two pitch tracks: numbers to report.

Formulas without gradients: docs/derivations/vertical.md; of pitch, mir_eval's.
"""

import numpy as np

from . import checks
from .stft import stft_magnitude_forward

__all__ = ["level_difference_db", "log_spectral_distance", "pitch_scores"]

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


def pitch_scores(ref_time_s, ref_f0_hz, est_time_s, est_f0_hz, est_voiced=None):
    """How far an estimate of f0 over time is from a reference.

    Parameters
    ----------
    ref_time_s : array_like, shape (T,)
        Times of the reference.
    ref_f0_hz : array_like, shape (T,)
        Its f0; 0 or below where there is no pitch, NaN where nothing is to be judged.
    est_time_s : array_like, shape (S,)
        Times of the estimate, increasing.
    est_f0_hz : array_like, shape (S,)
        Its f0; 0, below or NaN where it gives none. An f0 counts for accuracy where it is not
        voiced, too.
    est_voiced : array_like of bool, shape (S,), optional
        Where it hears a pitch; if left out, wherever it gives an f0.

    Returns
    -------
    dict of float
        "rpa50", "rpa25", "rpa10", "rca50": raw pitch and raw chroma accuracy, the share of frames
        with a pitch that are met within so many cents, and but for octaves; "octave_down",
        "octave_up": the share met but for one octave or more; "median_cents": the median absolute
        error of those met within 50 cents; "voicing_recall", "voicing_false_alarm": the share of
        frames with and without a pitch that are called voiced. NaN where there is no such frame.

    Raises
    ------
    ParameterError
        If shapes differ.

    Notes
    -----
    The definitions are mir_eval's, and so are the numbers where both have the same times. Where
    they do not, the estimate is read at the reference's times: log-linearly between two frames
    less than a semitone apart, else from the nearer one; a frame further away than two steps
    (at least 30 ms) gives nothing.

    References
    ----------
    Raffel et al., *mir_eval: A Transparent Implementation of Common MIR Metrics*, ISMIR 2014;
    Salamon et al., *Melody Extraction from Polyphonic Music Signals*, 2014 (the measures).

    Examples
    --------
    >>> from spectralot.metrics import pitch_scores
    >>> time = [0.00, 0.01, 0.02, 0.03]
    >>> scores = pitch_scores(time, [220, 220, 220, 0], time, [221, 440, 220, 0])
    >>> round(scores["rpa50"], 3), round(scores["octave_up"], 3), scores["voicing_false_alarm"]
    (0.667, 0.333, 0.0)
    """
    ref_time_s, ref_f0_hz, est_time_s, est_f0_hz = (
        np.asarray(a, np.float64) for a in (ref_time_s, ref_f0_hz, est_time_s, est_f0_hz)
    )
    checks.same_shape("ref_f0_hz", ref_f0_hz, ref_time_s.shape)
    checks.same_shape("est_f0_hz", est_f0_hz, est_time_s.shape)
    est_f0_hz = np.where(est_f0_hz > 0, est_f0_hz, 0.0)
    est_voiced = np.ones(len(est_f0_hz), bool) if est_voiced is None else np.asarray(est_voiced)
    checks.same_shape("est_voiced", est_voiced, est_time_s.shape)
    judged = ~np.isnan(ref_f0_hz)
    ref_time_s, ref_f0_hz = ref_time_s[judged], ref_f0_hz[judged]
    f0_hz, voiced = _read_pitch(ref_time_s, est_time_s, est_f0_hz, est_voiced & (est_f0_hz > 0))

    pitched = ref_f0_hz > 0
    found, wanted = f0_hz[pitched], ref_f0_hz[pitched]
    error = np.full(len(wanted), np.inf)
    error[found > 0] = 1200 * np.log2(found[found > 0] / wanted[found > 0])
    size = np.abs(error)
    octaves = np.zeros(len(error))
    octaves[found > 0] = np.floor(error[found > 0] / 1200 + 0.5)
    chroma = np.abs(error - 1200 * octaves) < 50
    scores = {f"rpa{cents}": _share(size < cents) for cents in (50, 25, 10)}
    return scores | {
        "rca50": _share(chroma),
        "octave_down": _share(chroma & (octaves < 0)),
        "octave_up": _share(chroma & (octaves > 0)),
        "median_cents": float(np.median(size[size < 50])) if np.any(size < 50) else np.nan,
        "voicing_recall": _share(voiced[pitched]),
        "voicing_false_alarm": _share(voiced[~pitched]),
    }


def _read_pitch(time_s, est_time_s, est_f0_hz, est_voiced):
    """The estimate's f0 and voicing at other times."""
    if len(est_time_s) == 0:
        return np.zeros(len(time_s)), np.zeros(len(time_s), bool)
    after = np.clip(np.searchsorted(est_time_s, time_s), 0, len(est_time_s) - 1)
    before = np.maximum(after - 1, 0)
    gap = np.maximum(est_time_s[after] - est_time_s[before], 1e-12)
    share = np.clip((time_s - est_time_s[before]) / gap, 0, 1)
    nearer = np.where(share > 0.5, after, before)
    f0_hz = est_f0_hz[nearer]
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = np.log2(est_f0_hz[before]), np.log2(est_f0_hz[after])
        close = np.abs(high - low) < 1 / 12  # never so where one of them is missing
        f0_hz = np.where(close, 2.0 ** (low + share * (high - low)), f0_hz)
    step_s = np.median(np.diff(est_time_s)) if len(est_time_s) > 1 else 0.0
    near = np.abs(est_time_s[nearer] - time_s) <= max(2 * step_s, 0.03)
    return np.where(near, f0_hz, 0.0), near & est_voiced[nearer]


def _share(flags):
    return float(np.mean(flags)) if len(flags) else np.nan

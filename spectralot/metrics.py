"""How far two recordings are apart, in decibels, and two pitch tracks: numbers to report.

Formulas without gradients: docs/derivations/vertical.md; of pitch, mir_eval's.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from . import checks
from .hints import Array, ArrayLike, Padding, Window
from .stft import LARGEST, stft_magnitude_forward

__all__ = ["level_difference_db", "log_spectral_distance", "melody_scores", "pitch_scores"]

TOLERANCES_CENTS = (50, 25, 10)
AVERAGES = ("rms", "square")
LOWEST_DB = -300.0
LOWEST_HZ = 1e-12  # an f0 below is none


def log_spectral_distance(
    target: ArrayLike,
    estimate: ArrayLike,
    *,
    n_fft: int = 1024,
    hop_length: int = 256,
    window: Window = "hann",
    padding: Padding = "end",
    floor_db: float = -50.0,
    average: Literal["rms", "square"] = "rms",
) -> float | Array:
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
    stft: dict = dict(n_fft=n_fft, hop_length=hop_length, window=window, padding=padding)
    levels = []
    for signal in (target, estimate):
        magnitude = stft_magnitude_forward(signal, **stft)[0].astype(np.float64, copy=False)
        levels.append(20 * np.log10(np.maximum(magnitude, 10 ** (floor_db / 20))))
    frames = np.square(levels[1] - levels[0]).mean(axis=-1)
    return _each((np.sqrt(frames) if average == "rms" else frames).mean(axis=-1))


def level_difference_db(
    target: ArrayLike, estimate: ArrayLike, *, floor_db: float = -120.0
) -> float | Array:
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
    target = checks.level_array("target", target, (1, 2), largest=LARGEST[1])
    estimate = checks.level_array("estimate", estimate, (1, 2), largest=LARGEST[1])
    checks.same_shape("estimate", estimate, target.shape)
    return target, estimate


def _each(values):
    """A Python number where there is one item without a batch axis."""
    return values if np.ndim(values) else float(values)


def pitch_scores(
    ref_time_s: ArrayLike,
    ref_f0_hz: ArrayLike,
    est_time_s: ArrayLike,
    est_f0_hz: ArrayLike,
    est_voiced: ArrayLike | None = None,
) -> dict[str, float]:
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
        checks.real_array(name, values).astype(np.float64)
        for name, values in (
            ("ref_time_s", ref_time_s),
            ("ref_f0_hz", ref_f0_hz),
            ("est_time_s", est_time_s),
            ("est_f0_hz", est_f0_hz),
        )
    )
    checks.same_shape("ref_f0_hz", ref_f0_hz, ref_time_s.shape)
    checks.same_shape("est_f0_hz", est_f0_hz, est_time_s.shape)
    for name, values in (
        ("ref_time_s", ref_time_s), ("ref_f0_hz", np.where(np.isnan(ref_f0_hz), 0, ref_f0_hz)),
        ("est_time_s", est_time_s), ("est_f0_hz", np.where(np.isnan(est_f0_hz), 0, est_f0_hz)),
    ):  # fmt: skip
        if values.size:
            checks.level_array(name, values, 1)
    est_f0_hz = np.where(est_f0_hz > LOWEST_HZ, est_f0_hz, 0.0)
    est_voiced = np.ones(len(est_f0_hz), bool) if est_voiced is None else np.asarray(est_voiced)
    checks.same_shape("est_voiced", est_voiced, est_time_s.shape)
    judged = ~np.isnan(ref_f0_hz)
    ref_time_s, ref_f0_hz = ref_time_s[judged], ref_f0_hz[judged]
    step_s = np.median(np.diff(est_time_s)) if len(est_time_s) > 1 else 0.0
    f0_hz, voiced = _read_pitch(
        ref_time_s, est_time_s, est_f0_hz, est_voiced & (est_f0_hz > 0), max(2 * step_s, 0.03)
    )

    pitched = ref_f0_hz > LOWEST_HZ
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


def _read_pitch(time_s, est_time_s, est_f0_hz, est_voiced, reach_s):
    """The estimate's f0 and voicing at other times; none further than the reach from a frame."""
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
    near = np.abs(est_time_s[nearer] - time_s) <= reach_s
    return np.where(near, f0_hz, 0.0), near & est_voiced[nearer]


def _share(flags):
    return float(np.mean(flags)) if len(flags) else np.nan


def melody_scores(
    ref_time_s: ArrayLike, ref_f0_hz: ArrayLike, est_time_s: ArrayLike, est_f0_hz: ArrayLike
) -> dict[str, float]:
    """Score an estimate of f0 over time as mir_eval does, at three tolerances.

    Parameters
    ----------
    ref_time_s : array_like, shape (T,)
        Times of the reference, from 0, rising.
    ref_f0_hz : array_like, shape (T,)
        Its f0; 0, below or NaN where there is no pitch.
    est_time_s : array_like, shape (S,)
        Times of the estimate, from 0, rising.
    est_f0_hz : array_like, shape (S,)
        Its f0; 0 or NaN where it gives none, minus its guess where it hears no pitch. A guess
        counts for RPA and RCA.

    Returns
    -------
    dict of float
        "vr", "vfa": voicing recall and false alarm, the share of frames with and without a pitch
        that are called voiced. For c = 50, 25 and 10 cents: "rpa{c}", "rca{c}": raw pitch and raw
        chroma accuracy, the share of frames with a pitch that are met within c, and but for
        octaves; "oa{c}": overall accuracy, the share of all frames that are met within c and
        called voiced, or rightly called unvoiced. Of the frames that both call voiced: "gpe{c}":
        gross pitch error, the share that is off by c or more; "fpe{c}": fine pitch error, the
        standard deviation of the errors of the others, in cents; "gpe_20_percent": the share that
        is off by more than 20 percent, which is what GPE means for speech. GPE and FPE are NaN
        where there is no such frame.

    Raises
    ------
    ParameterError
        If there is no frame, shapes differ, or times are below 0 or do not rise.

    Notes
    -----
    RPA, RCA, OA, VR and VFA are those of `mir_eval.melody.evaluate`, and so is the way to read
    the estimate at the reference's times: linearly in cents, held where it gives no f0, without a
    pitch from the frame before on and beyond its end. Where no frame has a pitch, RPA and RCA are
    0 and VR is 1; where all have one, VFA is 0. `pitch_scores` reads other times more cautiously.

    References
    ----------
    Raffel et al., *mir_eval: A Transparent Implementation of Common MIR Metrics*, ISMIR 2014;
    Salamon et al., *Melody Extraction from Polyphonic Music Signals*, 2014; Rabiner et al., *A
    Comparative Performance Study of Several Pitch Detection Algorithms*, 1976 (gross and fine).

    Examples
    --------
    >>> from spectralot.metrics import melody_scores
    >>> time = [0.00, 0.01, 0.02, 0.03]
    >>> scores = melody_scores(time, [220, 220, 220, 0], time, [221, 440, -220, 0])
    >>> round(scores["rpa50"], 3), scores["rca50"], scores["oa50"], scores["gpe50"]
    (0.667, 1.0, 0.5, 0.5)
    """
    ref_time_s, ref_f0_hz = _melody("ref", ref_time_s, ref_f0_hz)
    est_time_s, est_f0_hz = _melody("est", est_time_s, est_f0_hz)
    ref_cents, ref_voiced = _cents(ref_f0_hz), ref_f0_hz > 0
    est_cents, est_voiced = _resampled(
        ref_time_s, est_time_s, _cents(est_f0_hz), (est_f0_hz > 0).astype(float)
    )
    n_voiced = max(np.count_nonzero(ref_voiced), 1)
    n_unvoiced = max(np.count_nonzero(~ref_voiced), 1)
    has_pitch = (ref_cents != 0) & (est_cents != 0)
    error = np.where(has_pitch, est_cents - ref_cents, np.inf)
    chroma = np.full(len(error), np.inf)
    chroma[has_pitch] = error[has_pitch] - 1200 * np.floor(error[has_pitch] / 1200 + 0.5)
    both = ref_voiced & (est_voiced > 0) & has_pitch
    heard = error[both]
    found = {
        "vr": float(est_voiced[ref_voiced].sum() / n_voiced) if ref_voiced.any() else 1.0,
        "vfa": float(est_voiced[~ref_voiced].sum() / n_unvoiced),
    }
    for cents in TOLERANCES_CENTS:
        met = ref_voiced & (np.abs(error) < cents)
        fine = heard[np.abs(heard) < cents]
        right = np.where(ref_voiced, met * est_voiced, 1 - est_voiced)
        found |= {
            f"rpa{cents}": float(met.sum() / n_voiced),
            f"rca{cents}": float((ref_voiced & (np.abs(chroma) < cents)).sum() / n_voiced),
            f"oa{cents}": float(right.mean()),
            f"gpe{cents}": _share(np.abs(heard) >= cents),
            f"fpe{cents}": float(fine.std()) if len(fine) else np.nan,
        }
    return found | {"gpe_20_percent": _share(np.abs(2 ** (heard / 1200) - 1) > 0.2)}


def _melody(side, time_s, f0_hz):
    """Checked, NaN turned to 0, from 0 s on: mir_eval repeats the first frame there."""
    time_s = checks.level_array(f"{side}_time_s", time_s, 1, dtype=np.float64)
    f0_hz = checks.real_array(f"{side}_f0_hz", f0_hz).astype(np.float64)
    f0_hz = checks.level_array(f"{side}_f0_hz", np.where(np.isnan(f0_hz), 0.0, f0_hz), 1)
    f0_hz = np.where(np.abs(f0_hz) > LOWEST_HZ, f0_hz, 0.0)
    checks.same_shape(f"{side}_f0_hz", f0_hz, time_s.shape)
    if time_s[0] < 0 or np.any(np.diff(time_s) <= 0):
        lowest, step = time_s.min(), np.diff(time_s).min(initial=np.inf)
        raise checks.ParameterError(
            f"{side}_time_s must be at least 0 and rise, got {lowest:g} and steps of {step:g}"
        )
    if time_s[0] > 0:
        time_s, f0_hz = np.r_[0.0, time_s], np.r_[f0_hz[0], f0_hz]
    return time_s, f0_hz


def _cents(f0_hz):
    """Above 10 Hz; 0 where there is no f0."""
    cents = np.zeros(len(f0_hz))
    there = f0_hz != 0
    cents[there] = 1200 * np.log2(np.abs(f0_hz[there]) / 10)
    return cents


def _resampled(new_time_s, time_s, cents, voiced):
    """Pitch and voicing at other times by mir_eval's rules."""
    if time_s.shape == new_time_s.shape and np.allclose(time_s, new_time_s):
        return cents, voiced
    time_s, new_time_s = time_s.round(10), new_time_s.round(10)
    if new_time_s[-1] > time_s[-1]:
        time_s = np.r_[time_s, new_time_s[-1]]
        cents, voiced = np.r_[cents, 0.0], np.r_[voiced, 0.0]
    last = np.maximum.accumulate(np.where(cents != 0, np.arange(len(cents)), 0))
    before = np.searchsorted(time_s, new_time_s, side="right") - 1
    read = np.interp(new_time_s, time_s, cents[last])
    return np.where(cents[before] != 0, read, 0.0), voiced[before]

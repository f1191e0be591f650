"""Landscapes: what a loss sees of a sound while f0 alone is wrong, and how well its slopes lead.

Names: N samples, T frames, H harmonics, C offsets of f0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from .audio import resample
from .checks import ParameterError, float_array, integer, number, one_of, same_shape
from .hints import Array, ArrayLike
from .losses import LIN, SIZES, SOT, Loss
from .synth import harmonic_backward, harmonic_forward
from .tracks import HarmonicTracks

__all__ = [
    "landscape",
    "landscape_of_tracks",
    "minimum_error",
    "noisy_tone",
    "slope_accuracy",
    "timbre",
]

RATE = 16000  # Hz, as in the fit
_BATCH = 1 << 18  # samples that are rendered and compared at once: some megabytes


def landscape(
    target: ArrayLike,
    f0_hz: ArrayLike,
    amplitudes: ArrayLike,
    losses: Mapping[str, Loss],
    *,
    cents: ArrayLike | None = None,
    sample_rate: float = 16000,
    hop_length: float | None = None,
) -> tuple[Array, dict[str, tuple[Array, Array]]]:
    """Compute each loss and its slope over an error of f0, all else being held.

    Parameters
    ----------
    target : array_like, shape (N,)
        The sound. float32 is compared in float32, anything else in float64.
    f0_hz : float or array_like, shape (T,)
        Its true fundamental frequency in Hz. Candidates have ``f0_hz * 2**(cents / 1200)``.
    amplitudes : array_like, shape (H,) or (T, H)
        Linear peak amplitudes of the candidates' harmonics, the target's own or others.
    losses : dict of str to loss
        Losses by the names that the results shall have.
    cents : array_like, shape (C,), optional
        Offsets of f0 in cents; from -1200 to 1200 in steps of 25 if left out.
    sample_rate : float
        Samples per second.
    hop_length : float, optional
        Samples between frames, as in `spectralot.harmonic_forward`.

    Returns
    -------
    cents : ndarray, shape (C,)
        The offsets.
    curves : dict of str to tuple of ndarray, shape (C,)
        For each loss its value and its exact slope per cent.

    Raises
    ------
    ParameterError
        If an argument breaks its rule, or an offset brings f0 to half the sample rate.

    Notes
    -----
    With candidate f0 ``g = f0 * 2**(c / 1200)`` the slope is ``dL/dc = sum_t dL/dg_t g_t ln 2 /
    1200``, through the backward passes of loss and synthesizer.

    A frame that the end of the sound cuts has wide side lobes that turn with the phases of the
    partials there. Under the padding "end", the presets' too, they give every loss a ripple over
    f0 that is steeper than the rest of the curve: slopes then lead anywhere.

    References
    ----------
    Turian, Henry, "I'm Sorry for Your Loss: Spectrally-Based Audio Distances Are Bad at Pitch",
    ICBINB workshop 2020, arXiv:2012.04572. Torres, Peeters, Richard, ICASSP 2024,
    arXiv:2312.14507.

    Examples
    --------
    >>> from spectralot import SOT, harmonic_forward
    >>> from spectralot.landscape import landscape, minimum_error, slope_accuracy
    >>> target, _ = harmonic_forward([440.0], [[0.5, 0.2]], n_samples=4096, sample_rate=16000)
    >>> loss = SOT(2048, padding="none", frequency_axis="log", p=1, mass="balanced")
    >>> cents, curves = landscape(target, 440.0, [0.5, 0.2], {"SOT": loss})
    >>> values, slopes = curves["SOT"]
    >>> minimum_error(cents, values), slope_accuracy(cents, slopes)
    (0.0, 1.0)
    """
    target = float_array("target", target, 1)
    f0_hz = np.atleast_1d(float_array("f0_hz", f0_hz, (0, 1), dtype=np.float64))
    amplitudes = np.atleast_2d(float_array("amplitudes", amplitudes, (1, 2), dtype=target.dtype))
    n_frames = max(len(f0_hz), len(amplitudes))
    for name, array in (("f0_hz", f0_hz), ("amplitudes", amplitudes)):
        if len(array) not in (1, n_frames):
            raise ParameterError(f"{name} must have 1 or {n_frames} frames, got {len(array)}")
    if not losses:
        raise ParameterError(f"losses must name at least one loss, got {losses!r}")
    cents = np.arange(-1200.0, 1201.0, 25.0) if cents is None else cents
    cents = float_array("cents", cents, 1, dtype=np.float64)
    candidates_hz = 2.0 ** (cents[:, None] / 1200) * np.broadcast_to(f0_hz, n_frames)
    grid: dict = dict(n_samples=len(target), sample_rate=sample_rate, hop_length=hop_length)

    size = min(len(cents), max(1, _BATCH // len(target)))
    held = np.broadcast_to(amplitudes, (size, n_frames, amplitudes.shape[1]))
    tiled = np.tile(target, (size, 1))
    prepared = {name: loss.prepare(tiled) for name, loss in losses.items()}
    curves: dict[str, tuple[Array, Array]] = {
        name: (np.empty(len(cents)), np.empty(len(cents))) for name in losses
    }
    for first in range(0, len(cents), size):
        # a last batch that would be too small takes some of the one before again
        rows = slice(min(first, len(cents) - size), min(first + size, len(cents)))
        estimates, saved = harmonic_forward(candidates_hz[rows], held, **grid)
        for name, (values, slopes) in curves.items():
            values[rows], d_estimates = losses[name].per_item(prepared[name], estimates)
            d_f0_hz = harmonic_backward(d_estimates, saved)[0]
            slopes[rows] = (d_f0_hz * candidates_hz[rows]).sum(axis=1) * np.log(2) / 1200
    return cents, curves


def landscape_of_tracks(
    audio: ArrayLike,
    tracks: HarmonicTracks,
    *,
    losses: Mapping[str, Loss] | None = None,
    cents: ArrayLike | None = None,
    duration_s: float = 0.5,
) -> tuple[Array, dict[str, tuple[Array, Array]]]:
    """Compute the landscape of a recording around its fit.

    Parameters
    ----------
    audio : array_like, shape (N,)
        The sound that was fitted. float32 is compared in float32, anything else in float64.
    tracks : HarmonicTracks
        Its fit, the candidate at offset 0; amplitudes are held.
    losses : dict of str to loss, optional
        Losses at 16 kHz by the names that the curves shall have; if left out, ``SOT`` as in the
        first stage of `fit_note`, and the preset ``LIN`` without frames that the end cuts.
    cents : array_like, shape (C,), optional
        Offsets of f0 in cents; from -1200 to 1200 in steps of 25 if left out.
    duration_s : float
        Length in seconds of the excerpt that is compared: the loudest, or all there is.

    Returns
    -------
    cents : ndarray, shape (C,)
        The offsets.
    curves : dict of str to tuple of ndarray, shape (C,)
        For each loss its value and its exact slope per cent.

    Raises
    ------
    ParameterError
        If an argument breaks its rule.

    Examples
    --------
    >>> from spectralot import HarmonicTracks
    >>> from spectralot.landscape import landscape_of_tracks
    >>> tracks = HarmonicTracks([0.0], [1000.0], [1.0], [[0.1]], [[0.0]], 16000, 8000)
    >>> cents, curves = landscape_of_tracks(tracks.resynthesize(), tracks, cents=[-300, 0, 300])
    >>> value, slope = curves["SOT"]
    >>> int(value.argmin()), np.sign(slope[[0, 2]])
    (1, array([-1.,  1.]))
    """
    audio = float_array("audio", audio, 1)
    same_shape("audio", audio, (tracks.n_samples,))
    if tracks.amplitudes is None:
        raise ParameterError("tracks must hold amplitudes, got none")
    duration_s = number("duration_s", duration_s, above=0)
    n_tracked = len(tracks.time_s)
    step_s = tracks.time_s[1] if n_tracked > 1 else tracks.n_samples / tracks.sample_rate
    n_frames = min(n_tracked, max(1, round(duration_s / step_s)))
    energy = np.convolve((tracks.amplitudes**2).sum(axis=1), np.ones(n_frames), mode="valid")
    first = int(energy.argmax())
    frames = slice(first, first + n_frames)
    x = resample(audio, tracks.sample_rate, RATE)[round(first * step_s * RATE) :]
    x = x[: round(duration_s * RATE)]
    return landscape(
        x, tracks.f0_hz[frames], tracks.amplitudes[frames],
        _default_losses(len(x)) if losses is None else losses,
        cents=cents, sample_rate=RATE, hop_length=step_s * RATE,
    )  # fmt: skip


def _default_losses(n_samples):
    n_fft = 1 << int(np.log2(min(n_samples, 4096)))
    transport = SOT(
        n_fft, hop_length=n_fft // 4, window="hann", padding="none",
        frequency_axis="log", p=1, mass="balanced", sample_rate=RATE,
    )  # fmt: skip
    return {"SOT": transport, "LIN": LIN([n for n in SIZES if n <= n_samples], padding="none")}


def slope_accuracy(cents: ArrayLike, slopes: ArrayLike) -> float:
    """Share of the offsets at which descent goes towards the truth.

    Parameters
    ----------
    cents : array_like, shape (C,)
        Offsets of f0 in cents; 0 is left out of the count.
    slopes : array_like, shape (C,)
        Slopes of a loss there.

    Returns
    -------
    float
        From 0 to 1: how many slopes have the sign of their offset. A slope of 0 leads nowhere.

    Raises
    ------
    ParameterError
        If the shapes differ, or no offset is other than 0.

    Examples
    --------
    >>> slope_accuracy([-100.0, 0.0, 100.0], [-1.0, 0.3, -0.1])
    0.5
    """
    cents, slopes = float_array("cents", cents, 1), float_array("slopes", slopes, 1)
    same_shape("slopes", slopes, cents.shape)
    if not cents.any():
        raise ParameterError("cents must hold an offset other than 0, got zeros only")
    return float((np.sign(slopes) == np.sign(cents))[cents != 0].mean())


def minimum_error(cents: ArrayLike, values: ArrayLike) -> float:
    """Offset of the global minimum.

    Parameters
    ----------
    cents : array_like, shape (C,)
        Offsets of f0 in cents.
    values : array_like, shape (C,)
        Values of a loss there.

    Returns
    -------
    float
        In cents, with its sign; of several equal minima the farthest from 0.

    Raises
    ------
    ParameterError
        If the shapes differ.

    Examples
    --------
    >>> minimum_error([-100.0, 0.0, 100.0], [2.0, 1.0, 0.5])
    100.0
    """
    cents, values = float_array("cents", cents, 1), float_array("values", values, 1)
    same_shape("values", values, cents.shape)
    lowest = cents[values == values.min()]
    return float(lowest[np.abs(lowest).argmax()])


def timbre(name: Literal["1/k", "uniform"], n_harmonics: int) -> Array:
    """Amplitudes of a tone by name, all of the same power.

    Parameters
    ----------
    name : {"1/k", "uniform"}
        How they fall from harmonic 1 to harmonic k.
    n_harmonics : int
        How many.

    Returns
    -------
    ndarray, shape (n_harmonics,)
        Linear peak amplitudes; their squares sum to 0.1.

    Raises
    ------
    ParameterError
        If an argument breaks its rule.

    Examples
    --------
    >>> timbre("uniform", 10).round(3).tolist()
    [0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]
    """
    one_of("name", name, ("1/k", "uniform"))
    orders = np.arange(1.0, integer("n_harmonics", n_harmonics, 1) + 1)
    amplitudes = 1 / orders if name == "1/k" else np.ones_like(orders)
    return amplitudes * np.sqrt(0.1 / np.sum(amplitudes**2))


def noisy_tone(
    f0_hz: float,
    amplitudes: ArrayLike,
    *,
    duration_s: float = 0.5,
    sample_rate: float = 16000,
    noise: Literal["none", "white", "pink"] = "none",
    snr_db: float = 20.0,
    seed: int = 0,
) -> Array:
    """Render a steady harmonic tone of random phases, in noise if wanted: a target for `landscape`.

    Parameters
    ----------
    f0_hz : float
        Fundamental frequency in Hz.
    amplitudes : array_like, shape (H,)
        Linear peak amplitudes of harmonics 1..H.
    duration_s : float
        Length in seconds.
    sample_rate : float
        Samples per second.
    noise : {"none", "white", "pink"}
        White: Gaussian. Pink: the same with power falling as one over frequency.
    snr_db : float
        Power of the tone relative to that of the noise, in dB.
    seed : int
        Of the phases, and then of the noise.

    Returns
    -------
    ndarray, shape (N,)
        float32 if the amplitudes are, else float64.

    Raises
    ------
    ParameterError
        If an argument breaks its rule.

    Examples
    --------
    >>> from spectralot.landscape import noisy_tone
    >>> clean = noisy_tone(220.0, [1.0])
    >>> noise = noisy_tone(220.0, [1.0], noise="pink", snr_db=10) - clean
    >>> round(float((clean @ clean) / (noise @ noise)), 6)
    10.0
    """
    amplitudes = float_array("amplitudes", amplitudes, 1)
    sample_rate = number("sample_rate", sample_rate, above=0)
    n_samples = max(1, round(number("duration_s", duration_s, above=0) * sample_rate))
    f0_hz = [number("f0_hz", f0_hz)]
    one_of("noise", noise, ("none", "white", "pink"))
    snr_db, seed = number("snr_db", snr_db), integer("seed", seed, 0)
    rng = np.random.default_rng(seed)
    phases = rng.uniform(0, 2 * np.pi, len(amplitudes))
    grid: dict = dict(n_samples=n_samples, sample_rate=sample_rate)
    tone, _ = harmonic_forward(f0_hz, amplitudes[None], start_phase=phases, **grid)
    if noise == "none":
        return tone
    hiss = rng.standard_normal(n_samples)
    if noise == "pink":
        spectrum = np.fft.rfft(hiss)
        spectrum[0] = 0
        spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
        hiss = np.fft.irfft(spectrum, n_samples)
    power = np.mean(tone**2, dtype=np.float64) / max(float(np.mean(hiss**2)), 1e-300)
    return (tone + hiss * np.sqrt(power * 10 ** (-snr_db / 10))).astype(tone.dtype)

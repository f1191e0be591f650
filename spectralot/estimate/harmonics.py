"""Maximum likelihood fit of one harmonic tone to one frame, with its standard errors.

A search over f0 and orders that is told nothing, Gauss-Newton on the exact model from the best
candidates, and the evidence of every order and octave by a Bayes factor. The numbers cite the
equations of docs/derivations/harmonics.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.fft import next_fast_len, rfft
from scipy.linalg import cho_solve

from .. import checks
from ..checks import ParameterError
from ..cpu.harmonics import nested_energies
from ..hints import Array, ArrayLike
from ._harmonic_model import (
    REACH,
    State,
    Task,
    average,
    evidence,
    honest_noise,
    inverse_fisher,
    project,
    refine,
    solve,
)

__all__ = ["HarmonicFit", "fit_harmonics"]

LEAST_PERIODS = 1.5
EXACT_PERIODS = 4.0  # below, harmonics disturb each other too much for their powers to add up
GRID = 5  # candidates for each width of the main lobe of the highest harmonic
FINEST = 16  # candidates for s / N, at least
ORDERS = (1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 40)  # for each, the f0 of most energy are candidates
PEAKS, KEPT, LANES = 3, 4, 8
OCTAVES = (0.5, 1.0, 2.0, 3.0)


@dataclass(frozen=True)
class HarmonicFit:
    """A harmonic tone found in one frame; times count in seconds from the frame's middle.

    The tone is the sum over h = 1..H of amplitudes[h-1] cos(2 pi k_h (f0_hz t + f0_slope_hz_s
    t^2 / 2) + phases[h-1]) with k_h = h sqrt(1 + inharmonicity h^2).

    Attributes
    ----------
    f0_hz : float
        Fundamental frequency in the middle of the frame.
    f0_std_cents : float
        Standard error of f0 in cents.
    amplitudes : ndarray, shape (H,)
        Peak amplitudes.
    amplitudes_std : ndarray, shape (H,)
        Standard errors of the amplitudes.
    phases : ndarray, shape (H,)
        Phases of cosines in the middle of the frame, in radians between -pi and pi.
    f0_slope_hz_s : float
        Change of f0 in Hz per second; 0 if not fitted.
    inharmonicity : float
        B above; 0 if not fitted.
    noise_rms : float
        Standard deviation of the noise, by the degrees of freedom that are left.
    snr_db : float
        Power of the harmonics over that of the noise in dB; inf without noise.
    n_harmonics : int
        H.
    cost : float
        Minus the logarithm of the Bayes factor of this tone against noise alone: the lower, the
        better; above 0, noise explains the frame better.
    octave_costs : ndarray, shape (4,)
        The same at f0/2, f0, 2 f0 and 3 f0, each fitted anew with its best order; inf where a
        frame does not hold 1.5 periods or f0 is too near Nyquist. Differences are logarithms of
        odds.
    """

    f0_hz: float
    f0_std_cents: float
    amplitudes: Array
    amplitudes_std: Array
    phases: Array
    f0_slope_hz_s: float
    inharmonicity: float
    noise_rms: float
    snr_db: float
    n_harmonics: int
    cost: float
    octave_costs: Array


def fit_harmonics(
    frame: ArrayLike,
    sample_rate: float,
    f0_hz: float | None = None,
    *,
    n_harmonics: int | Literal["auto"] = "auto",
    slope: bool = False,
    inharmonicity: bool = False,
    fmin: float = 25.0,
    fmax: float | None = None,
) -> HarmonicFit:
    """Fit a harmonic tone in white noise to one frame by maximum likelihood.

    All samples weigh the same: the frame is not windowed, so that f0 can be as good as the
    Cramer-Rao bound allows. A constant offset is fitted too and does no harm.

    Parameters
    ----------
    frame : array_like, shape (N,)
        Real samples.
    sample_rate : float
        Samples per second.
    f0_hz : float, optional
        Start that is only refined, by up to 60 cents; by default f0 is searched.
    n_harmonics : "auto" or int
        Harmonics of the tone. "auto": by the evidence, at most 40. Never more than lie below
        Nyquist and leave noise to be measured.
    slope : bool
        Whether f0 may change at a constant rate within the frame.
    inharmonicity : bool
        Whether partials may be stretched as those of a stiff string; takes two harmonics.
    fmin : float
        Lowest f0 of the search in Hz; the frame must hold at least 1.5 of its periods.
    fmax : float, optional
        Highest f0 of the search in Hz; default a quarter of the sample rate.

    Returns
    -------
    HarmonicFit
        The tone, its standard errors, the noise, and how much worse other octaves are.

    Raises
    ------
    ParameterError
        If an argument breaks a rule, the frame is constant or too short.

    Examples
    --------
    >>> import numpy as np
    >>> from spectralot import fit_harmonics
    >>> t = np.arange(1024) / 16000
    >>> noise = 0.1 * np.random.default_rng(0).standard_normal(1024)
    >>> tone = np.cos(2 * np.pi * 220 * t) + 0.5 * np.cos(2 * np.pi * 440 * t)
    >>> fit = fit_harmonics(tone + noise, 16000)
    >>> print(f"{fit.f0_hz:.1f} Hz, {fit.n_harmonics} harmonics, {fit.snr_db:.0f} dB")
    220.0 Hz, 2 harmonics, 18 dB
    """
    x = checks.float_array("frame", frame, 1, dtype=np.float64)
    rate = checks.number("sample_rate", sample_rate, above=0)
    if n_harmonics != "auto":
        n_harmonics = checks.integer("n_harmonics", n_harmonics, 1)
    fmin = checks.number("fmin", fmin, above=0)
    fmax = checks.number("fmax", rate / 4 if fmax is None else fmax)
    if f0_hz is None:
        low, high = fmin, checks.number("fmax", fmax, above=fmin)
    else:
        f0_hz = checks.number("f0_hz", f0_hz, above=0)
        low, high = min(fmin, f0_hz / REACH), max(fmax, f0_hz * REACH)
    scale = np.abs(x).max()
    x = x / scale if scale > 0 else x
    x = x - x.mean()
    if not np.abs(x).max() > 1e-14:
        raise ParameterError("frame must not be silent or constant")
    task = Task(x, rate, n_harmonics, bool(slope), bool(inharmonicity), np.log(high / low))
    if task.most < 1:
        raise ParameterError(f"frame must have at least {task.least} samples, got {len(x)}")
    if f0_hz is None:
        _check_range(task, "fmin", fmin)
        _check_range(task, "fmax", fmax)
        found = [refine(task, [State(f0)], rounds=1) for f0 in _search(task, fmin, fmax)]
        best = refine(task, [min(found, key=lambda fit: fit.cost)])
    else:
        _check_range(task, "f0_hz", f0_hz)
        best = refine(task, [State(f0_hz), State(_nearby(task, f0_hz))])
    while True:
        others = [best if r == 1 else _relative(task, best, r) for r in OCTAVES]
        if f0_hz is not None:
            break
        # a lone partial is the loudest harmonic of many f0, and its first in truth
        loudest = 1 + int(np.argmax(best.energy[: best.order]))
        tried = others if loudest in OCTAVES else [*others, _relative(task, best, loudest)]
        better = [o for o in tried if o and low <= o.f0 <= high and o.cost < best.cost]
        if not better:
            break
        best = min(better, key=lambda fit: fit.cost)  # the search has missed the best octave
        best = min(best, refine(task, [best]), key=lambda fit: fit.cost)
    return _report(task, best, np.array([o.cost if o else np.inf for o in others]), scale)


def _check_range(task, name, f0):
    n, rate = len(task.x), task.rate
    if n * f0 < LEAST_PERIODS * rate:
        raise ParameterError(
            f"frame must hold at least {LEAST_PERIODS} periods of {name}, {f0:g} Hz, "
            f"got {n} samples = {n * f0 / rate:.2f} periods"
        )
    if f0 > task.highest:
        raise ParameterError(f"{name} must be at most {task.highest:g} Hz, got {f0:g}")


def _relative(task, best, ratio):
    """The fit at another octave, or None where that cannot be."""
    f0 = best.f0 * ratio
    if f0 > task.highest or f0 * len(task.x) < LEAST_PERIODS * task.rate:
        return None
    # the same partials, (2)
    start = State(f0, best.slope * ratio, max(best.stretch * ratio**2, task.least_stretch))
    return refine(task, [start], rounds=1, steps=1)


def _nearby(task, f0):
    """The f0 within reach of refinement that harmonic sums (12) find most likely."""
    x, n, rate = task.x, len(task.x), task.rate
    h = np.arange(1, max(1, min(task.most, int(task.highest / f0))) + 1)
    steps = int(np.ceil(0.5 * GRID * n * h[-1] * f0 * (REACH - 1 / REACH) / rate))
    grid = f0 * np.linspace(1 / REACH, REACH, steps + 1)
    size = next_fast_len(8 * n, real=True)
    frequencies = grid[:, None] * h
    bins = np.rint(np.minimum(frequencies, task.highest) * size / rate).astype(int)
    energy = np.abs(rfft(x, size)[bins]) ** 2 * (2 / n) * (frequencies <= task.highest)
    # sums may explain more than there is
    total = max(x @ x, 1.05 * energy.sum(axis=1).max())
    costs = evidence(energy, total, n, 2 * np.pi * grid[:, None] / rate, task.span)
    costs = costs.min(axis=1) if task.order == "auto" else costs[:, -1]
    return float(grid[np.argmin(costs)])


def _peaks(heights, apart):
    """Indices of the highest values that lie apart from each other."""
    heights, found = heights.copy(), []
    for _ in range(PEAKS):
        k = int(np.argmax(heights))
        if heights[k] <= 0:
            break
        found.append(k)
        heights[max(0, k - apart) : k + apart + 1] = -1.0
    return found


def _search(task, fmin, fmax):
    """The most likely f0 between fmin and fmax, to be refined: a few in Hz, best first."""
    x, n, rate = task.x, len(task.x), task.rate
    most = max(1, min(task.most, int(task.highest / fmin)))
    size = next_fast_len(n * max(GRID * most, FINEST), real=True)
    spectrum = rfft(x, size)
    power = (spectrum.real**2 + spectrum.imag**2) * (2 / n)
    limit = int(task.highest * size / rate)
    first = min(int(np.ceil(fmin * size / rate)), limit)
    last = min(max(first, int(fmax * size / rate)), limit)
    apart = max(1, round(0.3 * size / n))
    split = min(last + 1, int(EXACT_PERIODS * size / n))
    orders = [h for h in ORDERS if h < most] + [most]

    low = np.arange(first, split, 2)
    energy = np.cumsum(_energies(spectrum, low, n, size, limit, most), axis=1)
    candidates = [low[k] for h in orders if len(low) for k in _peaks(energy[:, h - 1], apart // 2)]
    first = max(first, split)
    summed = np.zeros(max(last + 1 - first, 0))
    for h in range(1, most + 1):  # (12); f0 with fewer harmonics below Nyquist have all they can
        end = min(last, limit // h)
        if end < first:
            break
        summed[: end + 1 - first] += power[h * first : h * end + 1 : h]
        if h in orders:
            candidates += [first + k for k in _peaks(summed, apart)]
    candidates = np.unique(np.array(candidates, dtype=np.int64))

    energy = _energies(spectrum, candidates, n, size, limit, most)
    h, counts = np.arange(1, most + 1), np.minimum(most, limit // candidates)[:, None]
    costs = evidence(energy, x @ x, n, 2 * np.pi * candidates[:, None] / size, task.span)
    ruled_out = h > counts if task.order == "auto" else h != counts
    costs = np.where(ruled_out, np.inf, costs).min(axis=1)
    kept = []
    for k in candidates[np.argsort(costs, kind="stable")]:
        if len(kept) < KEPT and all(abs(k - other) >= apart for other in kept):
            kept.append(k)
    return [float(k * rate / size) for k in kept]


def _energies(spectrum, candidates, n, size, limit, most):
    """Energies (M, H) of the harmonics of candidates, which count in bins of the spectrum."""
    counts = np.minimum(most, limit // np.maximum(candidates, 1))
    bins = candidates[:, None] * np.arange(1, most + 1)
    bins[bins > limit] = 0
    centred = spectrum[bins] * np.exp(1j * np.pi * (n - 1) / size * bins)
    workspace = [(2 * most + 1, LANES), (most + 1, most + 1, LANES), (most + 1, LANES)]
    energy = np.empty(bins.shape)
    nested_energies(
        2 * np.pi / size * candidates,
        np.ascontiguousarray(centred.real),
        np.ascontiguousarray(-centred.imag),
        counts,
        n,
        *(np.empty(shape) for shape in workspace),
        energy,
    )
    return energy


def _report(task, state, octave_costs, scale):
    """Means over orders, and standard errors from the full Fisher matrix, (15) and (18)."""
    state, f0_variance = average(task, state)
    state, columns, factor = solve(task, state)
    noise, honest = honest_noise(task, state)
    rows, taken = project(task, honest, columns, factor)
    covariance = cho_solve((factor, True), np.eye(len(columns)), check_finite=False)
    covariance = noise**2 * (covariance + taken @ inverse_fisher(rows) @ taken.T)
    a, b = state.solution[1::2], state.solution[2::2]
    amplitudes = np.hypot(a, b)
    cosine, sine = np.stack([a, b]) / np.maximum(amplitudes, 1e-300)
    at = 1 + 2 * np.arange(state.order)
    variance = cosine**2 * covariance[at, at] + sine**2 * covariance[at + 1, at + 1]
    variance += 2 * cosine * sine * covariance[at, at + 1]
    with np.errstate(divide="ignore"):
        snr_db = 10 * np.log10(0.5 * np.sum(amplitudes**2) / noise**2)
    return HarmonicFit(
        f0_hz=state.f0,
        f0_std_cents=float(1200 / np.log(2) * np.sqrt(f0_variance) / state.f0),
        amplitudes=scale * amplitudes,
        amplitudes_std=scale * np.sqrt(variance),
        phases=np.arctan2(-b, a),
        f0_slope_hz_s=float(state.slope),
        inharmonicity=float(state.stretch),
        noise_rms=float(scale * noise),
        snr_db=float(snr_db),
        n_harmonics=state.order,
        cost=state.cost,
        octave_costs=octave_costs,
    )

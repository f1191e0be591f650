"""f0 and partials measured along the track itself: windows that follow it, errors that come along.

Derivation: docs/derivations/estimator.md. Names: T frames, K partials that f0 is read from,
H harmonics of the result.
"""

from dataclasses import dataclass

import numba
import numpy as np
from scipy.ndimage import median_filter

from ..cpu import warp as cpu

PARTIALS = 10  # that f0 is read from
LEAP_CENTS = 100.0  # between frames: the track is broken there
LARGEST_MOVE_CENTS = 60.0  # from where the track said
FIRST_WINDOW_S = 0.030
LONGEST_WINDOW_S = 0.070
# window of the later passes: 15 ms at 50 dB, ten times that at 0 dB
CLEAN_WINDOW_S, CLEAN_DB = 0.015, 50.0
PASSES = 2
FIRST_REACH_S = 0.012  # over which the track's steps between candidates are smoothed, either side
SMOOTHING = 0.8  # of the window, before each of the later passes
# what smoothing leaves of the noise of the passes before; measured on tones in white noise
PASSES_STD = 1.5
MEDIAN_S = 0.09  # over which the SNR is steadied
PHASES = 512
HIGHEST = 0.475  # partial, of the sample rate


def _table():
    """Sinc taps for `cpu.interpolate`: row p holds those of the fraction p / PHASES."""
    fraction = np.arange(PHASES + 1)[:, None] / PHASES
    distance = np.arange(2 * cpu.HALF) - cpu.HALF + 1 - fraction
    taper = np.i0(9 * np.sqrt(np.maximum(1 - (distance / cpu.HALF) ** 2, 0))) / np.i0(9.0)
    return (np.sinc(distance) * taper).astype(np.float32)


TABLE = _table()


def _response():
    """What interpolation leaves of a partial, at frequencies from 0 to half the sample rate."""
    taps = TABLE[:-1].astype(np.float64)
    at = np.arange(2 * cpu.HALF) - cpu.HALF + 1 - np.arange(PHASES)[:, None] / PHASES
    frequencies = np.linspace(0, 0.5, 101)
    return frequencies, [np.sum(taps * np.cos(2 * np.pi * f * at)) / PHASES for f in frequencies]


RESPONSE = _response()


@dataclass(frozen=True)
class Refined:
    """What `refine` measures: f0 (T,), its standard error, SNR (T,) and levels of partials."""

    f0_hz: np.ndarray
    std_cents: np.ndarray
    snr_db: np.ndarray
    amplitudes: np.ndarray
    between: np.ndarray
    inharmonicity_sums: np.ndarray
    window_s: np.ndarray


def notes(f0_hz):
    """First and last frame of every stretch without a leap."""
    breaks = np.flatnonzero(np.abs(np.diff(np.log2(f0_hz))) * 1200 > LEAP_CENTS)
    return np.concatenate([[0], breaks + 1]), np.concatenate([breaks, [len(f0_hz) - 1]])


class Warp:
    """A sound resampled along a track: x[0] is sample `begin`, frame t lies at sample t hop."""

    def __init__(self, x, begin, hop, rate, f0_hz, n_periods):
        first, last = notes(f0_hz)
        lowest = np.minimum.reduceat(f0_hz, first)
        per_period = np.exp2(np.ceil(np.log2(rate / lowest))).astype(np.int64)
        per_period = np.maximum(per_period, 8)
        segments = np.stack([first, last, per_period, np.zeros_like(first)], axis=1)
        cycles, self.centres = np.empty(len(f0_hz)), np.empty(len(f0_hz))
        n_periods = n_periods.astype(np.int64)
        grid = (float(hop), begin / hop, float(rate))
        total = cpu.layout(f0_hz, n_periods, grid, segments, cycles, self.centres)
        places, self.y = np.empty(total), np.empty(total, np.float32)
        cpu.positions(f0_hz, grid, segments, cycles, self.centres, places)
        cpu.interpolate(x, places, TABLE, self.y)
        self.per_period = np.repeat(per_period, last - first + 1)

    def scratch(self, n_periods):
        threads, most = numba.get_num_threads(), int(self.per_period.max())
        length = int((n_periods * self.per_period).max())
        return (
            np.empty((threads, 2, length), np.float32),
            np.empty((threads, 2, 2 * most), np.float32),
            np.empty((threads, 2, most + 1), np.complex64),
        )


def _periods(f0_hz, window_s):
    """Even numbers of periods, at least four, about `window_s` long."""
    return np.maximum(4, 2 * np.round(0.5 * window_s * f0_hz)).astype(np.int64)


def _measure(x, begin, hop, rate, f0_hz, window_s, highest_hz):
    n_periods = _periods(f0_hz, window_s)
    warp = Warp(x, begin, hop, rate, f0_hz, n_periods)
    T = len(f0_hz)
    outputs = (
        np.empty(T), np.empty((T, PARTIALS)), np.empty((T, PARTIALS + 1)), np.empty((T, 7)),
    )  # fmt: skip
    cpu.measure(
        warp.y, warp.centres, n_periods, warp.per_period, f0_hz, highest_hz,
        warp.scratch(n_periods), outputs,
    )  # fmt: skip
    return outputs, n_periods / f0_hz


def measure(x, begin, hop, rate, f0_hz):
    """Amplitudes (T, K) of partials and (T, K + 1) between them, along f0 (T,)."""
    window_s = np.full(len(f0_hz), FIRST_WINDOW_S)
    (_, amplitudes, between, _), _ = _measure(x, begin, hop, rate, f0_hz, window_s, HIGHEST * rate)
    return amplitudes, between


def snr_db(amplitudes, between):
    """Level of partials over what lies between them, both as slopes: times their number."""
    k = np.arange(1, amplitudes.shape[1] + 1)
    signal = ((k * amplitudes) ** 2).sum(axis=1)
    noise = ((np.arange(between.shape[1]) + 0.5) ** 2 * between**2).sum(axis=1)
    return 10 * np.log10((signal + 1e-20) / (noise + 1e-20))


def refine(x, begin, hop, rate, f0_hz, step_s):
    """Move f0 (T,) to where the partials are.

    x[0] is sample `begin` of a sound at `rate`; frame t lies at sample t * hop, `step_s` apart.
    """
    start_hz, most = f0_hz, 2 ** (LARGEST_MOVE_CENTS / 1200)
    window_s, reach_s = np.full(len(f0_hz), FIRST_WINDOW_S), np.full(len(f0_hz), FIRST_REACH_S)
    for n in range(1 + PASSES):
        octaves, (first, last) = np.empty(len(f0_hz)), notes(f0_hz)
        bounds = np.repeat(np.stack([first, last], axis=1), last - first + 1, axis=0)
        cpu.smooth(np.log2(f0_hz), reach_s / step_s, bounds, octaves)
        f0_hz = np.exp2(octaves)
        measured, lasted_s = _measure(x, begin, hop, rate, f0_hz, window_s, HIGHEST * rate)
        error, amplitudes, between, sums = measured
        f0_hz = np.clip(f0_hz + error, start_hz / most, start_hz * most)
        if n == 0:
            frames = 1 + 2 * round(0.5 * MEDIAN_S / step_s)
            snr = median_filter(snr_db(amplitudes, between), frames, mode="nearest")
            window_s = CLEAN_WINDOW_S * 10 ** ((CLEAN_DB - snr) / CLEAN_DB)
            window_s = np.minimum(window_s, LONGEST_WINDOW_S)
        reach_s = 0.5 * SMOOTHING * _periods(f0_hz, window_s) / f0_hz
    with np.errstate(divide="ignore", invalid="ignore"):
        std_hz = PASSES_STD * np.sqrt(sums[:, 1] / 6) / (lasted_s * sums[:, 0])
        std_cents = np.where(sums[:, 0] > 0, 1200 / np.log(2) * std_hz / f0_hz, np.inf)
    return Refined(f0_hz, std_cents, snr, amplitudes, between, sums[:, 2:], lasted_s)

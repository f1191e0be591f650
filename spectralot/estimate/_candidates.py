"""How strongly each f0 speaks out of each frame: harmonic sum times periodicity.

Windows adapt to the candidate: one octave of candidates, one pair of window lengths, so that 30 Hz
and 3 kHz are both resolved. Derivation: docs/derivations/estimator.md.

Names: T frames, C candidates, N samples.
"""

import numba
import numpy as np
from scipy.fft import next_fast_len
from scipy.ndimage import percentile_filter

from ..cpu import candidates as cpu
from ..transforms._lobes import banded, harmonic_lobes, of_unit_norm

STEP_CENTS = 25.0  # between candidates
BASE_HZ = 27.5  # centre of the longest window's candidates
PERIODS = 6.0  # of that centre in a window
SHORTEST_S = 0.022  # window
WINDOWS = 4
HIGHEST_HZ = 7000.0  # partials above are not looked at here
ERB_STEP = 0.1  # of the axis of harmonic sums
DECAY = 0.5  # of the harmonics' weights with frequency
PRIMES = (1, 2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79)
TAPS = 8  # of the interpolation between lags
FLOOR_STEP_S, FLOOR_SPAN = 0.08, 51  # noise floors: between them, and how many are looked at
FLOOR_ERB, FLOOR_BINS, FLOOR_RANK = 0.75, 48, 5  # bands, magnitudes a band, which of them
FLOOR_PERCENTILE = 5.0
SUPPRESSION = 10.0  # noise floors below which a magnitude counts as noise
GROUP = 8  # frames worked on at once


def erb_number(hz):
    return 21.4 * np.log10(1 + hz / 229.0)


def erb_hz(number):
    return 229.0 * (10 ** (number / 21.4) - 1)


class Candidates:
    """Salience of f0 candidates from `fmin` to `fmax` in a sound at `rate`."""

    def __init__(self, rate, fmin, fmax):
        self.rate, self.fmax = rate, fmax
        self.top = min(max(HIGHEST_HZ, 1.15 * fmax), 0.48 * rate)
        n_candidates = 2 + int(np.ceil(1200 / STEP_CENTS * np.log2(fmax / fmin)))
        self.f0_hz = fmin * 2 ** (np.arange(n_candidates) * STEP_CENTS / 1200)
        axis_hz = erb_hz(np.arange(erb_number(12.0), erb_number(self.top), ERB_STEP))
        place = np.clip(np.log2(self.f0_hz / BASE_HZ), 0, WINDOWS - 1)
        self.bank = [_Window(self, j, axis_hz, place) for j in range(WINDOWS)]
        self.bank = [window for window in self.bank if window.n_candidates]
        self.margin = max(len(window.window) for window in self.bank) // 2 + 1
        self.floor = _Floor(rate, self.top, axis_hz)

    def salience(self, x, first, centres, floors):
        """Salience (T, C) at `centres`; x[0] is sample `first`, floors (T, axis) from `floor`."""
        shape = len(centres), len(self.f0_hz)
        sums, correlations = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        for window in self.bank:
            window.add(x, centres - first, floors, sums, correlations)
        cpu.combine(sums, correlations)
        return sums


class _Window:
    """One window length and the candidates that it serves."""

    def __init__(self, candidates, j, axis_hz, place):
        rate, weight = candidates.rate, np.maximum(1 - np.abs(place - j), 0)
        served = np.flatnonzero(weight)
        self.n_candidates = len(served)
        if not len(served):
            return
        f0_hz, weight = candidates.f0_hz[served], weight[served]
        length = round(max(PERIODS / (BASE_HZ * 2**j), SHORTEST_S) * rate)
        self.window = np.hanning(length + 2)[1:-1].astype(np.float32)
        self.n_fft = next_fast_len(2 * length, real=True)
        bin_hz = rate / self.n_fft
        n_bins = min(int(candidates.top / bin_hz) + 2, self.n_fft // 2 + 1)
        suppression = np.float32(SUPPRESSION * np.sqrt((self.window**2).sum()))
        self.numbers = (self.window, n_bins, suppression, int(served[0]))
        below = np.minimum((axis_hz / bin_hz).astype(np.int64), n_bins - 2)
        self.axis = (below, (axis_hz / bin_hz - below).astype(np.float32))
        kernel, *span = banded((_kernel(axis_hz, f0_hz) * weight).astype(np.float32))
        self.tables = (kernel, np.stack(span, axis=1), *self._lags(rate / f0_hz, weight))

    def _lags(self, lags, weight):
        """Where the autocorrelation is read for each candidate, and with which taps (eq. 5)."""
        own = np.fft.irfft(np.abs(np.fft.rfft(self.window, self.n_fft)) ** 2)
        own = np.interp(lags, np.arange(len(self.window)), own[: len(self.window)] / own[0])
        first = np.floor(lags).astype(np.int64) - TAPS // 2 + 1
        distance = first[None] + np.arange(TAPS)[:, None] - lags
        taper = np.i0(6 * np.sqrt(np.maximum(1 - (distance / (TAPS / 2)) ** 2, 0))) / np.i0(6.0)
        taps = np.sinc(distance) * taper * weight / np.maximum(own, 0.05)
        return first, np.ascontiguousarray(taps, np.float32)

    def add(self, x, centres, floors, sums, correlations):
        threads, n_axis = numba.get_num_threads(), floors.shape[1]
        scratch = (
            np.empty((threads, GROUP, self.n_fft), np.float32),
            np.empty((threads, GROUP, self.n_fft // 2 + 1), np.complex64),
            np.empty((threads, self.n_fft // 2 + 1), np.float32),
            np.empty((threads, GROUP, n_axis), np.float32),
        )
        starts = centres - len(self.window) // 2
        cpu.salience(
            x, starts, self.numbers, self.axis, floors, self.tables, scratch, sums, correlations
        )


def _kernel(axis_hz, f0_hz):
    """Lobes of the harmonics 1 and primes, falling with frequency (eq. 1)."""
    lobes = harmonic_lobes(axis_hz[:, None] / f0_hz, PRIMES)
    return of_unit_norm(lobes * axis_hz[:, None] ** -DECAY)


class _Floor:
    """Level of the noise between partials, over frequency and slowly over time (eq. 3)."""

    def __init__(self, rate, top, axis_hz):
        length = round(0.109 * rate)
        self.window = np.hanning(length + 2)[1:-1].astype(np.float32)
        self.window /= np.sqrt((self.window**2).sum())
        self.n_fft = next_fast_len(max(2 * length, FLOOR_BINS), real=True)
        centres = erb_hz(np.arange(erb_number(20.0), erb_number(top) + 0.5, FLOOR_ERB))
        half = np.maximum(80.0, 0.25 * centres)
        low, high = np.maximum(centres - half, 2.0), np.minimum(centres + half, top)
        low = np.minimum(low, 0.8 * high)
        share = (np.arange(FLOOR_BINS) + 0.5) / FLOOR_BINS
        bins = (low[:, None] + share * (high - low)[:, None]) * self.n_fft / rate
        self.picked = np.round(bins).astype(np.int64)
        place = np.interp(axis_hz, centres, np.arange(len(centres)))
        self.below = np.minimum(place.astype(np.int64), len(centres) - 2)
        self.weight = place - self.below

    def rows(self, x, centres):
        """Floor (T, bands) of the frames at `centres`, of a window of norm 1."""
        threads = numba.get_num_threads()
        frames = np.empty((threads, GROUP, self.n_fft), np.float32)
        spectra = np.empty((threads, GROUP, self.n_fft // 2 + 1), np.complex64)
        floors = np.empty((len(centres), len(self.picked)), np.float32)
        starts = centres - len(self.window) // 2
        cpu.band_floors(x, starts, self.window, self.picked, FLOOR_RANK, frames, spectra, floors)
        return floors

    def over_time(self, rows):
        """A low percentile over time, and what is far below the loudest band raised to it."""
        slow = percentile_filter(rows, FLOOR_PERCENTILE, size=(FLOOR_SPAN, 1), mode="nearest")
        return np.maximum(slow, 1e-3 * slow.max(axis=1, keepdims=True) + 1e-12)

    def on_axis(self, rows):
        """Interpolated between bands, in decibels so to speak: (T, axis)."""
        logs = np.log(rows)
        low, high = logs[:, self.below], logs[:, self.below + 1]
        return np.exp(low + self.weight * (high - low)).astype(np.float32)

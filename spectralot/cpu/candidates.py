"""Salience of every candidate f0: loops over frames (equations: docs/derivations/estimator.md).

x (N,) float32, the decimated sound; saliences (T,C) of C candidates on a logarithmic grid. Each
thread has scratch for a group of frames. A candidate belongs to one or two windows of the bank;
`kernel` and `taps` carry its weight in each, so that the sums of all windows are the salience.
"""

import math

import numpy as np
from numba import get_thread_id, prange
from rocket_fft import c2r, r2c

from . import njit

ROWS_AXIS = np.array([1])
LANES = 8
PLAIN = 0.4  # share of magnitudes themselves beside their roots


@njit(parallel=True, cache=True, nogil=True)
def decimate(x, taps, factor, y):
    """Every `factor`-th sample of x under a low-pass; y[m] begins at sample m * factor."""
    whole = taps.shape[0] // LANES * LANES
    for m in prange(y.shape[0]):
        part = x[m * factor : m * factor + taps.shape[0]]
        s0, s1, s2, s3 = np.float32(0.0), np.float32(0.0), np.float32(0.0), np.float32(0.0)
        s4, s5, s6, s7 = np.float32(0.0), np.float32(0.0), np.float32(0.0), np.float32(0.0)
        for i in range(0, whole, LANES):  # eight running sums: a fixed order that vectorises
            s0 += taps[i] * part[i]
            s1 += taps[i + 1] * part[i + 1]
            s2 += taps[i + 2] * part[i + 2]
            s3 += taps[i + 3] * part[i + 3]
            s4 += taps[i + 4] * part[i + 4]
            s5 += taps[i + 5] * part[i + 5]
            s6 += taps[i + 6] * part[i + 6]
            s7 += taps[i + 7] * part[i + 7]
        for i in range(whole, taps.shape[0]):
            s0 += taps[i] * part[i]
        y[m] = ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))


@njit
def _windowed(x, start, window, row):
    """Samples from `start` on times the window, zero outside x and after the window."""
    L = window.shape[0]
    inside = min(max(0, -start), L)
    outside = max(min(L, x.shape[0] - start), inside)
    row[:inside] = 0.0
    row[outside:] = 0.0
    samples, weights = x[start + inside : start + outside], window[inside:outside]
    product = row[inside:outside]
    for i in range(product.shape[0]):
        product[i] = samples[i] * weights[i]


@njit
def _magnitudes(spectrum, n_bins, magnitude):
    """Magnitude of the bins below `n_bins`; the spectrum becomes its own power there, 0 above."""
    for k in range(n_bins):
        re, im = spectrum[k].real, spectrum[k].imag
        power = re * re + im * im
        magnitude[k] = math.sqrt(power)
        spectrum[k] = complex(power, np.float32(0.0))
    spectrum[n_bins:] = 0.0


@njit
def _ranked(values, rank):
    """The rank-th smallest; the smallest are moved to the front, in order."""
    for i in range(1, values.shape[0]):
        value = values[i]
        if i <= rank or value < values[rank]:
            j = min(i, rank)
            while j > 0 and values[j - 1] > value:
                values[j] = values[j - 1]
                j -= 1
            values[j] = value
    return values[rank]


@njit(parallel=True, cache=True, nogil=True)
def band_floors(x, starts, window, picked, rank, frames, spectra, floors):
    """The rank-th smallest magnitude of each band's picked bins (eq. 3); picked (bands, n)."""
    n = picked.shape[1]
    size = frames.shape[1]
    for group in prange((starts.shape[0] + size - 1) // size):
        first, last = group * size, min((group + 1) * size, starts.shape[0])
        rows = frames[get_thread_id(), : last - first]
        spectrum = spectra[get_thread_id(), : last - first]
        for t in range(first, last):
            _windowed(x, starts[t], window, rows[t - first])
        r2c(rows, spectrum, ROWS_AXIS, True, 1.0, 1)
        for t in range(first, last):
            values = rows[t - first, :n]  # the frame is done with
            for b in range(picked.shape[0]):
                for i in range(n):
                    z = spectrum[t - first, picked[b, i]]
                    values[i] = z.real * z.real + z.imag * z.imag
                floors[t, b] = math.sqrt(_ranked(values, rank))


@njit
def _weighted(magnitude, below, weight, floor, suppression, out):
    """Square root of the magnitudes on the axis, less noise, with norm 1 (eqs. 2, 4)."""
    total, power = 0.0, 0.0
    for a in range(out.shape[0]):
        i, w = below[a], weight[a]
        m = magnitude[i] + w * (magnitude[i + 1] - magnitude[i])
        noise = suppression * floor[a]
        m *= m * m / (m * m + noise * noise + np.float32(1e-30))
        total += m
        power += m * m
        out[a] = m
    root, plain = np.float32(0.0), np.float32(0.0)
    if total > 1e-12:
        root = np.float32((1.0 - PLAIN) / math.sqrt(total))
        plain = np.float32(PLAIN / math.sqrt(power))
    for a in range(out.shape[0]):
        out[a] = root * math.sqrt(out[a]) + plain * out[a]


@njit
def _add_product(rows, kernel, span, column, out):
    """out += rows times kernel, from `column` on; of kernel row a the columns span[a] count."""
    for a in range(kernel.shape[0]):
        low, high = span[a, 0], span[a, 1]
        line = kernel[a, low:high]
        for r in range(rows.shape[0]):
            m, sums = rows[r, a], out[r, column + low : column + high]
            for c in range(line.shape[0]):
                sums[c] += m * line[c]


@njit
def _add_correlation(correlation, lag, taps, out):
    """out += normalised autocorrelation at fractional lags (eq. 5); taps (n,C), lag (C,)."""
    if correlation[0] > np.float32(1e-20):
        inverse = np.float32(1.0) / correlation[0]
        for i in range(taps.shape[0]):
            line = taps[i]
            for c in range(lag.shape[0]):
                out[c] += inverse * correlation[lag[c] + i] * line[c]


@njit(parallel=True, cache=True, nogil=True)
def salience(x, starts, bank, axis, floors, tables, scratch, sums, correlations):
    """Add one window's share to harmonic sums and correlations of its candidates (eqs. 2-5).

    bank = (window, n_bins, suppression, first candidate); axis = (below, weight): where the axis
    lies between bins; tables = (kernel, span, lag, taps); scratch = (frames, spectra, magnitudes,
    lines); sums, correlations (T,C) of all candidates.
    """
    window, n_bins, suppression, column = bank
    below, weight = axis
    kernel, span, lag, taps = tables
    frames, spectra, magnitudes, lines = scratch
    T, size = starts.shape[0], frames.shape[1]
    n_fft = frames.shape[2]
    for group in prange((T + size - 1) // size):
        first, last = group * size, min((group + 1) * size, T)
        thread = get_thread_id()
        rows, spectrum = frames[thread, : last - first], spectra[thread, : last - first]
        line, magnitude = lines[thread, : last - first], magnitudes[thread]
        for t in range(first, last):
            _windowed(x, starts[t], window, rows[t - first])
        r2c(rows, spectrum, ROWS_AXIS, True, 1.0, 1)
        for t in range(first, last):
            _magnitudes(spectrum[t - first], n_bins, magnitude)
            _weighted(magnitude, below, weight, floors[t], suppression, line[t - first])
        c2r(spectrum, rows, ROWS_AXIS, False, np.float32(1.0 / n_fft), 1)
        _add_product(line, kernel, span, column, sums[first:last])
        for t in range(first, last):
            _add_correlation(
                rows[t - first], lag, taps, correlations[t, column : column + lag.shape[0]]
            )


@njit(parallel=True, cache=True, nogil=True)
def combine(sums, correlations):
    """Salience into `sums`: harmonic sum times what the correlation has above its ridge (eq. 6).

    At small lags every correlation is high; only what rises again after a dip tells a period.
    """
    for t in prange(sums.shape[0]):
        lowest = np.float32(1.0)
        for c in range(sums.shape[1] - 1, -1, -1):
            r = correlations[t, c]
            lowest = min(lowest, r)
            above = min(r, np.float32(1.0)) - max(lowest, np.float32(0.0))
            sums[t, c] = max(sums[t, c], np.float32(0.0)) * max(above, np.float32(0.0))


@njit(cache=True, nogil=True)
def viterbi(rewards, move, jump, pointers, best, moved):
    """Extend the best paths by the frames of `rewards`, already scaled by the step (eq. 7).

    best (C,) float64 is carried on; moved (2,C) is scratch. pointers[t,c]: the candidate before.
    A move costs `move` per candidate, at most `jump`; min over all pairs in linear time.
    """
    C = best.shape[0]
    value, origin = moved
    for t in range(rewards.shape[0]):
        top = 0
        for c in range(C):
            value[c], origin[c] = best[c], c
            if best[c] > best[top]:
                top = c
        for c in range(1, C):
            if value[c - 1] - move > value[c]:
                value[c], origin[c] = value[c - 1] - move, origin[c - 1]
        for c in range(C - 2, -1, -1):
            if value[c + 1] - move > value[c]:
                value[c], origin[c] = value[c + 1] - move, origin[c + 1]
        leap, peak = best[top] - jump, best[top]
        for c in range(C):
            if leap > value[c]:
                value[c], origin[c] = leap, top
            pointers[t, c] = int(origin[c])
            best[c] = value[c] - peak + rewards[t, c]


@njit(cache=True, nogil=True)
def trace(pointers, last, path):
    """Follow the pointers back from candidate `last` of the last frame."""
    path[-1] = last
    for t in range(pointers.shape[0] - 1, 0, -1):
        path[t - 1] = pointers[t, path[t]]

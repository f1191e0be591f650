"""Partials measured along a moving f0: the sound resampled to so many samples a period.

Equations: docs/derivations/estimator.md. f0_hz (T,) float64; a segment is a run of frames whose
f0 moves smoothly: rows (first, last, samples a period, first warped sample) of `segments`.
`grid` = (samples between frames, frame of sample 0 of x, sample rate). Frames keep even numbers of
periods `n_periods` (T,) under a Hann window, so that partials are orthogonal (eq. 10).
"""

import math

import numpy as np
from numba import get_thread_id, prange
from rocket_fft import r2c

from . import njit

AXIS = np.array([0])
HALF = 12  # taps on either side of an interpolated sample
GROUP = 32  # frames that one thread works on in a row


@njit(cache=True, nogil=True)
def layout(f0_hz, n_periods, grid, segments, cycles, centres):
    """Cycles since the segment's begin (T,), centres in the warped sound; returns its length."""
    hop, _, rate = grid
    total = 0
    for s in range(segments.shape[0]):
        first, last, per_period, _ = segments[s]
        cycles[first] = 0.0
        for t in range(first + 1, last + 1):
            cycles[t] = cycles[t - 1] + 0.5 * (f0_hz[t - 1] + f0_hz[t]) * hop / rate
        before, after = 0.0, 0.0
        for t in range(first, last + 1):
            before = max(before, 0.5 * n_periods[t] - cycles[t])
            after = max(after, 0.5 * n_periods[t] + cycles[t])
        lead = math.ceil(before) + 1
        segments[s, 3] = total
        for t in range(first, last + 1):
            centres[t] = total + (lead + cycles[t]) * per_period
        total += (lead + math.ceil(after) + 1) * per_period
    return total


@njit(parallel=True, cache=True, nogil=True)
def positions(f0_hz, grid, segments, cycles, centres, places):
    """Sample of x at which each warped sample lies: f0 linear between frames (eq. 8)."""
    hop, begin, rate = grid
    S, end = segments.shape[0], places.shape[0]
    for s in prange(S):
        first, last, per_period, start = segments[s]
        stop = segments[s + 1, 3] if s + 1 < S else end
        lead = centres[first] - start
        t = first
        for m in range(start, stop):
            cycle = (m - start - lead) / per_period
            while t < last and cycles[t + 1] <= cycle:
                t += 1
            past, slope = cycle - cycles[t], 0.0
            if t < last and cycle > 0.0:
                slope = (f0_hz[t + 1] - f0_hz[t]) / (hop * rate)
            step = f0_hz[t] / rate
            root = math.sqrt(max(step * step + 2.0 * slope * past, 1e-18))
            places[m] = (t - begin) * hop + 2.0 * past / (step + root)


@njit(parallel=True, cache=True, nogil=True)
def interpolate(x, places, table, y):
    """Samples of x between samples; table (phases + 1, 2 HALF) of sinc taps, linear between."""
    phases = table.shape[0] - 1
    for m in prange(y.shape[0]):
        whole = math.floor(places[m])
        first = whole - HALF + 1
        s0, s1, s2, s3 = np.float32(0.0), np.float32(0.0), np.float32(0.0), np.float32(0.0)
        if first >= 0 and first + 2 * HALF <= x.shape[0]:
            phase = (places[m] - whole) * phases
            row = min(int(phase), phases - 1)
            w = np.float32(phase - row)
            low, high, part = table[row], table[row + 1], x[first : first + 2 * HALF]
            for i in range(0, 2 * HALF, 4):  # four running sums: a fixed order, no long chain
                s0 += part[i] * (low[i] + w * (high[i] - low[i]))
                s1 += part[i + 1] * (low[i + 1] + w * (high[i + 1] - low[i + 1]))
                s2 += part[i + 2] * (low[i + 2] + w * (high[i + 2] - low[i + 2]))
                s3 += part[i + 3] * (low[i + 3] + w * (high[i + 3] - low[i + 3]))
        y[m] = (s0 + s1) + (s2 + s3)


@njit
def _windows(length, window, slope):
    """Hann window of `length` and the sine that its derivative is."""
    for i in range(length):
        angle = 2.0 * math.pi * i / length
        window[i] = 0.5 - 0.5 * math.cos(angle)
        slope[i] = math.sin(angle)


@njit
def _fold(y, weight, folded):
    """Sum of the weighted samples that lie the length of `folded` apart (eq. 10)."""
    n = folded.shape[0]
    folded[:] = 0.0
    for start in range(0, y.shape[0], n):
        part, weights = y[start : start + n], weight[start : start + n]
        sums = folded[: part.shape[0]]
        for i in range(part.shape[0]):
            sums[i] += part[i] * weights[i]


@njit
def _levels(z, length, n_partials, amplitudes, between):
    """Amplitudes of partials 1.. and half way between partials from 0 on; 0 beyond n_partials."""
    scale = 4.0 / length
    for k in range(n_partials + 1):
        q = z[2 * k + 1]
        between[k] = scale * math.sqrt(q.real * q.real + q.imag * q.imag)
    for k in range(1, n_partials + 1):
        p = z[2 * k]
        amplitudes[k - 1] = scale * math.sqrt(p.real * p.real + p.imag * p.imag)
    amplitudes[n_partials:] = 0.0
    between[n_partials + 1 :] = 0.0


@njit
def _correction(z, d, window_s, f0_hz, amplitudes, between, sums):
    """Error of f0 in Hz (eq. 11), and sums over partials for its standard error and for B.

    sums = (weights, squares of what noise makes of them, and of the straight line over k^2:
    weight, weight k^2, weight k^4, weight part, weight part k^2), part = deviation / (k f0).
    """
    loudest, error = 0.0, 0.0
    sums[:] = 0.0
    for k in range(amplitudes.shape[0]):
        loudest = max(loudest, amplitudes[k])
    for k in range(1, amplitudes.shape[0] + 1):
        a = amplitudes[k - 1]
        noise = 0.5 * (between[k - 1] ** 2 + between[k] ** 2)
        if a > 0.01 * loudest and noise < a * a:
            p, q = z[2 * k], d[2 * k]
            power = p.real * p.real + p.imag * p.imag
            off = -(q.imag * p.real - q.real * p.imag) / (2.0 * power * window_s)
            weight = a * k * (1.0 - noise / (a * a))
            if abs(off) < 0.25 * f0_hz:
                error += weight * off / k
                sums[0] += weight
                sums[1] += (weight / k) ** 2 * noise / (a * a)
                sure = a * a * k * k / (noise + 1e-30)
                part, square = off / (k * f0_hz), 1.0 * k * k
                sums[2] += sure
                sums[3] += sure * square
                sums[4] += sure * square * square
                sums[5] += sure * part
                sums[6] += sure * part * square
    return error / sums[0] if sums[0] > 0.0 else 0.0


@njit(parallel=True, cache=True, nogil=True)
def measure(y, centres, n_periods, per_period, f0_hz, highest_hz, scratch, outputs):
    """Error of f0 (T,) Hz, amplitudes (T,K), amplitudes between (T,K+1), sums (T,7) (eqs. 10, 11).

    scratch = (windows (threads,2,L), folded (threads,2,2M), spectra (threads,2,M+1));
    outputs = (error, amplitudes, between, sums).
    """
    windows, folds, spectra = scratch
    errors, amplitudes, between, sums = outputs
    T, K = amplitudes.shape
    for group in prange((T + GROUP - 1) // GROUP):
        thread = get_thread_id()
        known = 0
        for t in range(group * GROUP, min((group + 1) * GROUP, T)):
            M, length = per_period[t], n_periods[t] * per_period[t]
            window, slope = windows[thread, 0], windows[thread, 1]
            if length != known:
                _windows(length, window, slope)
                known = length
            start = round(centres[t]) - length // 2
            part = y[start : start + length]
            row, d_row = folds[thread, 0, : 2 * M], folds[thread, 1, : 2 * M]
            z, d = spectra[thread, 0, : M + 1], spectra[thread, 1, : M + 1]
            _fold(part, window, row)
            _fold(part, slope, d_row)
            r2c(row, z, AXIS, True, 1.0, 1)
            r2c(d_row, d, AXIS, True, 1.0, 1)
            n_partials = max(1, min(K, min(M // 2 - 1, int(highest_hz / f0_hz[t]))))
            _levels(z, length, n_partials, amplitudes[t], between[t])
            window_s = n_periods[t] / f0_hz[t]
            errors[t] = _correction(z, d, window_s, f0_hz[t], amplitudes[t], between[t], sums[t])


@njit(parallel=True, cache=True, nogil=True)
def smooth(octaves, reach, bounds, out):
    """Mean under a Hann window of `reach` (T,) frames to either side, within bounds (T,2)."""
    for t in prange(octaves.shape[0]):
        side = min(int(reach[t]), t - bounds[t, 0], bounds[t, 1] - t)
        total, weights = octaves[t], 1.0
        for i in range(1, side + 1):
            w = 0.5 + 0.5 * math.cos(math.pi * i / reach[t])
            total += w * (octaves[t - i] + octaves[t + i])
            weights += 2.0 * w
        out[t] = total / weights


@njit(parallel=True, cache=True, nogil=True)
def partials(y, centres, n_periods, per_period, f0_hz, highest_hz, scratch, outputs):
    """Amplitudes, phases at the frame's centre and noise between partials, (T,H) each (eq. 13)."""
    windows, folds, spectra = scratch
    amplitudes, phases, noise = outputs
    T, H = amplitudes.shape
    for group in prange((T + GROUP - 1) // GROUP):
        thread = get_thread_id()
        known = 0
        for t in range(group * GROUP, min((group + 1) * GROUP, T)):
            M = per_period[t]
            centre = round(centres[t])
            shift = 2.0 * math.pi * (centres[t] - centre) / M
            row, z = folds[thread, 0, : 2 * M], spectra[thread, 0, : M + 1]
            n_partials = max(1, min(H, min(M // 2 - 1, int(highest_hz / f0_hz[t]))))
            for pass_ in range(2):  # between partials needs twice the periods
                length = (4 if pass_ == 1 else n_periods[t]) * M
                if length != known:
                    _windows(length, windows[thread, 0], windows[thread, 1])
                    known = length
                start = centre - length // 2
                _fold(y[start : start + length], windows[thread, 0], row)
                r2c(row, z, AXIS, True, 1.0, 1)
                for h in range(1, n_partials + 1):
                    q = z[2 * h + 1] if pass_ == 1 else z[2 * h]
                    size = 4.0 * math.sqrt(q.real * q.real + q.imag * q.imag) / length
                    if pass_ == 1:
                        noise[t, h - 1] = size
                    else:
                        amplitudes[t, h - 1] = size
                        phases[t, h - 1] = math.atan2(q.imag, q.real) + h * shift
            amplitudes[t, n_partials:] = 0.0
            phases[t, n_partials:] = 0.0
            noise[t, n_partials:] = 0.0


@njit(parallel=True, cache=True, nogil=True)
def levels(x, centres, window, out):
    """Mean square of x under a window round each centre."""
    half = window.shape[0] // 2
    for t in prange(centres.shape[0]):
        total, weights = 0.0, 0.0
        for i in range(window.shape[0]):
            n = centres[t] - half + i
            if 0 <= n < x.shape[0]:
                total += window[i] * np.float64(x[n]) * x[n]
            weights += window[i]
        out[t] = total / weights


@njit(cache=True, nogil=True)
def running_phase(f0_hz, hop, rate, phase):
    """Phase of the synthesizer at each frame: its inclusive running sum (synth.md, eq. 4)."""
    T = f0_hz.shape[0]
    theta, before, n = 0.0, 0.0, 0
    for t in range(T):
        position = t * hop
        while n <= position:
            place = n / hop
            below = min(int(place), T - 1)
            above = min(below + 1, T - 1)
            w = min(place - below, 1.0)
            before = theta
            theta += 2.0 * math.pi * (f0_hz[below] + w * (f0_hz[above] - f0_hz[below])) / rate
            if theta >= 2.0 * math.pi:
                theta -= 2.0 * math.pi
                before -= 2.0 * math.pi
            n += 1
        # the last sample summed stands at n - 1; the frame a fraction of a sample after it
        phase[t] = theta + 2.0 * math.pi * f0_hz[t] / rate * (position - (n - 1))

"""STFT magnitude: loops over frames (equations: docs/derivations/stft.md).

x (B,N); window (n_fft,); spectrum, magnitude (B,T,K). Frame t starts at sample
t * hop + offset; samples outside the signal count as zero. The FFT is rocket-fft's (DUCC),
called per group of frames so that framing, window, transform and magnitude stay in cache: each
thread has scratch for one group, frames (threads,G,n_fft) and spectra (threads,G,K).
"""

import math

import numpy as np
from numba import get_thread_id, prange
from rocket_fft import c2r, r2c

from . import njit

ROWS_AXIS = np.array([1])


@njit
def _windowed(x, start, window, frame):
    """Samples from `start` on times the window, zero outside x (eq. 1).

    Loops over slices from 0 on vectorise; an index with an offset is checked for wrap-around.
    """
    n_fft = frame.shape[0]
    inside = min(max(0, -start), n_fft)
    outside = max(min(n_fft, x.shape[0] - start), inside)
    frame[:inside] = 0.0
    frame[outside:] = 0.0
    samples, weights = x[start + inside : start + outside], window[inside:outside]
    product = frame[inside:outside]
    for i in range(product.shape[0]):
        product[i] = samples[i] * weights[i]


@njit
def _magnitude(spectrum, power, magnitude):
    """Magnitude or its square of one frame (eq. 2)."""
    for k in range(magnitude.shape[0]):
        re, im = np.float64(spectrum[k].real), np.float64(spectrum[k].imag)
        square = re * re + im * im
        magnitude[k] = square if power == 2 else math.sqrt(square)


@njit(parallel=True, cache=True, nogil=True)
def stft_forward(x, window, hop, offset, scale, power, frames, spectrum, magnitude):
    """Spectrum and its magnitude (power 1) or squared magnitude (power 2) (eqs. 1, 2)."""
    B, T, K = spectrum.shape
    flat, flat_magnitude = spectrum.reshape(B * T, K), magnitude.reshape(B * T, K)
    size = frames.shape[1]
    for group in prange((B * T + size - 1) // size):
        first = group * size
        last = min(first + size, B * T)
        rows = frames[get_thread_id(), : last - first]
        for f in range(first, last):
            _windowed(x[f // T], (f % T) * hop + offset, window, rows[f - first])
        r2c(rows, flat[first:last], ROWS_AXIS, True, scale, 1)
        for f in range(first, last):
            _magnitude(flat[f], power, flat_magnitude[f])


@njit(error_model="numpy")
def _d_spectrum(d_magnitude, spectrum, magnitude, power, n_fft, d_spectrum):
    """Twice (power 2: once) the gradient of one frame's spectrum, as c2r wants it (eq. 3).

    c2r counts most bins twice, for their mirror images; those without one are doubled here.
    """
    K = magnitude.shape[0]
    for k in range(K):
        slope, re, im = d_magnitude[k], spectrum[k].real, spectrum[k].imag
        if power == 1:  # the phasor first: slope / m would overflow where m is tiny
            m = magnitude[k]
            re = re / m if m > 0 else m
            im = im / m if m > 0 else m
        d_spectrum[k] = complex(re * slope, im * slope)
    d_spectrum[0] *= 2.0
    if n_fft % 2 == 0:
        d_spectrum[K - 1] *= 2.0


@njit
def _touching(first, last, n_fft, hop, offset, n_frames):
    """Frames [t0, t1) that meet the samples [first, last)."""
    t0 = max(0, (first - offset - n_fft) // hop + 1)
    return t0, min(n_frames, (last - 1 - offset) // hop + 1)


@njit
def _overlap_add(frame, window, start, first, out):
    """Add one windowed frame to the samples from `first` on, as far as they meet (eq. 5)."""
    low, high = max(first, start), min(first + out.shape[0], start + frame.shape[0])
    if low < high:
        sums = out[low - first : high - first]
        values, weights = frame[low - start : high - start], window[low - start : high - start]
        for i in range(sums.shape[0]):
            sums[i] += values[i] * weights[i]


@njit(parallel=True, cache=True, nogil=True)
def stft_backward(
    d_magnitude, spectrum, magnitude, window, hop, offset, scale, power, chunk, frames, spectra,
    d_x,
):  # fmt: skip
    """Adjoint of the frames' transform, then overlap-add (eqs. 3-5).

    One thread owns `chunk` samples; frames on their edge are transformed on both sides of it.
    A bin of magnitude 0 has gradient 0.
    """
    B, T = spectrum.shape[:2]
    N, n_fft = d_x.shape[1], window.shape[0]
    chunks = (N + chunk - 1) // chunk
    size = frames.shape[1]
    scale = 0.5 * scale if power == 1 else scale
    for job in prange(B * chunks):
        b, first = job // chunks, (job % chunks) * chunk
        last = min(first + chunk, N)
        t0, t1 = _touching(first, last, n_fft, hop, offset, T)
        rows, out = frames[get_thread_id()], d_x[b, first:last]
        d_rows = spectra[get_thread_id()]
        out[:] = 0.0
        for t in range(t0, t1, size):
            L = min(size, t1 - t)
            for f in range(L):
                m = magnitude[b, t + f]
                _d_spectrum(d_magnitude[b, t + f], spectrum[b, t + f], m, power, n_fft, d_rows[f])
            c2r(d_rows[:L], rows[:L], ROWS_AXIS, False, scale, 1)
            for f in range(L):
                _overlap_add(rows[f], window, (t + f) * hop + offset, first, out)


@njit
def _sum(x):
    """Sum as eight running sums: a fixed order that vectorises."""
    whole = x.shape[0] // 8 * 8
    s0, s1, s2, s3, s4, s5, s6, s7 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(0, whole, 8):
        s0 += x[i]
        s1 += x[i + 1]
        s2 += x[i + 2]
        s3 += x[i + 3]
        s4 += x[i + 4]
        s5 += x[i + 5]
        s6 += x[i + 6]
        s7 += x[i + 7]
    for i in range(whole, x.shape[0]):
        s0 += x[i]
    return ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))


@njit
def _sum_of_logs(x):
    """Sum of ln x for x >= 1, as logarithms of products of four: these cost the time."""
    q = x.shape[0] // 4
    total = 0.0
    for i in range(q):
        total += math.log(np.float64(x[i]) * x[q + i] * x[2 * q + i] * x[3 * q + i])
    for i in range(4 * q, x.shape[0]):
        total += math.log(x[i])
    return total


@njit(error_model="numpy")
def _compare(magnitude, target, linear, log, floor, terms, slopes):
    """Sum over bins of linear * |e - t| + log * |ln e - ln t|, both floored in the logarithm.

    slopes: its derivative with respect to the magnitude e, 0 at the kinks.
    """
    K = magnitude.shape[0]
    zero, one = linear - linear, floor / floor  # in their type: 0.0 would make float32 slow
    value = 0.0
    if linear != 0.0:
        for k in range(K):
            terms[k] = abs(magnitude[k] - target[k])
        value += linear * _sum(terms)
    for k in range(K):
        e, t = magnitude[k], target[k]
        slopes[k] = linear if e > t else (-linear if e < t else zero)
    if log != 0.0:
        for k in range(K):
            e, t = max(magnitude[k], floor), max(target[k], floor)
            terms[k] = max(e, t) / min(e, t)
        value += log * _sum_of_logs(terms)
        for k in range(K):
            e, t = magnitude[k], max(target[k], floor)
            sign = one if e > t else (-one if e < t else zero)
            slopes[k] += log * sign / e if e > floor else zero
    return value


@njit(parallel=True, cache=True, nogil=True)
def vertical_loss(
    x, target, window, hop, offset, scale, linear, log, floor, weight, chunk, frames, spectra,
    lines, values, d_x,
):  # fmt: skip
    """Mean over bins of linear * |e - t| + log * |ln e - ln t| for the magnitudes e of x.

    target (B,T,K) magnitudes; values (B,T); the gradient of K times their sum, times `weight`,
    is added to d_x. Forward and backward pass of a group of frames go together, so that no
    spectrum leaves the cache; lines (threads,3,K). Chunks as in `stft_backward`.
    """
    B, T, K = target.shape
    N, n_fft = d_x.shape[1], window.shape[0]
    chunks = (N + chunk - 1) // chunk
    size = frames.shape[1]
    for job in prange(B * chunks):
        b, first = job // chunks, (job % chunks) * chunk
        last = min(first + chunk, N)
        t0, t1 = _touching(first, last, n_fft, hop, offset, T)
        rows, out = frames[get_thread_id()], d_x[b, first:last]
        bins, line = spectra[get_thread_id()], lines[get_thread_id()]
        magnitude, terms, slopes = line[0], line[1], line[2]
        for t in range(t0, t1, size):
            L = min(size, t1 - t)
            for f in range(L):
                _windowed(x[b], (t + f) * hop + offset, window, rows[f])
            r2c(rows[:L], bins[:L], ROWS_AXIS, True, scale, 1)
            for f in range(L):
                _magnitude(bins[f], 1, magnitude)
                value = _compare(magnitude, target[b, t + f], linear, log, floor, terms, slopes)
                if (t + f) * hop + offset >= first or first == 0:  # else the chunk before has it
                    values[b, t + f] = value / K
                for k in range(K):
                    slopes[k] *= weight
                _d_spectrum(slopes, bins[f], magnitude, 1, n_fft, bins[f])
            c2r(bins[:L], rows[:L], ROWS_AXIS, False, 0.5 * scale, 1)
            for f in range(L):
                _overlap_add(rows[f], window, (t + f) * hop + offset, first, out)

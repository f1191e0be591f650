"""Constant-Q transform: one FFT for a block of frames (docs/derivations/transforms.md).

x (B,N); coefficients, magnitude (B,T,K). A block of M = hop * R samples holds F frames; frame t is
number t % F of block t // F. A bin's kernel is a band of frequencies: taps begin[q] up to
begin[q + 1] stand at the block's frequencies from low[q] on, also below 0 and above M / 2.
Scratch for each thread: samples (threads,M), folds (threads,bins,R), spectra (threads,S) with
`below` frequencies below 0, M // 2 + 1 from 0 to M / 2, and as many above as bands need.
"""

import math

import numpy as np
from numba import get_thread_id, prange
from rocket_fft import c2c, c2r, r2c

from . import njit

ALONE, ROWS_AXIS = np.array([0]), np.array([1])


@njit
def _load(x, start, samples):
    """Samples from `start` on, zero outside x."""
    size = samples.shape[0]
    inside = min(max(0, -start), size)
    outside = max(min(size, x.shape[0] - start), inside)
    samples[:inside] = 0.0
    samples[outside:] = 0.0
    samples[inside:outside] = x[start + inside : start + outside]


@njit
def _gap(samples, centre, reach):
    """Distance from a sample to the nearest one that is not zero; above `reach` if none is."""
    for d in range(reach + 1):
        if samples[centre - d] != 0.0 or samples[centre + d] != 0.0:
            return d
    return reach + 1


@njit
def _mirror(spectrum, below, size):
    """Frequencies below 0 and above size / 2 of a real block (eq. 6)."""
    for i in range(1, below + 1):
        spectrum[below - i] = spectrum[below + i].conjugate()
    top = below + size // 2
    for i in range(1, spectrum.shape[0] - top):
        spectrum[top + i] = spectrum[below + (size + 1) // 2 - i].conjugate()


@njit
def _d_mirror(spectrum, below, size):
    """Adjoint of `_mirror`, then as c2r wants it: ends without a mirror image doubled (eq. 9)."""
    for i in range(1, below + 1):
        spectrum[below + i] += spectrum[below - i].conjugate()
    top = below + size // 2
    for i in range(1, spectrum.shape[0] - top):
        spectrum[below + (size + 1) // 2 - i] += spectrum[top + i].conjugate()
    spectrum[below] *= 2.0
    if size % 2 == 0:
        spectrum[top] *= 2.0


@njit
def _fold(spectrum, taps, r, out):
    """Product of a band and its taps, folded onto R frequencies from number r on (eq. 7)."""
    out[:] = 0.0
    done = 0
    while done < taps.shape[0]:
        run = min(out.shape[0] - r, taps.shape[0] - done)
        sums, a, b = out[r : r + run], spectrum[done : done + run], taps[done : done + run]
        for i in range(run):
            sums[i] += a[i] * b[i]
        done, r = done + run, 0


@njit
def _d_fold(d_out, taps, r, d_spectrum):
    """Adjoint of `_fold`, added (eq. 9)."""
    done = 0
    while done < taps.shape[0]:
        run = min(d_out.shape[0] - r, taps.shape[0] - done)
        sums, a, b = d_spectrum[done : done + run], d_out[r : r + run], taps[done : done + run]
        for i in range(run):
            sums[i] += a[i] * b[i].conjugate()
        done, r = done + run, 0


@njit
def _slope(d_magnitude, c, power):
    """Gradient of a coefficient c given that of its magnitude or square (eq. 8)."""
    re, im = np.float64(c.real), np.float64(c.imag)
    if power == 2:
        return 2.0 * d_magnitude * complex(re, im)
    size = math.sqrt(re * re + im * im)
    return d_magnitude * complex(re / size, im / size) if size > 0.0 else complex(0.0, 0.0)


@njit(parallel=True, cache=True, nogil=True)
def octave_forward(
    x, start, hop, n_frames, power, half, taps, begin, low, below, samples, spectra, folds,
    first, coefficients, magnitude,
):  # fmt: skip
    """Coefficients of the bins from `first` on, and their magnitude or its square (eqs. 3-7).

    Window q reaches half[q] samples to either side; half[0] is the longest. What is silent under
    its window is exactly 0: the FFT spreads a block's rounding over all of its frames.
    """
    B, T = magnitude.shape[:2]
    bins, R = folds.shape[1:]
    size = hop * R
    blocks = (T + n_frames - 1) // n_frames
    for job in prange(B * blocks):
        b, t0 = job // blocks, (job % blocks) * n_frames
        frame, spectrum = samples[get_thread_id()], spectra[get_thread_id()]
        _load(x[b], start + t0 * hop, frame)
        r2c(frame, spectrum[below : below + size // 2 + 1], ALONE, True, 1.0, 1)
        _mirror(spectrum, below, size)
        rows = folds[get_thread_id()]
        for q in range(bins):
            part = taps[begin[q] : begin[q + 1]]
            _fold(spectrum[below + low[q] :], part, low[q] % R, rows[q])
        c2c(rows, rows, ROWS_AXIS, False, 1.0, 1)
        for t in range(t0, min(t0 + n_frames, T)):
            gap = _gap(frame, half[0] + (t - t0) * hop, half[0])
            for q in range(bins):
                c = rows[q, t - t0] if gap <= half[q] else rows[q, t - t0] * 0
                square = np.float64(c.real) ** 2 + np.float64(c.imag) ** 2
                coefficients[b, t, first + q] = c
                magnitude[b, t, first + q] = square if power == 2 else math.sqrt(square)


@njit(parallel=True, cache=True, nogil=True)
def octave_backward(
    d_magnitude, coefficients, hop, n_frames, power, taps, begin, low, below, spectra, folds,
    first, d_blocks,
):  # fmt: skip
    """Gradient with respect to the samples of each block, (B * blocks, M) (eqs. 8, 9)."""
    T = d_magnitude.shape[1]
    bins, R = folds.shape[1:]
    size = hop * R
    blocks = (T + n_frames - 1) // n_frames
    for job in prange(d_blocks.shape[0]):
        b, t0 = job // blocks, (job % blocks) * n_frames
        spectrum, rows = spectra[get_thread_id()], folds[get_thread_id()]
        rows[:] = 0.0
        for t in range(t0, min(t0 + n_frames, T)):
            for q in range(bins):
                slope, c = d_magnitude[b, t, first + q], coefficients[b, t, first + q]
                rows[q, t - t0] = _slope(slope, c, power)
        c2c(rows, rows, ROWS_AXIS, True, 1.0, 1)
        spectrum[:] = 0.0
        for q in range(bins):
            part = taps[begin[q] : begin[q + 1]]
            _d_fold(rows[q], part, low[q] % R, spectrum[below + low[q] :])
        _d_mirror(spectrum, below, size)
        half = spectrum[below : below + size // 2 + 1]
        c2r(half, d_blocks[job], ALONE, False, 0.5, 1)


@njit(parallel=True, cache=True, nogil=True)
def add_blocks(d_blocks, start, step, d_x):
    """Overlap-add: the blocks of an item begin `step` samples apart, the first at `start`."""
    B, N = d_x.shape
    blocks, size = d_blocks.shape[0] // B, d_blocks.shape[1]
    for b in prange(B):
        for j in range(blocks):
            place = start + j * step
            low, high = max(place, 0), min(place + size, N)
            if low < high:
                sums, values = (
                    d_x[b, low:high],
                    d_blocks[b * blocks + j, low - place : high - place],
                )
                for i in range(sums.shape[0]):
                    sums[i] += values[i]

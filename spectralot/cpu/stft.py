"""STFT magnitude: loops over frames (equations: docs/derivations/stft.md).

x (B,N); window (n_fft,); spectrum, magnitude (B,T,K). Frame t starts at sample
t * hop + offset; samples outside the signal count as zero. The FFT is rocket-fft's (DUCC),
called per group of frames so that framing, window, transform and magnitude stay in cache.
"""

import math

import numpy as np
from numba import njit, prange
from rocket_fft import c2r, r2c

GROUP = 16  # frames per FFT call: fewer lose the FFT's SIMD, more leave the cache
CHUNK = 1024  # samples per piece of the overlap-add
ROWS_AXIS = np.array([1])


@njit(parallel=True, cache=True, nogil=True)
def stft_forward(x, window, hop, offset, scale, power, scratch, spectrum, magnitude):
    """Spectrum and its magnitude (power 1) or squared magnitude (power 2) (eqs. 1, 2).

    scratch (P, GROUP, n_fft): the work is cut into P parts, each with rows of its own.
    """
    B, T, K = spectrum.shape
    N, n_fft = x.shape[1], window.shape[0]
    flat, flat_magnitude = spectrum.reshape(B * T, K), magnitude.reshape(B * T, K)
    groups = (B * T + GROUP - 1) // GROUP
    parts = scratch.shape[0]
    for part in prange(parts):
        for group in range(part * groups // parts, (part + 1) * groups // parts):
            first = group * GROUP
            last = min(first + GROUP, B * T)
            for f in range(first, last):
                b, start = f // T, (f % T) * hop + offset
                frame = scratch[part, f - first]
                inside = min(max(0, -start), n_fft)
                outside = max(min(n_fft, N - start), inside)
                frame[:inside] = 0.0
                frame[outside:] = 0.0
                for i in range(inside, outside):
                    frame[i] = x[b, start + i] * window[i]
            r2c(scratch[part, : last - first], flat[first:last], ROWS_AXIS, True, scale, 1)
            for f in range(first, last):
                for k in range(K):
                    re, im = np.float64(flat[f, k].real), np.float64(flat[f, k].imag)
                    square = re * re + im * im
                    flat_magnitude[f, k] = square if power == 2 else math.sqrt(square)


@njit(parallel=True, cache=True, nogil=True)
def stft_backward(
    d_magnitude, spectrum, magnitude, window, hop, offset, scale, power, scratch, frames, d_x
):
    """Adjoint of the frames' transform, then overlap-add (eqs. 3-5).

    scratch (P, GROUP, K) complex; frames (B*T, n_fft). A bin of magnitude 0 has gradient 0.
    """
    B, T, K = spectrum.shape
    N, n_fft = d_x.shape[1], window.shape[0]
    flat, flat_magnitude = spectrum.reshape(B * T, K), magnitude.reshape(B * T, K)
    flat_d = d_magnitude.reshape(B * T, K)
    groups = (B * T + GROUP - 1) // GROUP
    parts = scratch.shape[0]
    for part in prange(parts):
        for group in range(part * groups // parts, (part + 1) * groups // parts):
            first = group * GROUP
            last = min(first + GROUP, B * T)
            for f in range(first, last):
                row = scratch[part, f - first]
                for k in range(K):
                    m = flat_magnitude[f, k]
                    slope = flat_d[f, k]
                    if power == 1:
                        slope = 0.5 * slope / m if m > 0 else 0.0 * slope
                    row[k] = flat[f, k] * slope
                row[0] *= 2.0
                if n_fft % 2 == 0:
                    row[K - 1] *= 2.0
            c2r(scratch[part, : last - first], frames[first:last], ROWS_AXIS, False, scale, 1)
    chunks = (N + CHUNK - 1) // CHUNK
    for job in prange(B * chunks):
        b, first = job // chunks, (job % chunks) * CHUNK
        last = min(first + CHUNK, N)
        d_x[b, first:last] = 0.0
        t0 = max(0, (first - offset - n_fft) // hop + 1)
        t1 = min(T, (last - 1 - offset) // hop + 1)
        for t in range(t0, t1):
            start = t * hop + offset
            for n in range(max(first, start), min(last, start + n_fft)):
                d_x[b, n] += frames[b * T + t, n - start] * window[n - start]

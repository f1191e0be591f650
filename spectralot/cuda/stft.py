"""STFT magnitude on the device (equations: docs/derivations/stft.md).

Names and parameters are those of cpu/stft.py. One or several frames stand in a block's shared
memory, where they are windowed, transformed, compared and transformed back; a frame of n samples is
a complex FFT of n / 2 points. `frames` (B,T,n_fft) takes the windowed gradients of the frames,
which a second kernel adds up sample by sample, in one order: no atomics. n_fft: a power of two from
64 to 4096. float32 throughout; `chunk`, `spectra` and `lines` are of no use here.
"""

import math
from functools import lru_cache

import numpy as np
from numba import complex64, cuda, float32

from .arrays import constant, launch, spread

THREADS = 128
ZERO, HALF, TWO = np.float32(0), np.float32(0.5), np.float32(2)


@cuda.jit(device=True)
def _reversed(i, bits):
    """The low `bits` bits of i in the other order."""
    return cuda.brev(np.uint32(i)) >> np.uint32(32 - bits)


@cuda.jit(device=True)
def _transform(z, bits, lane, lanes, table):
    """FFT of 2**bits points in place, from bit-reversed to natural order."""
    for stage in range(bits):
        cuda.syncthreads()
        for j in range(lane, 1 << (bits - 1), lanes):
            k = j & ((1 << stage) - 1)
            a = ((j >> stage) << (stage + 1)) + k
            b = a + (1 << stage)
            turned = z[b] * table[k << (bits - stage)]
            z[b] = z[a] - turned
            z[a] += turned
    cuda.syncthreads()


@cuda.jit(device=True)
def _transform_back(z, bits, lane, lanes, table):
    """FFT of 2**bits points with the other sign, from natural to bit-reversed order."""
    for stage in range(bits - 1, -1, -1):
        cuda.syncthreads()
        for j in range(lane, 1 << (bits - 1), lanes):
            k = j & ((1 << stage) - 1)
            a = ((j >> stage) << (stage + 1)) + k
            b = a + (1 << stage)
            difference = z[a] - z[b]
            z[a] += z[b]
            z[b] = difference * table[k << (bits - stage)].conjugate()
    cuda.syncthreads()


@cuda.jit(device=True)
def _load(x, start, window, z, bits, lane, lanes):
    """Windowed samples, even ones as real and odd ones as imaginary parts, bit-reversed (eq. 1)."""
    N = x.shape[0]
    for j in range(lane, 1 << bits, lanes):
        n = start + 2 * j
        re = x[n] * window[2 * j] if 0 <= n < N else ZERO
        im = x[n + 1] * window[2 * j + 1] if 0 <= n + 1 < N else ZERO
        z[_reversed(j, bits)] = complex(re, im)


@cuda.jit(device=True)
def _times(number, z):
    """A product with a real number, without the products with its imaginary 0."""
    return complex(number * z.real, number * z.imag)


@cuda.jit(device=True)
def _bins(z, k, table, scale):
    """Bins k and half - k of the real frame, from the complex transform of half its length."""
    half = z.shape[0]
    a, b = z[k], z[(half - k) & (half - 1)].conjugate()
    even, odd = a + b, a - b
    odd = complex(odd.imag, -odd.real) * table[k]
    low, high = even + odd, (even - odd).conjugate()
    return _times(HALF * scale, low), _times(HALF * scale, high)


@cuda.jit(device=True)
def _unbin(low, high, k, table, z):
    """What is transformed back to Re sum D_k exp(2 pi i k n / n_fft), D of bins k and half - k."""
    half = z.shape[0]
    if k == 0:
        low, high = complex(TWO * low.real, ZERO), complex(TWO * high.real, ZERO)  # no twins
    high = high.conjugate()
    even, odd = low + high, (low - high) * table[k].conjugate()
    even, odd = _times(HALF, even), _times(HALF, odd)
    z[k] = complex(even.real - odd.imag, even.imag + odd.real)
    if 0 < k < half - k:
        z[half - k] = complex(even.real + odd.imag, odd.real - even.imag)


@cuda.jit(device=True)
def _store(z, bits, window, scale, lane, lanes, frame):
    """The frame's gradient times its window (eq. 5)."""
    for j in range(lane, 1 << bits, lanes):
        pair = z[_reversed(j, bits)]
        frame[2 * j] = scale * pair.real * window[2 * j]
        frame[2 * j + 1] = scale * pair.imag * window[2 * j + 1]


@cuda.jit(device=True)
def _place(n_jobs, lanes):
    """This thread's job, its lane, the job's slot in the block, and whether there is such a job.

    Threads without a job do the last one over, for all must meet at the barriers.
    """
    slot = cuda.threadIdx.x // lanes
    job = cuda.blockIdx.x * (cuda.blockDim.x // lanes) + slot
    return min(job, n_jobs - 1), cuda.threadIdx.x % lanes, slot, job < n_jobs


@cuda.jit(device=True)
def _magnitude(bin, power):
    square = bin.real * bin.real + bin.imag * bin.imag
    return square if power == 2 else math.sqrt(square)


@cuda.jit(device=True)
def _d_bin(bin, magnitude, slope, power):
    """Gradient of a bin from that of its magnitude; 0 where that is 0 (eq. 3)."""
    if power == 2:
        return _times(TWO * slope, bin)
    if magnitude > ZERO:
        return complex(slope * (bin.real / magnitude), slope * (bin.imag / magnitude))
    return complex(ZERO, ZERO)


@cuda.jit
def _forward(x, window, table, bits, lanes, hop, offset, scale, power, spectrum, magnitude):
    B, T, K = spectrum.shape
    job, lane, slot, real = _place(B * T, lanes)
    b, t = job // T, job % T
    half = K - 1
    z = cuda.shared.array(0, complex64)[slot * half : (slot + 1) * half]
    _load(x[b], t * hop + offset, window, z, bits, lane, lanes)
    _transform(z, bits, lane, lanes, table)
    if not real:
        return
    for k in range(lane, half // 2 + 1, lanes):
        low, high = _bins(z, k, table, scale)
        spectrum[b, t, k], magnitude[b, t, k] = low, _magnitude(low, power)
        spectrum[b, t, half - k], magnitude[b, t, half - k] = high, _magnitude(high, power)


@cuda.jit
def _backward(
    d_magnitude, spectrum, magnitude, window, table, bits, lanes, scale, power, frames
):  # fmt: skip
    B, T, K = spectrum.shape
    job, lane, slot, real = _place(B * T, lanes)
    b, t = job // T, job % T
    half = K - 1
    z = cuda.shared.array(0, complex64)[slot * half : (slot + 1) * half]
    for k in range(lane, half // 2 + 1, lanes):
        j = half - k
        low = _d_bin(spectrum[b, t, k], magnitude[b, t, k], d_magnitude[b, t, k], power)
        high = _d_bin(spectrum[b, t, j], magnitude[b, t, j], d_magnitude[b, t, j], power)
        _unbin(low, high, k, table, z)
    _transform_back(z, bits, lane, lanes, table)
    if real:
        _store(z, bits, window, scale, lane, lanes, frames[b, t])


@cuda.jit(device=True)
def _compare(e, t, linear, log, floor):
    """linear * |e - t| + log * |ln e - ln t|, both floored in the logarithm, and its slope."""
    value, slope = linear * abs(e - t), ZERO
    if e != t:
        slope = linear if e > t else -linear
    if log != ZERO:
        t = max(t, floor)
        value += log * abs(math.log(max(e, floor) / t))
        if e > floor and e != t:
            slope += log / e if e > t else -log / e
    return value, slope


@cuda.jit
def _vertical(
    x, target, window, table, bits, lanes, hop, offset, scale, linear, log, floor, weight, values,
    frames,
):  # fmt: skip
    B, T, K = target.shape
    job, lane, slot, real = _place(B * T, lanes)
    b, t = job // T, job % T
    half = K - 1
    z = cuda.shared.array(0, complex64)[slot * half : (slot + 1) * half]
    sums = cuda.shared.array(THREADS, float32)
    _load(x[b], t * hop + offset, window, z, bits, lane, lanes)
    _transform(z, bits, lane, lanes, table)
    total = ZERO
    for k in range(lane, half // 2 + 1, lanes):
        low, high = _bins(z, k, table, scale)
        e = _magnitude(low, 1)
        value, slope = _compare(e, target[b, t, k], linear, log, floor)
        low = _d_bin(low, e, weight * slope, 1)
        total += value
        e = _magnitude(high, 1)
        value, slope = _compare(e, target[b, t, half - k], linear, log, floor)
        high = _d_bin(high, e, weight * slope, 1)
        if k != half - k:
            total += value
        _unbin(low, high, k, table, z)
    sums[cuda.threadIdx.x] = total
    apart = lanes // 2
    while apart > 0:
        cuda.syncthreads()
        if lane < apart:
            sums[cuda.threadIdx.x] += sums[cuda.threadIdx.x + apart]
        apart //= 2
    _transform_back(z, bits, lane, lanes, table)
    if real:
        _store(z, bits, window, scale, lane, lanes, frames[b, t])
        if lane == 0:
            values[b, t] = sums[cuda.threadIdx.x] / float32(K)


@cuda.jit
def _overlap_add(frames, hop, offset, add, d_x):
    """Sum over the frames that meet a sample, from the first to the last (eq. 5)."""
    B, N = d_x.shape
    T, n_fft = frames.shape[1:]
    i = cuda.grid(1)
    if i < B * N:
        b, n = i // N, i % N
        first = max(0, (n - offset - n_fft) // hop + 1)
        stop = min(T, (n - offset) // hop + 1)
        total = d_x[b, n] if add else ZERO
        for t in range(first, stop):
            total += frames[b, t, n - t * hop - offset]
        d_x[b, n] = total


@lru_cache(maxsize=16)
def _table(n_fft):
    """exp(-2 pi i k / n_fft) for the lower half of the bins."""
    return constant(np.exp(-2j * np.pi * np.arange(n_fft // 2 + 1) / n_fft).astype("c8"))


def _launch(n_fft, n_frames):
    """Table, bits and lanes of a frame, and how to launch so many frames."""
    half = n_fft // 2
    lanes = min(THREADS, max(8, half // 4))
    slots = THREADS // lanes
    config = launch(-(-n_frames // slots), THREADS, slots * half * 8)
    return (_table(n_fft), half.bit_length() - 1, lanes), config


def _gather(frames, hop, offset, add, d_x):
    _overlap_add[spread(d_x.size, THREADS)](frames, hop, offset, add, d_x)


def stft_forward(x, window, hop, offset, scale, power, frames, spectrum, magnitude):
    """Spectrum and its magnitude (power 1) or squared magnitude (power 2) (eqs. 1, 2)."""
    plan, config = _launch(len(window), spectrum.shape[0] * spectrum.shape[1])
    scale = np.float32(scale)
    _forward[config](x, window, *plan, hop, offset, scale, power, spectrum, magnitude)


def stft_backward(
    d_magnitude, spectrum, magnitude, window, hop, offset, scale, power, chunk, frames, spectra,
    d_x,
):  # fmt: skip
    """Adjoint of the frames' transform, then overlap-add (eqs. 3-5)."""
    plan, config = _launch(len(window), spectrum.shape[0] * spectrum.shape[1])
    _backward[config](
        d_magnitude, spectrum, magnitude, window, *plan, np.float32(scale), power, frames
    )
    _gather(frames, hop, offset, False, d_x)


def vertical_loss(
    x, target, window, hop, offset, scale, linear, log, floor, weight, chunk, frames, spectra,
    lines, values, d_x,
):  # fmt: skip
    """Mean over bins of linear * |e - t| + log * |ln e - ln t| for the magnitudes e of x.

    As in cpu/stft.py; no spectrum leaves the shared memory.
    """
    plan, config = _launch(len(window), target.shape[0] * target.shape[1])
    numbers = (np.float32(number) for number in (scale, linear, log, floor, weight))
    _vertical[config](x, target, window, *plan, hop, offset, *numbers, values, frames)
    _gather(frames, hop, offset, True, d_x)

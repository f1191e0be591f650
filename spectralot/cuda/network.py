"""Layers of the encoders on the device (equations: docs/derivations/network.md).

Names and parameters are those of cpu/network.py. float32, but for places between bins. Where many
numbers are added up, each thread adds its own in order, and threads meet in a tree.

Parameters may have one axis more, the first: that of G runs side by side, each of which has as many
of the rows. Launchers see to it that kernels always find this axis.
"""

import math

import numpy as np
from numba import cuda, float32, float64, int64, uint64

from .arrays import empty, fill, launch, spread

THREADS = 128
TILE, EACH = 16, 4  # of a product: TILE x TILE threads, EACH x EACH numbers for each
SIDE = TILE * EACH
ROW = SIDE + 1  # in shared memory: neighbours in a column fall into different banks
BINS = 64  # bins of a frame that a block works on at once
STRIDE = BINS + 1  # of their rows in shared memory: neighbours fall into different banks
ZERO, ONE, TWO = np.float32(0), np.float32(1), np.float32(2)
POWER, LEAST = np.float32(math.log(10)), np.float32(1e-7)
# of SplitMix64: from one number to the next, and how each is mixed
GAMMA = np.uint64(0x9E3779B97F4A7C15)
MIX_A, MIX_B = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
SHIFT_A, SHIFT_B, SHIFT_C = np.uint64(30), np.uint64(27), np.uint64(31)
TOP, UNIT = np.uint64(40), np.float32(2**-24)  # 24 bits are left, as many as a float32 holds


@cuda.jit(device=True)
def _tree(value, sums, larger):
    """Sum over the block, or the largest."""
    i = cuda.threadIdx.x
    cuda.syncthreads()
    sums[i] = value
    apart = THREADS // 2
    while apart > 0:
        cuda.syncthreads()
        if i < apart:
            other = sums[i + apart]
            sums[i] = max(sums[i], other) if larger else sums[i] + other
        apart //= 2
    cuda.syncthreads()
    return sums[0]


@cuda.jit
def _leaky_forward(y, bias, slope):
    i = cuda.grid(1)
    R, C = y.shape
    if i < R * C:
        r, c = i // C, i % C
        v = y[r, c] + bias[r * bias.shape[0] // R, c]
        y[r, c] = v if v > ZERO else slope * v


@cuda.jit(device=True)
def _part(part, parts, run, runs, R):
    """First and last row of a part of a run's rows."""
    rows = R // runs
    return run * rows + part * rows // parts, run * rows + (part + 1) * rows // parts


@cuda.jit
def _leaky_backward(y, slope, d_y, sums):
    i = cuda.grid(1)
    parts, G, C = sums.shape
    if i < parts * G * C:
        part, g, c, total = i // (G * C), i // C % G, i % C, ZERO
        low, high = _part(part, parts, g, G, y.shape[0])
        for r in range(low, high):
            d = d_y[r, c] if y[r, c] > ZERO else slope * d_y[r, c]
            d_y[r, c] = d
            total += d
        sums[part, g, c] = total


@cuda.jit(device=True)
def _add_products(left, right, totals):
    """totals += what two tiles give, rows and columns TILE apart: from registers but for few."""
    i, j = cuda.threadIdx.y, cuda.threadIdx.x
    cuda.syncthreads()
    for k in range(TILE):
        for a in range(EACH):
            for b in range(EACH):
                totals[a, b] += left[k, a * TILE + i] * right[k, b * TILE + j]
    cuda.syncthreads()


@cuda.jit
def _product(x, matrix, transposed, y):
    left = cuda.shared.array((TILE, ROW), float32)  # inner places first
    right = cuda.shared.array((TILE, ROW), float32)
    totals = cuda.local.array((EACH, EACH), float32)
    i, j, g = cuda.threadIdx.y, cuda.threadIdx.x, cuda.blockIdx.z
    rows, C, inner = x.shape[0] // matrix.shape[0], y.shape[1], x.shape[1]
    row, column = cuda.blockIdx.x * SIDE, cuda.blockIdx.y * SIDE
    for a in range(EACH):
        for b in range(EACH):
            totals[a, b] = ZERO
    for first in range(0, inner, TILE):
        for a in range(EACH):
            at, r, k = a * TILE + i, row + a * TILE + i, first + j
            left[j, at] = x[g * rows + r, k] if r < rows and k < inner else ZERO
            if transposed:  # neighbours in a warp read neighbours in memory
                c = column + at
                right[j, at] = matrix[g, c, k] if c < C and k < inner else ZERO
            else:
                at, c, k = a * TILE + j, column + a * TILE + j, first + i
                right[i, at] = matrix[g, k, c] if c < C and k < inner else ZERO
        _add_products(left, right, totals)
    for a in range(EACH):
        for b in range(EACH):
            r, c = row + a * TILE + i, column + b * TILE + j
            if r < rows and c < C:
                y[g * rows + r, c] = totals[a, b]


@cuda.jit
def _outer_product(x, y, sums):
    left = cuda.shared.array((TILE, ROW), float32)
    right = cuda.shared.array((TILE, ROW), float32)
    totals = cuda.local.array((EACH, EACH), float32)
    parts, G, rows, columns = sums.shape
    i, j, part, g = cuda.threadIdx.y, cuda.threadIdx.x, cuda.blockIdx.z // G, cuda.blockIdx.z % G
    row, column = cuda.blockIdx.x * SIDE, cuda.blockIdx.y * SIDE
    low, high = _part(part, parts, g, G, x.shape[0])
    for a in range(EACH):
        for b in range(EACH):
            totals[a, b] = ZERO
    for first in range(low, high, TILE):
        k = first + i
        for a in range(EACH):
            at, r, c = a * TILE + j, row + a * TILE + j, column + a * TILE + j
            left[i, at] = x[k, r] if r < rows and k < high else ZERO
            right[i, at] = y[k, c] if c < columns and k < high else ZERO
        _add_products(left, right, totals)
    for a in range(EACH):
        for b in range(EACH):
            r, c = row + a * TILE + i, column + b * TILE + j
            if r < rows and c < columns:
                sums[part, g, r, c] = totals[a, b]


@cuda.jit
def _convolution(x, weight, K, taps, y):
    """A window of all taps is one stretch of a frame: the product of windows and weights."""
    left = cuda.shared.array((TILE, TILE), float32)
    right = cuda.shared.array((TILE, TILE), float32)
    i, j, g = cuda.threadIdx.y, cuda.threadIdx.x, cuda.blockIdx.z
    (G, inner, D), n, total = weight.shape, x.shape[1], ZERO
    p, c, rows = cuda.blockIdx.x * TILE + i, cuda.blockIdx.y * TILE + j, y.shape[0] // G
    here = p < rows
    p += g * rows
    r, start = p // K, (p % K - taps // 2) * (n // K)
    for first in range(0, inner, TILE):
        at, row = start + first + j, first + i
        left[i, j] = x[r, at] if here and first + j < inner and 0 <= at < n else ZERO
        right[i, j] = weight[g, row, c] if c < D and row < inner else ZERO
        cuda.syncthreads()
        for k in range(TILE):
            total += left[i, k] * right[k, j]
        cuda.syncthreads()
    if here and c < D:
        y[p, c] = total


@cuda.jit
def _convolution_backward(x, d_y, K, taps, sums):
    left = cuda.shared.array((TILE, TILE), float32)
    right = cuda.shared.array((TILE, TILE), float32)
    (parts, G, rows, D), (R, n) = sums.shape, x.shape
    i, j, part, g = cuda.threadIdx.y, cuda.threadIdx.x, cuda.blockIdx.z // G, cuda.blockIdx.z % G
    row, c = cuda.blockIdx.x * TILE + i, cuda.blockIdx.y * TILE + j
    inside, total = cuda.blockIdx.x * TILE + j, ZERO  # of a window
    low, high = _part(part, parts, g, G, R)
    for r in range(low, high):
        for first in range(0, K, TILE):
            k = first + i
            at = (k - taps // 2) * (n // K) + inside
            left[i, j] = x[r, at] if inside < rows and k < K and 0 <= at < n else ZERO
            right[i, j] = d_y[r * K + k, c] if c < D and k < K else ZERO
            cuda.syncthreads()
            for m in range(TILE):
                total += left[m, i] * right[m, j]
            cuda.syncthreads()
    if row < rows and c < D:
        sums[part, g, row, c] = total


@cuda.jit
def _add_up(sums, total):
    i = cuda.grid(1)
    if i < total.size:
        more = ZERO
        for part in range(sums.shape[0]):
            more += sums[part, i]
        total[i] += more


@cuda.jit
def _times(a, b, product):
    i = cuda.grid(1)
    R, C = product.shape
    if i < R * C:
        r, c = i // C, i % C
        product[r, c] = a[r, min(c, a.shape[1] - 1)] * b[r, min(c, b.shape[1] - 1)]


@cuda.jit
def _affine(x, weight, bias, y):
    i = cuda.grid(1)
    R, K = x.shape
    if i < R * K:
        r, k = i // K, i % K
        g = r * weight.shape[0] // R
        y[r, k] = x[r, k] * weight[g, k] + bias[g, k]


@cuda.jit
def _turn(x, y):
    i = cuda.grid(1)
    N, n, C, D = x.shape
    if i < N * n * C * D:
        at, tap, c, d = i // (n * C * D), i // (C * D) % n, i // D % C, i % D
        y[at, n - 1 - tap, d, c] = x[at, tap, c, d]


@cuda.jit(device=True)
def _mixed(n):
    n = (n ^ (n >> SHIFT_A)) * MIX_A
    n = (n ^ (n >> SHIFT_B)) * MIX_B
    return n ^ (n >> SHIFT_C)


@cuda.jit
def _dropout(seed, share, kept):
    """Random numbers from their own numbers (SplitMix64): none waits for another."""
    i = cuda.grid(1)
    if i < kept.size:
        n = _mixed(_mixed(uint64(seed[0])) + uint64(i + 1) * GAMMA)
        kept[i] = ONE / (ONE - share) if float32(n >> TOP) * UNIT >= share else ZERO


@cuda.jit
def _toeplitz(kernel, matrix):
    i = cuda.grid(1)
    (G, _, taps), (rows, J) = kernel.shape, matrix.shape[1:]
    if i < G * rows * J:
        g, row, j = i // (rows * J), i // J % rows, i % J
        inputs = taps - J + 1
        matrix[g, row, j] = kernel[g, row // inputs, row % inputs - j + J - 1]


@cuda.jit
def _toeplitz_backward(d_matrix, d_kernel):
    """A thread walks along a diagonal."""
    i = cuda.grid(1)
    (G, D, taps), J = d_kernel.shape, d_matrix.shape[2]
    if i < G * D * taps:
        g, d, tap, inputs, total = i // (D * taps), i // taps % D, i % taps, taps - J + 1, ZERO
        apart = tap - (J - 1)  # input less output
        for k in range(max(0, apart), min(inputs, J + apart)):
            total += d_matrix[g, d * inputs + k, k - apart]
        d_kernel[g, d, tap] += total


@cuda.jit
def _bins_forward(x, weights, widths, taps, slope, z, last):
    i = cuda.grid(1)
    R, K = x.shape
    if i >= R * K:
        return
    r, k, final = i // K, i % K, widths.shape[0] - 1
    half, C, g = taps // 2, widths[0], r * weights.shape[0] // R
    for c in range(C):
        v = weights[g, taps * C + c]
        for tap in range(max(0, half - k), min(taps, K + half - k)):
            v += weights[g, tap * C + c] * x[r, k + tap - half]
        v = v if v > ZERO else slope * v
        if final > 0:
            z[r, c, k] = v
        else:
            last[r, c, k] = v
    at, first = (taps + 1) * C, 0
    for layer in range(1, final + 1):
        D = widths[layer]
        for d in range(D):
            v = weights[g, at + C * D + d]
            for c in range(C):
                v += weights[g, at + c * D + d] * z[r, first + c, k]
            v = v if v > ZERO else slope * v
            if layer < final:
                z[r, first + C + d, k] = v
            else:
                last[r, d, k] = v
        at, first, C = at + (C + 1) * D, first + C, D


@cuda.jit
def _bins_backward(x, weights, widths, widest, taps, slope, z, last, d_last, sums):
    """A block takes the frames of its part through, BINS at a time; each thread owns weights."""
    shared = cuda.shared.array(0, float32)
    size = widest * STRIDE
    here, before, totals = shared[:size], shared[size : 2 * size], shared[2 * size :]
    (R, K), (parts, G, n) = x.shape, sums.shape
    part, g = cuda.blockIdx.x // G, cuda.blockIdx.x % G
    low_row, high_row = _part(part, parts, g, G, R)
    final, half, me = widths.shape[0] - 1, taps // 2, cuda.threadIdx.x
    for i in range(me, n, THREADS):
        totals[i] = ZERO
    for r in range(low_row, high_row):
        for low in range(0, K, BINS):
            count = min(BINS, K - low)
            cuda.syncthreads()
            for i in range(me, widths[final] * count, THREADS):
                d, k = i // count, i % count
                here[d * STRIDE + k] = d_last[r, d, low + k]
            at, first = n, z.shape[1]
            for layer in range(final, -1, -1):
                D = widths[layer]
                first -= D if layer < final else 0
                cuda.syncthreads()
                for i in range(me, D * count, THREADS):
                    d, k = i // count, i % count
                    y = z[r, first + d, low + k] if layer < final else last[r, d, low + k]
                    if y <= ZERO:
                        here[d * STRIDE + k] *= slope
                cuda.syncthreads()
                at -= D
                for d in range(me, D, THREADS):
                    total = ZERO
                    for k in range(count):
                        total += here[d * STRIDE + k]
                    totals[at + d] += total
                if layer == 0:
                    break
                C = widths[layer - 1]
                at -= C * D
                for i in range(me, C * count, THREADS):
                    c, k = i // count, i % count
                    before[c * STRIDE + k] = z[r, first - C + c, low + k]
                cuda.syncthreads()
                for i in range(me, C * D, THREADS):
                    c, d, total = i // D, i % D, ZERO
                    for k in range(count):
                        total += before[c * STRIDE + k] * here[d * STRIDE + k]
                    totals[at + i] += total
                cuda.syncthreads()
                for i in range(me, C * count, THREADS):
                    c, k, total = i // count, i % count, ZERO
                    for d in range(D):
                        total += weights[g, at + c * D + d] * here[d * STRIDE + k]
                    before[c * STRIDE + k] = total
                here, before = before, here
            C = widths[0]
            for i in range(me, taps * C, THREADS):
                tap, c, total = i // C, i % C, ZERO
                for k in range(count):
                    at = low + k + tap - half
                    if 0 <= at < K:
                        total += x[r, at] * here[c * STRIDE + k]
                totals[i] += total
    cuda.syncthreads()
    for i in range(me, n, THREADS):
        sums[part, g, i] = totals[i]


@cuda.jit
def _normalize(x, power, y):
    sums = cuda.shared.array(THREADS, float32)
    r, K, square = cuda.blockIdx.x, x.shape[1], ZERO
    for k in range(cuda.threadIdx.x, K, THREADS):
        v = math.sqrt(x[r, k]) if power == 0.5 else x[r, k] ** float32(power)
        y[r, k] = v
        square += v * v
    square = _tree(square, sums, False)
    inverse = math.sqrt(float32(K) / square) if square > ZERO else ZERO
    for k in range(cuda.threadIdx.x, K, THREADS):
        y[r, k] *= inverse


@cuda.jit
def _standardize(x, eps, y):
    sums = cuda.shared.array(THREADS, float32)
    r, K, mean, square = cuda.blockIdx.x, x.shape[1], ZERO, ZERO
    for k in range(cuda.threadIdx.x, K, THREADS):
        mean += x[r, k]
    mean = _tree(mean, sums, False) / float32(K)
    for k in range(cuda.threadIdx.x, K, THREADS):
        square += (x[r, k] - mean) * (x[r, k] - mean)
    square = _tree(square, sums, False) / float32(K)
    inverse = ONE / math.sqrt(square + eps)
    for k in range(cuda.threadIdx.x, K, THREADS):
        y[r, k] = (x[r, k] - mean) * inverse


@cuda.jit
def _expected_position_forward(logits, temperature, p, position):
    """Sums in float64: a place must be exact to a thousandth of a bin's thousandth."""
    tops = cuda.shared.array(THREADS, float32)
    sums = cuda.shared.array(THREADS, float64)
    r, K, me = cuda.blockIdx.x, logits.shape[1], cuda.threadIdx.x
    top = logits[r, 0]
    for k in range(me, K, THREADS):
        top = max(top, logits[r, k])
    top = _tree(top, tops, True)
    total, moment = 0.0, 0.0
    for k in range(me, K, THREADS):
        e = math.exp((logits[r, k] - top) / temperature)
        p[r, k] = e
        total += float64(e)
        moment += float64(e) * k
    total = _tree(total, sums, False)
    moment = _tree(moment, sums, False)
    inverse = float32(1.0 / total)
    for k in range(me, K, THREADS):
        p[r, k] *= inverse
    if me == 0:
        position[r] = moment / total


@cuda.jit
def _expected_position_backward(p, position, temperature, d_position, d_logits):
    i = cuda.grid(1)
    R, K = p.shape
    if i < R * K:
        r, k = i // K, i % K
        slope = float32(d_position[r]) / temperature
        d_logits[r, k] = slope * p[r, k] * float32(k - position[r])


@cuda.jit(device=True)
def _between(row, at):
    """The row between two bins, and its slope there; 0 outside."""
    k, K = int64(math.floor(at)), row.shape[0]
    low = row[k] if 0 <= k < K else ZERO
    high = row[k + 1] if 0 <= k + 1 < K else ZERO
    return low + float32(at - k) * (high - low), high - low


@cuda.jit
def _read(x, position, offsets, values, slopes):
    i = cuda.grid(1)
    R, M = values.shape
    if i < R * M:
        r, m = i // M, i % M
        values[r, m], slopes[r, m] = _between(x[r], position[r] + offsets[m])


@cuda.jit
def _see(x, position, offsets, seen, slopes):
    i = cuda.grid(1)
    R, M = seen.shape
    if i < R * M:
        r, m = i // M, i % M
        if m == M - 1:
            seen[r, m] = float32(position[r] / x.shape[1] - 0.5)
            return
        seen[r, m], slopes[r, m] = _between(x[r], position[r] + offsets[m])


@cuda.jit
def _see_backward(d_seen, slopes, d_a, factors, slope, n_bins, d_bins):
    sums = cuda.shared.array(THREADS, float64)
    r, M, me, total = cuda.blockIdx.x, slopes.shape[1], cuda.threadIdx.x, 0.0
    for m in range(me, M, THREADS):
        total += float64(d_seen[r, m]) * float64(slopes[r, m])
    for h in range(me, d_a.shape[1], THREADS):
        total += float64(d_a[r, h] * factors[r, h] * slope[r, min(h, slope.shape[1] - 1)])
    total = _tree(total, sums, False)
    if me == 0:
        d_bins[r] = total + float64(d_seen[r, M]) / n_bins


@cuda.jit
def _level(x, spread, values):
    sums = cuda.shared.array(THREADS, float32)
    r, square = cuda.blockIdx.x, ZERO
    for k in range(cuda.threadIdx.x, x.shape[1], THREADS):
        square += x[r, k] * x[r, k]
    square = _tree(square, sums, False)
    if cuda.threadIdx.x == 0:
        values[r, 0] = math.sqrt(square / spread)


@cuda.jit
def _frequency(bins, fmin, bins_per_octave, f0_hz):
    i = cuda.grid(1)
    if i < bins.size:
        f0_hz[i] = fmin * 2.0 ** (bins[i] / bins_per_octave)


@cuda.jit
def _frequency_backward(d_f0_hz, f0_hz, slope, d_bins):
    i = cuda.grid(1)
    if i < d_bins.size:
        d_bins[i] = d_f0_hz[i] * f0_hz[i] * slope


@cuda.jit
def _bin_of(f0_hz, fmin, bins_per_octave, bins):
    i = cuda.grid(1)
    if i < bins.size:
        bins[i] = bins_per_octave * math.log2(f0_hz[i] / fmin)


@cuda.jit
def _amplitude(x, slopes, a):
    i = cuda.grid(1)
    R, H = x.shape
    if i < R * H:
        s = ONE / (ONE + math.exp(-x[i // H, i % H]))
        value = TWO * s**POWER
        a[i // H, i % H] = value + LEAST
        slopes[i // H, i % H] = value * POWER * (ONE - s)


def _tiles(rows, columns, pieces, side):
    # rows may be many, and only the first number may be large
    return launch((-(-rows // side), -(-columns // side), pieces), (TILE, TILE))


def _runs(array, ndim):
    """The array with an axis of runs before its last axes."""
    return array.reshape(-1, *array.shape[array.ndim - ndim + 1 :])


def leaky_forward(y, bias, slope, parts):
    """y becomes leaky ReLU of y + bias, in place (eq. 3)."""
    _leaky_forward[spread(y.size, THREADS)](y, _runs(bias, 2), np.float32(slope))


def leaky_backward(y, slope, d_y, sums):
    """d_y becomes the gradient before the leaky ReLU, in place; its sums (parts,C) (eq. 4)."""
    sums = sums.reshape(len(sums), -1, y.shape[1])
    _leaky_backward[spread(sums.size, THREADS)](y, np.float32(slope), d_y, sums)


def _multiply(x, matrix, transposed, y):
    matrix = _runs(matrix, 3)
    _product[_tiles(len(y) // len(matrix), y.shape[1], len(matrix), SIDE)](x, matrix, transposed, y)


def product(x, matrix, y, pieces):
    """y = x matrix."""
    _multiply(x, matrix, False, y)


def product_transposed(x, matrix, y):
    """y = x times the transposed matrix; the CPU's BLAS does not need it said."""
    _multiply(x, matrix, True, y)


def outer_product(x, y, sums):
    """sums (pieces,I,J), to be added up to the transposed x (R,I) times y (R,J)."""
    pieces, rows, columns = sums.shape[0], x.shape[1], y.shape[1]
    sums = sums.reshape(pieces, -1, rows, columns)
    _outer_product[_tiles(rows, columns, pieces * sums.shape[1], SIDE)](x, y, sums)


def convolution(x, weight, y):
    """y (R,K,D) of x (R,K,C), zero beyond both ends, and weight (taps,C,D) (eq. 5)."""
    (R, K, C), (taps, _, D) = x.shape, weight.shape[-3:]
    weight = weight.reshape(-1, taps * C, D)
    _convolution[_tiles(R * K // len(weight), D, len(weight), TILE)](
        x.reshape(R, K * C), weight, K, taps, y.reshape(R * K, D)
    )


def convolution_backward(x, d_y, sums):
    """Gradient of the weight (eq. 6): sums (parts,taps,C,D), to be added up."""
    (R, K, C), (taps, _, D) = x.shape, sums.shape[-3:]
    sums = sums.reshape(len(sums), -1, taps * C, D)
    _convolution_backward[_tiles(taps * C, D, sums.shape[0] * sums.shape[1], TILE)](
        x.reshape(R, K * C), d_y.reshape(R * K, D), K, taps, sums
    )


def add_up(sums, total):
    """total (n) += the sum over the first axis of sums (parts,n)."""
    _add_up[spread(total.size, THREADS)](sums, total)


def times(a, b, product):
    """a * b, one of which may be a column."""
    _times[spread(product.size, THREADS)](a, b, product)


def affine(x, weight, bias, y):
    """y = x * weight + bias, by columns."""
    _affine[spread(x.size, THREADS)](x, _runs(weight, 2), _runs(bias, 2), y)


def turn(x, y):
    """The last two axes change places, and the one before them is reversed."""
    _turn[spread(x.size, THREADS)](_runs(x, 4), _runs(y, 4))


def dropout(rng, share, kept):
    """0 for a share of the numbers, by chance, 1 / (1 - share) for the others.

    rng: an integer, or an array of one on the device. It alone decides, and each run of rows is
    another stretch of its random numbers.
    """
    if isinstance(rng, (int, np.integer)):
        number, rng = rng, empty(1, np.int64)
        fill(rng, number)
    _dropout[spread(kept.size, THREADS)](rng, np.float32(share), kept.reshape(kept.size))


def toeplitz(kernel, matrix):
    """Matrix (D*I,J) with the entry kernel[d, i - j + J - 1] in row d * I + i (eq. 7)."""
    _toeplitz[spread(matrix.size, THREADS)](_runs(kernel, 3), _runs(matrix, 3))


def toeplitz_backward(d_matrix, d_kernel):
    """Add the sums along the diagonals to the gradient of the kernel (eq. 7)."""
    _toeplitz_backward[spread(d_kernel.size, THREADS)](_runs(d_matrix, 3), _runs(d_kernel, 3))


def bins_forward(x, weights, widths, taps, slope, z, last):
    """A convolution over bins, then dense layers for each bin, all with leaky ReLU (eqs. 3, 5)."""
    _bins_forward[spread(x.size, THREADS)](
        x, _runs(weights, 2), widths, taps, np.float32(slope), z, last
    )


def bins_backward(x, weights, widths, taps, slope, z, last, d_last, rows, totals, sums):
    """Gradient of weights and biases (eqs. 4, 6): sums (parts,n), to be added up.

    Of `rows` only the shape is looked at, which tells the widest layer.
    """
    weights, widest = _runs(weights, 2), rows.shape[2]
    sums = sums.reshape(len(sums), *weights.shape)
    n_bytes = 4 * (2 * widest * STRIDE + weights.shape[1])
    _bins_backward[launch(sums.shape[0] * sums.shape[1], THREADS, n_bytes)](
        x, weights, widths, widest, taps, np.float32(slope), z, last, d_last, sums
    )


def normalize(x, power, y):
    """Each row to a power, over its root mean square (eq. 1)."""
    _normalize[launch(len(x), THREADS)](x, float(power), y)


def standardize(x, eps, y):
    """Each row less its mean, over its standard deviation (eq. 2)."""
    _standardize[launch(len(x), THREADS)](x, np.float32(eps), y)


def expected_position_forward(logits, temperature, p, position):
    """Softmax of each row at a temperature, and the mean bin number under it (eq. 8)."""
    _expected_position_forward[launch(len(logits), THREADS)](
        logits, np.float32(temperature), p, position
    )


def expected_position_backward(p, position, temperature, d_position, d_logits):
    """Gradient of the logits, given that of the position (eq. 9)."""
    _expected_position_backward[spread(p.size, THREADS)](
        p, position, np.float32(temperature), d_position, d_logits
    )


def frequency_forward(bins, fmin, bins_per_octave, f0_hz):
    """The frequency at a place between bins (eq. 8)."""
    _frequency[spread(len(bins), THREADS)](bins, float(fmin), float(bins_per_octave), f0_hz)


def frequency_backward(d_f0_hz, f0_hz, bins_per_octave, d_bins):
    """Gradient of the place, given that of the frequency (eq. 9)."""
    slope = math.log(2) / bins_per_octave
    _frequency_backward[spread(len(d_bins), THREADS)](d_f0_hz, f0_hz, slope, d_bins)


def bin_of(f0_hz, fmin, bins_per_octave, bins):
    """The place of a frequency."""
    _bin_of[spread(len(bins), THREADS)](f0_hz, float(fmin), float(bins_per_octave), bins)


def read(x, position, offsets, values, slopes):
    """Each row of x between its bins, at position + offsets, and the slopes there (eq. 10)."""
    _read[spread(values.size, THREADS)](x, position, offsets, values, slopes)


def see_forward(x, bins, offsets, seen, slopes):
    """Each row of x as it lies around a place, and the place itself, -1/2 to 1/2 (eq. 14)."""
    _see[spread(seen.size, THREADS)](x, bins, offsets, seen, slopes)


def see_backward(d_seen, slopes, d_a, factors, slope, n_bins, d_bins):
    """Gradient of the place, by what is seen there and by what factors multiply (eq. 15)."""
    _see_backward[launch(len(d_bins), THREADS)](
        d_seen, slopes, d_a, factors, slope, float(n_bins), d_bins
    )


def level(x, spread, values):
    """Amplitude of the sine that would have this sum of squares (eq. 13)."""
    _level[launch(len(x), THREADS)](x, np.float32(spread), values)


def amplitude(x, slopes, a):
    """2 sigmoid(x)**ln 10 + 1e-7 and its derivative (eq. 11)."""
    _amplitude[spread(x.size, THREADS)](x, slopes, a)

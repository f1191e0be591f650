"""Layers of the encoders on the device (equations: docs/derivations/network.md).

Names and parameters are those of cpu/network.py. float32, but for places between bins. Where many
numbers are added up, each thread adds its own in order, and threads meet in a tree.
"""

import math

import numpy as np
from numba import cuda, float32, float64, int64

THREADS = 128
TILE = 16  # of a product: TILE x TILE threads, one number each
BINS = 64  # bins of a frame that a block works on at once
STRIDE = BINS + 1  # of their rows in shared memory: neighbours fall into different banks
ZERO, ONE, TWO = np.float32(0), np.float32(1), np.float32(2)
POWER, LEAST = np.float32(math.log(10)), np.float32(1e-7)


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
        v = y[i // C, i % C] + bias[i % C]
        y[i // C, i % C] = v if v > ZERO else slope * v


@cuda.jit
def _leaky_backward(y, slope, d_y, sums):
    i = cuda.grid(1)
    R, C = y.shape
    parts = sums.shape[0]
    if i < parts * C:
        part, c, total = i // C, i % C, ZERO
        for r in range(part * R // parts, (part + 1) * R // parts):
            g = d_y[r, c] if y[r, c] > ZERO else slope * d_y[r, c]
            d_y[r, c] = g
            total += g
        sums[part, c] = total


@cuda.jit
def _product(x, matrix, y):
    left = cuda.shared.array((TILE, TILE), float32)
    right = cuda.shared.array((TILE, TILE), float32)
    i, j = cuda.threadIdx.y, cuda.threadIdx.x
    r, c = cuda.blockIdx.y * TILE + i, cuda.blockIdx.x * TILE + j
    R, C, inner, total = x.shape[0], matrix.shape[1], x.shape[1], ZERO
    for first in range(0, inner, TILE):
        left[i, j] = x[r, first + j] if r < R and first + j < inner else ZERO
        right[i, j] = matrix[first + i, c] if c < C and first + i < inner else ZERO
        cuda.syncthreads()
        for k in range(TILE):
            total += left[i, k] * right[k, j]
        cuda.syncthreads()
    if r < R and c < C:
        y[r, c] = total


@cuda.jit
def _outer_product(x, y, sums):
    left = cuda.shared.array((TILE, TILE), float32)
    right = cuda.shared.array((TILE, TILE), float32)
    i, j, piece = cuda.threadIdx.y, cuda.threadIdx.x, cuda.blockIdx.z
    r, c = cuda.blockIdx.y * TILE + i, cuda.blockIdx.x * TILE + j
    R, pieces = x.shape[0], sums.shape[0]
    low, high = piece * R // pieces, (piece + 1) * R // pieces
    row, total = cuda.blockIdx.y * TILE + j, ZERO
    for first in range(low, high, TILE):
        left[i, j] = x[first + i, row] if row < x.shape[1] and first + i < high else ZERO
        right[i, j] = y[first + i, c] if c < y.shape[1] and first + i < high else ZERO
        cuda.syncthreads()
        for k in range(TILE):
            total += left[k, i] * right[k, j]
        cuda.syncthreads()
    if r < sums.shape[1] and c < sums.shape[2]:
        sums[piece, r, c] = total


@cuda.jit
def _bins_forward(x, weights, widths, taps, slope, z, last):
    i = cuda.grid(1)
    R, K = x.shape
    if i >= R * K:
        return
    r, k, final = i // K, i % K, widths.shape[0] - 1
    half, C = taps // 2, widths[0]
    for c in range(C):
        v = weights[taps * C + c]
        for tap in range(max(0, half - k), min(taps, K + half - k)):
            v += weights[tap * C + c] * x[r, k + tap - half]
        v = v if v > ZERO else slope * v
        if final > 0:
            z[r, c, k] = v
        else:
            last[r, c, k] = v
    at, first = (taps + 1) * C, 0
    for layer in range(1, final + 1):
        D = widths[layer]
        for d in range(D):
            v = weights[at + C * D + d]
            for c in range(C):
                v += weights[at + c * D + d] * z[r, first + c, k]
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
    (R, K), n, part, parts = x.shape, weights.shape[0], cuda.blockIdx.x, sums.shape[0]
    final, half, me = widths.shape[0] - 1, taps // 2, cuda.threadIdx.x
    for i in range(me, n, THREADS):
        totals[i] = ZERO
    for r in range(part * R // parts, (part + 1) * R // parts):
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
                        total += weights[at + c * D + d] * here[d * STRIDE + k]
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
        sums[part, i] = totals[i]


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


@cuda.jit
def _read(x, position, offsets, values, slopes):
    i = cuda.grid(1)
    R, M = values.shape
    if i < R * M:
        r, m, K = i // M, i % M, x.shape[1]
        at = position[r] + offsets[m]
        k = int64(math.floor(at))
        low = x[r, k] if 0 <= k < K else ZERO
        high = x[r, k + 1] if 0 <= k + 1 < K else ZERO
        values[r, m] = low + float32(at - k) * (high - low)
        slopes[r, m] = high - low


@cuda.jit
def _amplitude(x, slopes, a):
    i = cuda.grid(1)
    R, H = x.shape
    if i < R * H:
        s = ONE / (ONE + math.exp(-x[i // H, i % H]))
        value = TWO * s**POWER
        a[i // H, i % H] = value + LEAST
        slopes[i // H, i % H] = value * POWER * (ONE - s)


def _blocks(size):
    return -(-size // THREADS), THREADS


def _tiles(rows, columns, pieces=1):
    return (-(-columns // TILE), -(-rows // TILE), pieces), (TILE, TILE)


def leaky_forward(y, bias, slope, parts):
    """y becomes leaky ReLU of y + bias, in place (eq. 3)."""
    _leaky_forward[_blocks(y.size)](y, bias, np.float32(slope))


def leaky_backward(y, slope, d_y, sums):
    """d_y becomes the gradient before the leaky ReLU, in place; its sums (parts,C) (eq. 4)."""
    _leaky_backward[_blocks(sums.size)](y, np.float32(slope), d_y, sums)


def product(x, matrix, y, pieces):
    """y = x matrix."""
    _product[_tiles(*y.shape)](x, matrix, y)


def outer_product(x, y, sums):
    """sums (pieces,I,J), to be added up to the transposed x (R,I) times y (R,J)."""
    pieces, rows, columns = sums.shape
    _outer_product[_tiles(rows, columns, pieces)](x, y, sums)


def bins_forward(x, weights, widths, taps, slope, z, last):
    """A convolution over bins, then dense layers for each bin, all with leaky ReLU (eqs. 3, 5)."""
    _bins_forward[_blocks(x.size)](x, weights, widths, taps, np.float32(slope), z, last)


def bins_backward(x, weights, widths, taps, slope, z, last, d_last, rows, totals, sums):
    """Gradient of weights and biases (eqs. 4, 6): sums (parts,n), to be added up."""
    widest = rows.shape[2]
    n_bytes = 4 * (2 * widest * STRIDE + len(weights))
    _bins_backward[len(sums), THREADS, 0, n_bytes](
        x, weights, widths, widest, taps, np.float32(slope), z, last, d_last, sums
    )


def normalize(x, power, y):
    """Each row to a power, over its root mean square (eq. 1)."""
    _normalize[len(x), THREADS](x, float(power), y)


def standardize(x, eps, y):
    """Each row less its mean, over its standard deviation (eq. 2)."""
    _standardize[len(x), THREADS](x, np.float32(eps), y)


def expected_position_forward(logits, temperature, p, position):
    """Softmax of each row at a temperature, and the mean bin number under it (eq. 8)."""
    _expected_position_forward[len(logits), THREADS](logits, np.float32(temperature), p, position)


def expected_position_backward(p, position, temperature, d_position, d_logits):
    """Gradient of the logits, given that of the position (eq. 9)."""
    _expected_position_backward[_blocks(p.size)](
        p, position, np.float32(temperature), d_position, d_logits
    )


def read(x, position, offsets, values, slopes):
    """Each row of x between its bins, at position + offsets, zero outside (eq. 10), and slopes."""
    _read[_blocks(values.size)](x, position, offsets, values, slopes)


def amplitude(x, slopes, a):
    """2 sigmoid(x)**ln 10 + 1e-7 and its derivative (eq. 11)."""
    _amplitude[_blocks(x.size)](x, slopes, a)

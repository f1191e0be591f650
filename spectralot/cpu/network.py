"""Layers of the encoders that are no matrix products (equations: docs/derivations/network.md).

Rows first, channels last: y (R,C). Sums over rows go in a fixed number of parts, so that results
do not depend on the number of threads.
"""

import math

import numpy as np
from numba import njit, prange


@njit(parallel=True, cache=True, nogil=True)
def leaky_forward(y, bias, slope, parts):
    """y becomes leaky ReLU of y + bias, in place (eq. 3)."""
    R, C = y.shape
    for part in prange(parts):
        for r in range(part * R // parts, (part + 1) * R // parts):
            row = y[r]
            for c in range(C):
                v = row[c] + bias[c]
                row[c] = v if v > 0 else slope * v


@njit(parallel=True, cache=True, nogil=True)
def leaky_backward(y, slope, d_y, sums):
    """d_y becomes the gradient before the leaky ReLU, in place; its sums (parts,C) (eq. 4).

    Read off the output y, which has the input's sign.
    """
    R, C = y.shape
    parts = sums.shape[0]
    for part in prange(parts):
        total = sums[part]
        total[:] = 0.0
        for r in range(part * R // parts, (part + 1) * R // parts):
            row, out = d_y[r], y[r]
            for c in range(C):
                g = row[c] if out[c] > 0 else slope * row[c]
                row[c] = g
                total[c] += g


@njit(parallel=True, cache=True, nogil=True)
def normalize(x, power, y):
    """Each row to a power, over its root mean square (eq. 1)."""
    R, K = x.shape
    for r in prange(R):
        square = 0.0
        for k in range(K):
            v = math.sqrt(x[r, k]) if power == 0.5 else x[r, k] ** power
            y[r, k] = v
            square += v * v
        inverse = math.sqrt(K / square) if square > 0.0 else 0.0
        for k in range(K):
            y[r, k] *= inverse


@njit(parallel=True, cache=True, nogil=True)
def standardize(x, eps, y):
    """Each row less its mean, over its standard deviation (eq. 2)."""
    R, K = x.shape
    for r in prange(R):
        mean, square = 0.0, 0.0
        for k in range(K):
            mean += x[r, k]
        mean /= K
        for k in range(K):
            square += (x[r, k] - mean) ** 2
        inverse = 1.0 / math.sqrt(square / K + eps)
        for k in range(K):
            y[r, k] = (x[r, k] - mean) * inverse


@njit(parallel=True, cache=True, nogil=True)
def expected_position_forward(logits, temperature, p, position):
    """Softmax of each row at a temperature, and the mean bin number under it (eq. 8)."""
    R, K = logits.shape
    for r in prange(R):
        top = logits[r, 0]
        for k in range(K):
            top = max(top, logits[r, k])
        total, moment = 0.0, 0.0
        for k in range(K):
            e = math.exp((logits[r, k] - top) / temperature)
            p[r, k] = e
            total += e
            moment += k * e
        for k in range(K):
            p[r, k] /= total
        position[r] = moment / total


@njit(parallel=True, cache=True, nogil=True)
def expected_position_backward(p, position, temperature, d_position, d_logits):
    """Gradient of the logits, given that of the position (eq. 9)."""
    R, K = p.shape
    for r in prange(R):
        slope = d_position[r] / temperature
        for k in range(K):
            d_logits[r, k] = slope * p[r, k] * (k - position[r])


@njit(parallel=True, cache=True, nogil=True)
def read(x, position, offsets, values, slopes):
    """Each row of x between its bins, at position + offsets, zero outside (eq. 10); and how values
    change with the position."""
    R, K = x.shape
    M = offsets.shape[0]
    for r in prange(R):
        for m in range(M):
            at = position[r] + offsets[m]
            k = math.floor(at)
            w = at - k
            low = x[r, k] if 0 <= k < K else 0.0
            high = x[r, k + 1] if 0 <= k + 1 < K else 0.0
            values[r, m] = low + w * (high - low)
            slopes[r, m] = high - low


@njit(parallel=True, cache=True, nogil=True)
def amplitude(x, slopes, a):
    """2 sigmoid(x)**ln 10 + 1e-7 and its derivative (eq. 11)."""
    R, H = x.shape
    power = np.log(10.0)
    for r in prange(R):
        for h in range(H):
            s = 1.0 / (1.0 + math.exp(-x[r, h]))
            value = 2.0 * s**power
            a[r, h] = value + 1e-7
            slopes[r, h] = value * power * (1.0 - s)

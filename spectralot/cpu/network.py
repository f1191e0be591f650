"""Layers of the encoders (equations: docs/derivations/network.md).

Rows first, channels last: y (R,C), but in the layers over bins. Sums over rows go in a fixed number
of parts, so that results do not depend on the number of threads.
"""

import math

import numpy as np
from numba import prange

from . import njit


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
def product(x, matrix, y, pieces):
    """y = x matrix, a piece of the rows at a time: BLAS's own threads would disturb these."""
    R = x.shape[0]
    for piece in prange(pieces):
        low, high = piece * R // pieces, (piece + 1) * R // pieces
        np.dot(x[low:high], matrix, y[low:high])


@njit(parallel=True, cache=True, nogil=True)
def outer_product(x, y, sums):
    """sums (pieces,I,J), to be added up to the transposed x (R,I) times y (R,J)."""
    R, pieces = x.shape[0], sums.shape[0]
    for piece in prange(pieces):
        low, high = piece * R // pieces, (piece + 1) * R // pieces
        np.dot(x[low:high].T, y[low:high], sums[piece])


@njit(parallel=True, cache=True, nogil=True)
def bins_forward(x, weights, widths, taps, slope, z, last):
    """A convolution over bins, then dense layers for each bin, all with leaky ReLU (eqs. 3, 5).

    x (R,K); weights and biases of all layers in one row; widths (L,). The last layer's output goes
    to last (R,D,K), those of the others, one after the other, to z (R,sum(widths[:-1]),K). Bins
    last: every inner loop runs along a row that is in the cache.
    """
    R, K = x.shape
    half, final = taps // 2, widths.shape[0] - 1
    for r in prange(R):
        C = widths[0]
        for c in range(C):
            y = z[r, c] if final > 0 else last[r, c]
            y[:] = weights[taps * C + c]
            for tap in range(taps):
                shift = tap - half
                low, high = max(0, -shift), max(0, min(K, K - shift))
                near, here = x[r, low + shift : high + shift], y[low:high]
                weight = weights[tap * C + c]
                for k in range(here.shape[0]):
                    here[k] += weight * near[k]
            for k in range(K):
                y[k] = y[k] if y[k] > 0 else slope * y[k]
        at, first = (taps + 1) * C, 0
        for layer in range(1, final + 1):
            D = widths[layer]
            for d in range(D):
                y = z[r, first + C + d] if layer < final else last[r, d]
                y[:] = weights[at + C * D + d]
                for c in range(C):
                    weight, before = weights[at + c * D + d], z[r, first + c]
                    for k in range(K):
                        y[k] += weight * before[k]
                for k in range(K):
                    y[k] = y[k] if y[k] > 0 else slope * y[k]
            at, first, C = at + (C + 1) * D, first + C, D


@njit(parallel=True, cache=True, nogil=True)
def bins_backward(x, weights, widths, taps, slope, z, last, d_last, rows, totals, sums):
    """Gradient of weights and biases (eqs. 4, 6): sums (parts,n), to be added up.

    d_last (R,D,K) is that of the last layer's output. Products are summed over frames bin by bin,
    in totals (parts,n,K), and over bins only at the end, by halves. rows (parts,2,max(widths),K) is
    scratch.
    """
    R, K = x.shape
    n, half, final = weights.shape[0], taps // 2, widths.shape[0] - 1
    parts = sums.shape[0]
    for part in prange(parts):
        g, g_before, total = rows[part, 0], rows[part, 1], totals[part]
        total[:] = 0.0
        for r in range(part * R // parts, (part + 1) * R // parts):
            at, first = n, z.shape[1]
            g[: d_last.shape[1]] = d_last[r]
            for layer in range(final, -1, -1):
                D = widths[layer]
                first -= D if layer < final else 0
                for d in range(D):
                    y, out = z[r, first + d] if layer < final else last[r, d], g[d]
                    for k in range(K):
                        out[k] = out[k] if y[k] > 0 else slope * out[k]
                at -= D
                for d in range(D):
                    row, out = total[at + d], g[d]
                    for k in range(K):
                        row[k] += out[k]
                if layer == 0:
                    break
                C = widths[layer - 1]
                at -= C * D
                for c in range(C):
                    before, d_before = z[r, first - C + c], g_before[c]
                    d_before[:] = 0
                    for d in range(D):
                        weight, out, row = weights[at + c * D + d], g[d], total[at + c * D + d]
                        for k in range(K):
                            d_before[k] += weight * out[k]
                            row[k] += before[k] * out[k]
                g, g_before = g_before, g
            C = widths[0]
            for c in range(C):
                for tap in range(taps):
                    shift = tap - half
                    low, high = max(0, -shift), max(0, min(K, K - shift))
                    near, here = x[r, low + shift : high + shift], g[c, low:high]
                    row = total[tap * C + c]
                    for k in range(here.shape[0]):
                        row[k] += near[k] * here[k]
        for i in range(n):
            row, length = total[i], K
            while length > 1:
                kept = (length + 1) // 2
                for k in range(length - kept):
                    row[k] += row[kept + k]
                length = kept
            sums[part, i] = row[0]


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


# what NumPy does as well


def frequency_forward(bins, fmin, bins_per_octave, f0_hz):
    """The frequency at a place between bins (eq. 8)."""
    f0_hz[:] = fmin * 2 ** (bins / bins_per_octave)


def frequency_backward(d_f0_hz, f0_hz, bins_per_octave, d_bins):
    """Gradient of the place, given that of the frequency (eq. 9)."""
    d_bins[:] = d_f0_hz * f0_hz * (np.log(2) / bins_per_octave)


def bin_of(f0_hz, fmin, bins_per_octave, bins):
    """The place of a frequency."""
    bins[:] = bins_per_octave * np.log2(f0_hz / fmin)


def see_forward(x, bins, offsets, seen, slopes):
    """Each row of x as it lies around a place, and the place itself, -1/2 to 1/2 (eq. 14)."""
    values = np.empty_like(slopes)
    read(x, bins, offsets, values, slopes)
    seen[:, :-1] = values
    seen[:, -1] = bins / x.shape[1] - 0.5


def see_backward(d_seen, slopes, d_a, factors, slope, n_bins, d_bins):
    """Gradient of the place, by what is seen there and by what factors multiply (eq. 15)."""
    d_bins[:] = np.einsum("rm,rm->r", d_seen[:, :-1], slopes, dtype=np.float64)
    d_bins += (d_a * factors * slope).sum(axis=1, dtype=np.float64)
    d_bins += d_seen[:, -1] / n_bins


def level(x, spread, values):
    """Amplitude of the sine that would have this sum of squares (eq. 13)."""
    np.sqrt(np.square(x).sum(axis=1, keepdims=True) / spread, out=values)


def times(a, b, product):
    """a * b, one of which may be a column."""
    np.multiply(a, b, out=product)


def affine(x, weight, bias, y):
    """y = x * weight + bias, by columns."""
    np.multiply(x, weight, out=y)
    y += bias


def turn(x, y):
    """The last two axes change places, and the one before them is reversed."""
    y[:] = x[..., ::-1, :, :].swapaxes(-1, -2)


def dropout(rng, share, kept):
    """0 for a share of the numbers, by chance, 1 / (1 - share) for the others."""
    kept[:] = rng.random(kept.shape, np.float32) >= share
    kept /= kept.dtype.type(1 - share)

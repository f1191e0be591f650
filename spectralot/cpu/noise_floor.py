"""Noise floor: medians of rows, and what lies above them (equations: docs/derivations/vertical.md).

weights, result (R,K). bits (R,K) holds the weights' bits as integers: numbers that are not negative
come in the same order, and halving a range of integers ends after as many steps as they have bits.
"""

import numpy as np
from numba import prange

from . import njit


@njit
def _smallest(bits):
    """Smallest of all; reductions like this one and those below vectorise."""
    best = bits[0]
    for k in range(bits.shape[0]):
        best = min(best, bits[k])
    return best


@njit
def _largest_up_to(bits, top):
    """Largest of those up to `top`, of which there is one at least."""
    best = _smallest(bits)
    for k in range(bits.shape[0]):
        best = max(best, bits[k] if bits[k] <= top else best)
    return best


@njit
def _smallest_above(bits, low, top):
    """Smallest of those above `low`, or `top` if there is none."""
    best = top
    for k in range(bits.shape[0]):
        best = min(best, bits[k] if bits[k] > low else top)
    return best


@njit
def _count(bits, top):
    """How many there are up to `top`."""
    n = bits.dtype.type(0)  # as wide as the numbers: a wider one halves the speed
    for k in range(bits.shape[0]):
        n = bits.dtype.type(n + (bits[k] <= top))
    return n


@njit
def _ranked(bits, low, high, rank):
    """The number of this rank (1 is `low`, the smallest; `high` is the largest), by bisection."""
    if _count(bits, low) >= rank:
        return low
    while True:  # count(low) < rank <= count(high)
        middle = bits.dtype.type((low >> 1) + (high >> 1) + (low & high & 1))
        if middle == low:
            return high
        n = _count(bits, middle)
        if n == rank:  # the rank stands alone: no need to close in on it
            return _largest_up_to(bits, middle)
        if n == rank - 1:
            return _smallest_above(bits, middle, high)
        if n < rank:
            low = middle
        else:
            high = middle


@njit(parallel=True, cache=True, nogil=True)
def middle_values(bits, middle):
    """Bits of the two middle values of each row, which are one for odd K: middle (R,2)."""
    R, K = bits.shape
    for r in prange(R):
        row = bits[r]
        low = _smallest(row)
        high = low
        for k in range(K):
            high = max(high, row[k])
        lower = _ranked(row, low, high, (K + 1) // 2)
        middle[r, 0] = lower
        upper = lower
        if K % 2 == 0 and _count(row, lower) == K // 2:
            upper = _smallest_above(row, lower, high)
        middle[r, 1] = upper


@njit(parallel=True, cache=True, nogil=True)
def noise_floor_forward(weights, middle, factor, result):
    """What is left above factor times the median (eqs. 10, 11)."""
    R, K = weights.shape
    for r in prange(R):
        row, out = weights[r], result[r]
        median = 0.5 * middle[r, 0] + 0.5 * middle[r, 1]
        floor = weights.dtype.type(factor * median)
        nothing = weights.dtype.type(0)
        for k in range(K):
            out[k] = max(row[k] - floor, nothing)


@njit
def _gathered(d_row, result):
    """Sum of the gradients of what lies above the floor: products do without jumps."""
    s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
    whole = d_row.shape[0] // 4 * 4
    for k in range(0, whole, 4):
        s0 += d_row[k] * (result[k] > 0)
        s1 += d_row[k + 1] * (result[k + 1] > 0)
        s2 += d_row[k + 2] * (result[k + 2] > 0)
        s3 += d_row[k + 3] * (result[k + 3] > 0)
    for k in range(whole, d_row.shape[0]):
        s0 += d_row[k] * (result[k] > 0)
    return (s0 + s1) + (s2 + s3)


@njit
def _share(d_median, row, value):
    """What each of the weights that equal this middle value gets of half the median's gradient."""
    if value == 0:  # what is silent pulls nowhere
        return 0.0
    ties = np.int32(0)  # narrow numbers are counted faster
    for k in range(row.shape[0]):
        ties = np.int32(ties + (row[k] == value))
    return 0.5 * d_median / ties


@njit(parallel=True, cache=True, nogil=True)
def noise_floor_backward(d_result, weights, result, middle, factor, d_weights):
    """Gradient of the weights: of those above the floor, and through the median (eq. 12)."""
    R, K = weights.shape
    for r in prange(R):
        row, out, d_row, rest = weights[r], d_weights[r], d_result[r], result[r]
        low, high = middle[r, 0], middle[r, 1]
        d_median = -factor * _gathered(d_row, rest)
        at_low = weights.dtype.type(_share(d_median, row, low))
        at_high = weights.dtype.type(_share(d_median, row, high))
        nothing = weights.dtype.type(0)
        for k in range(K):
            passed = d_row[k] if rest[k] > 0 else nothing
            lower = at_low if row[k] == low else nothing
            upper = at_high if row[k] == high else nothing
            out[k] = passed + (lower + upper)

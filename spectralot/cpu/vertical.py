"""Magnitudes compared bin by bin: values and slopes (equations: docs/derivations/vertical.md).

magnitude, target, d_magnitude (R,K) for R frames of all items; gains (K,) multiplies both sides'
bins. values (R,): means over bins. d_magnitude: gradient of the sum over bins, times `weight`.
"""

import math

from numba import prange

from . import njit


@njit
def _absolute(y, x, linear, log, floor):
    """linear * |y - x| + log * |ln y - ln x|, floored in the logarithm (eqs. 2, 3)."""
    sign = 1.0 if y > x else (-1.0 if y < x else 0.0)
    value, slope = linear * abs(y - x), linear * sign
    if log != 0.0:
        high, low = max(y, x, floor), max(min(y, x), floor)
        value += log * math.log(high / low)
        if y > floor and high > low:
            slope += log * sign / y
    return value, slope


@njit
def _log1p_square(y, x):
    """(ln(1 + y) - ln(1 + x))^2, without cancellation (eqs. 4, 5)."""
    apart = math.copysign(math.log1p(abs(y - x) / (1.0 + min(y, x))), y - x)
    return apart * apart, 2.0 * apart / (1.0 + y)


@njit
def _log_cosh(y, x):
    """ln cosh(y - x) with one exponential, which cannot overflow (eqs. 6, 7)."""
    apart = abs(y - x)
    m = math.expm1(-2.0 * apart)
    if apart < 1e-3:  # the difference below would lose digits
        square = apart * apart
        value = square * (0.5 - square / 12.0)
    else:
        value = apart + math.log1p(0.5 * m)
    return value, math.copysign(m / (2.0 + m), y - x)


@njit(parallel=True, cache=True, nogil=True)
def absolute(magnitude, target, gains, linear, log, floor, weight, values, d_magnitude):
    """Mean of linear * |y - x| + log * |ln y - ln x|."""
    R, K = magnitude.shape
    for r in prange(R):
        row, wanted, slopes = magnitude[r], target[r], d_magnitude[r]
        total = 0.0
        for k in range(K):
            term, slope = _absolute(gains[k] * row[k], gains[k] * wanted[k], linear, log, floor)
            total += term
            slopes[k] = weight * gains[k] * slope
        values[r] = total / K


@njit(parallel=True, cache=True, nogil=True)
def log1p_square(magnitude, target, gains, weight, values, d_magnitude):
    """Mean of (ln(1 + y) - ln(1 + x))^2."""
    R, K = magnitude.shape
    for r in prange(R):
        row, wanted, slopes = magnitude[r], target[r], d_magnitude[r]
        total = 0.0
        for k in range(K):
            term, slope = _log1p_square(gains[k] * row[k], gains[k] * wanted[k])
            total += term
            slopes[k] = weight * gains[k] * slope
        values[r] = total / K


@njit(parallel=True, cache=True, nogil=True)
def log_cosh(magnitude, target, gains, weight, values, d_magnitude):
    """Mean of ln cosh(y - x)."""
    R, K = magnitude.shape
    for r in prange(R):
        row, wanted, slopes = magnitude[r], target[r], d_magnitude[r]
        total = 0.0
        for k in range(K):
            term, slope = _log_cosh(gains[k] * row[k], gains[k] * wanted[k])
            total += term
            slopes[k] = weight * gains[k] * slope
        values[r] = total / K


@njit(parallel=True, cache=True, nogil=True)
def squares(magnitude, target, gains, apart, size, d_magnitude):
    """Sums over bins of (y - x)^2 and x^2, (R,) each; d_magnitude: half of the first's slope."""
    R, K = magnitude.shape
    for r in prange(R):
        row, wanted, slopes = magnitude[r], target[r], d_magnitude[r]
        difference, total = 0.0, 0.0
        for k in range(K):
            x = gains[k] * wanted[k]
            d = gains[k] * row[k] - x
            difference += d * d
            total += x * x
            slopes[k] = gains[k] * d
        apart[r] = difference
        size[r] = total

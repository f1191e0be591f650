"""Pitch salience of spectra: rows of magnitudes times a matrix, half-wave rectified, sharpened.

Equations: docs/derivations/salience.md. magnitude (R,K); kernel (K,M), of which row k counts from
column first[k] on, where candidates are low enough for bin k to lie among their multiples.
"""

import math

import numpy as np
from numba import prange

from . import njit


@njit
def _norm(x):
    """Euclidean norm in float64 as eight running sums: a fixed order that vectorises."""
    whole = x.shape[0] // 8 * 8
    s0, s1, s2, s3, s4, s5, s6, s7 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(0, whole, 8):
        s0 += np.float64(x[i]) * x[i]
        s1 += np.float64(x[i + 1]) * x[i + 1]
        s2 += np.float64(x[i + 2]) * x[i + 2]
        s3 += np.float64(x[i + 3]) * x[i + 3]
        s4 += np.float64(x[i + 4]) * x[i + 4]
        s5 += np.float64(x[i + 5]) * x[i + 5]
        s6 += np.float64(x[i + 6]) * x[i + 6]
        s7 += np.float64(x[i + 7]) * x[i + 7]
    for i in range(whole, x.shape[0]):
        s0 += np.float64(x[i]) * x[i]
    return math.sqrt(((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7)))


@njit
def _combine(matrix, first, last, x, sums):
    """sums = x @ matrix, four rows of it at once: that order vectorises and stays fixed.

    Row k holds zeros outside of its columns first[k] to last[k]; neither falls with k.
    """
    sums[:] = 0
    n = x.shape[0]
    for k in range(0, n // 4 * 4, 4):
        low, high = first[k], last[k + 3]
        r0, r1 = matrix[k][low:high], matrix[k + 1][low:high]
        r2, r3 = matrix[k + 2][low:high], matrix[k + 3][low:high]
        x0, x1, x2, x3 = x[k], x[k + 1], x[k + 2], x[k + 3]
        part = sums[low:high]
        for m in range(part.shape[0]):
            part[m] += (x0 * r0[m] + x1 * r1[m]) + (x2 * r2[m] + x3 * r3[m])
    for k in range(n // 4 * 4, n):
        row, factor = matrix[k], x[k]
        for m in range(sums.shape[0]):
            sums[m] += factor * row[m]


@njit(parallel=True, cache=True, nogil=True)
def salience_forward(magnitude, kernel, first, last, sharpness, rectified, norm, salience):
    """Rectified salience (eqs. 2, 3) and its power (eq. 4); all (R,M). Norms (R,) of the rows."""
    R, M = salience.shape
    K = kernel.shape[0]
    for r in prange(R):
        c, s, w = magnitude[r, :K], rectified[r], salience[r]
        norm[r] = _norm(c)
        _combine(kernel, first, last, c, s)
        scale = 1.0 / norm[r] if norm[r] > 0.0 else 0.0
        for m in range(M):
            s[m] = max(s[m] * scale, 0.0)
            w[m] = s[m]
        for _ in range(sharpness - 1):
            for m in range(M):
                w[m] *= s[m]


@njit(parallel=True, cache=True, nogil=True)
def salience_backward(
    d_salience, magnitude, transposed, first, last, sharpness, rectified, norm, slopes,
    d_magnitude,
):  # fmt: skip
    """Gradient with respect to the magnitudes (eqs. 5, 6). Scratch: slopes (R,M)."""
    R, M = d_salience.shape
    K = transposed.shape[1]
    for r in prange(R):
        c, s, d, d_c = magnitude[r, :K], rectified[r], slopes[r], d_magnitude[r, :K]
        for m in range(M):
            d[m] = sharpness * d_salience[r, m] if s[m] > 0.0 else 0.0
        for _ in range(sharpness - 1):
            for m in range(M):
                d[m] *= s[m]
        d_magnitude[r] = 0.0
        if norm[r] > 0.0:
            _combine(transposed, first, last, d, d_c)
            scale, radial = 1.0 / norm[r], 0.0
            for k in range(K):
                radial += np.float64(c[k]) * d_c[k]
            radial *= scale * scale
            for k in range(K):
                d_c[k] = (d_c[k] - radial * c[k]) * scale

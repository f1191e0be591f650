"""Bin-by-bin comparison of magnitude spectra: one loop over frames.

target, estimate (F,K) magnitudes; one thread owns one frame.
"""

import math

from numba import njit, prange


@njit(parallel=True, cache=True, nogil=True)
def vertical(target, estimate, linear, log, floor, scale, values, d_estimate):
    """Mean over bins of linear * |e - t| + log * |ln e - ln t|, both floored in the logarithm.

    values (F,); d_estimate (F,K) is its gradient times `scale`, 0 at the kinks.
    """
    F, K = estimate.shape
    for f in prange(F):
        total = 0.0
        for k in range(K):
            t, e = target[f, k], estimate[f, k]
            slope = 0.0
            if linear != 0.0:
                total += linear * abs(e - t)
                slope += linear * ((e > t) - (e < t))
            if log != 0.0:
                difference = math.log(max(e, floor)) - math.log(max(t, floor))
                total += log * abs(difference)
                if e > floor:
                    slope += log * ((difference > 0.0) - (difference < 0.0)) / e
            d_estimate[f, k] = scale / K * slope
        values[f] = total / K

"""Bands of a spectrum: sums of neighbouring bins with weights (docs/derivations/transforms.md).

magnitude (R,K), bands (R,M). Band m has the weights begin[m] .. begin[m + 1] - 1 and starts at
bin low[m].
"""

import numpy as np
from numba import prange

from . import njit


@njit(parallel=True, cache=True, nogil=True)
def bands_forward(magnitude, weights, begin, low, bands):
    """Weighted sums of the bins (eq. 1)."""
    for r in prange(bands.shape[0]):
        for m in range(bands.shape[1]):
            part = weights[begin[m] : begin[m + 1]]
            bins = magnitude[r, low[m] : low[m] + part.shape[0]]
            total = 0.0
            for i in range(part.shape[0]):
                total += np.float64(part[i]) * bins[i]
            bands[r, m] = total


@njit(parallel=True, cache=True, nogil=True)
def bands_backward(d_bands, weights, begin, low, d_magnitude):
    """The transposed matrix (eq. 2)."""
    for r in prange(d_bands.shape[0]):
        d_magnitude[r] = 0.0
        for m in range(d_bands.shape[1]):
            part, slope = weights[begin[m] : begin[m + 1]], d_bands[r, m]
            bins = d_magnitude[r, low[m] : low[m] + part.shape[0]]
            for i in range(part.shape[0]):
                bins[i] += slope * part[i]

"""The kernel of harmonic sums: what energy at a multiple of a candidate speaks for it."""

import numpy as np


def harmonic_lobes(q, primes):
    """Cosine lobes round the multiples in `primes`, charges half way; q = frequency / candidate."""
    lobes = np.zeros_like(q)
    for prime in primes:
        off = np.abs(q - prime)
        lobes += np.where(off < 0.75, np.where(off < 0.25, 1.0, 0.5) * np.cos(2 * np.pi * q), 0)
    return lobes


def of_unit_norm(kernel):
    """Every candidate (column) scaled so that what speaks for it has norm 1."""
    return kernel / np.sqrt((np.maximum(kernel, 0) ** 2).sum(axis=0))


def banded(matrix):
    """The matrix, and between which columns each row has numbers; neither edge falls."""
    filled = matrix != 0
    first, last = filled.argmax(axis=1), matrix.shape[1] - filled[:, ::-1].argmax(axis=1)
    empty = ~filled.any(axis=1)
    first[empty], last[empty] = matrix.shape[1], 0
    first = np.ascontiguousarray(np.minimum.accumulate(first[::-1])[::-1])
    return np.ascontiguousarray(matrix), first, np.maximum.accumulate(np.maximum(last, first))

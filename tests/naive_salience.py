"""Pitch salience by plain loops: one frame of magnitudes at a time."""

import math

import numpy as np


def kernel(q):
    """Cosine lobes at the harmonics 1, 2, 3, 5, 7, before the norm of the candidate."""
    total = 0.0
    for prime in (1, 2, 3, 5, 7):
        off = abs(q - prime)
        if off < 0.25:
            total += math.cos(2 * math.pi * q)
        elif off < 0.75:
            total += 0.5 * math.cos(2 * math.pi * q)
    return total / q**0.7 if total else 0.0


def salience(magnitude, bins_hz, candidates_hz, sharpness):
    """Magnitudes (K,) at bins_hz to salience (M,) of the candidates."""
    norm = math.sqrt(sum(float(c) ** 2 for c in magnitude))
    result = np.zeros(len(candidates_hz))
    for m, f0 in enumerate(candidates_hz):
        lobes = [kernel(f / f0) if f > 0 else 0.0 for f in bins_hz]
        positive = math.sqrt(sum(max(lobe, 0.0) ** 2 for lobe in lobes))
        found = sum(lobe * float(c) for lobe, c in zip(lobes, magnitude, strict=True))
        if norm > 0 and found > 0:
            result[m] = (found / positive / norm) ** sharpness
    return result

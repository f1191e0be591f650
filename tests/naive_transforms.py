"""Slow and plain versions of the ground axes, the mel bands and the constant-Q transform.

One frequency, band, frame or sample at a time. Nothing here comes from spectralot.
"""

import cmath
import math

import numpy as np
from scipy.signal import get_window


def position(f, axis):
    """One positive frequency on a ground axis (cents above 440 Hz; linear has no scale here)."""
    if axis == "log":
        midi = 69 + 12 * math.log2(f / 440)
        low = 69 + 12 * math.log2(32.7 / 440)
        return (midi - low) / (12 * 284 / 36)
    if axis == "cents":
        return 1200 * math.log2(f / 440)
    if axis == "mel":
        return 2595 * math.log10(1 + f / 700)
    return 21.4 * math.log10(1 + 4.37 * f / 1000) if axis == "erb" else f


def mel_weights(n_bands, frequencies_hz, fmin, fmax):
    """Triangles of height 1 over Hz, with feet and tips equally spaced in mel: (n_bands, K)."""
    low, high = position(fmin, "mel"), position(fmax, "mel")
    corners = [
        700 * (10 ** ((low + (high - low) * i / (n_bands + 1)) / 2595) - 1)
        for i in range(n_bands + 2)
    ]
    weights = np.zeros((n_bands, len(frequencies_hz)))
    for band in range(n_bands):
        left, tip, right = corners[band : band + 3]
        for k, f in enumerate(frequencies_hz):
            if left < f <= tip:
                weights[band, k] = (f - left) / (tip - left)
            elif tip < f < right:
                weights[band, k] = (right - f) / (right - tip)
    return weights, np.array(corners[1:-1])


def constant_q(
    x, *, fmin, n_bins, bins_per_octave, hop_length, window, sample_rate, centres, gamma=0.0
):
    """Complex coefficients (T, K): each kernel against the samples around each centre."""
    widest = 2 ** (1 / bins_per_octave) - 1
    coefficients = np.zeros((len(centres), n_bins), dtype=np.complex128)
    for k in range(n_bins):
        f = fmin * 2 ** (k / bins_per_octave)
        length = math.ceil(sample_rate / (f * widest + gamma))
        taper = get_window(window, length)
        gain = math.sqrt(length) / np.sum(np.abs(taper))
        for t, centre in enumerate(centres):
            total = 0j
            for i in range(length):
                offset = i - (length + 1) // 2
                if 0 <= centre + offset < len(x):
                    turn = 2j * math.pi * f * offset / sample_rate
                    total += x[centre + offset] * taper[i] * cmath.exp(-turn)
            coefficients[t, k] = gain * total
    return coefficients

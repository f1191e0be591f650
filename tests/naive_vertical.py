"""Vertical losses, noise floor and metrics by plain loops. Nothing here is from spectralot."""

import math

import naive
import numpy as np


def a_gain(frequency):
    """Gain of the A curve, as IEC 61672-1 writes it, 1 at 1 kHz and at least 1e-10."""

    def ratio(f):
        top = 12194.217**2 * f**4
        low = (f**2 + 20.598997**2) * (f**2 + 12194.217**2)
        return top / (low * math.sqrt((f**2 + 107.65265**2) * (f**2 + 737.86223**2)))

    return max(ratio(frequency) / ratio(1000.0), 1e-10)


def spectra(target, estimate, *, n_fft, gain=1.0, weighting=None, sample_rate=16000, **options):
    """Both sides' magnitudes (T, K), each bin times its gain."""
    a, b = (naive.stft_magnitude(x, n_fft=n_fft, **options) for x in (target, estimate))
    for k in range(a.shape[1]):
        factor = gain * (a_gain(k * sample_rate / n_fft) if weighting == "A" else 1.0)
        a[:, k] *= factor
        b[:, k] *= factor
    return a, b


def pointwise_frames(term, target, estimate, **options):
    """Mean over bins of term(estimate, target) per frame, (T,)."""
    a, b = spectra(target, estimate, **options)
    frames = zip(a, b, strict=True)
    return np.array([np.mean([term(y, x) for x, y in zip(*f, strict=True)]) for f in frames])


def linear(y, x):
    return abs(y - x)


def log(y, x, floor=1e-5):
    return abs(math.log(max(y, floor)) - math.log(max(x, floor)))


def smooth(y, x):
    return (math.log(1.0 + y) - math.log(1.0 + x)) ** 2


def log_cosh(y, x):
    return math.log(math.cosh(y - x))


def convergence(target, estimate, **options):
    """Relative distance of one item's spectra, a number."""
    a, b = spectra(target, estimate, **options)
    apart = size = 0.0
    for x, y in zip(a.ravel(), b.ravel(), strict=True):
        apart += (y - x) ** 2
        size += x**2
    return math.sqrt(apart) / math.sqrt(size) if size > 0 else 0.0


def noise_floor(weights, factor):
    """What is left of one row above factor times its median."""
    ordered = sorted(weights)
    n = len(ordered)
    median = 0.5 * (ordered[(n - 1) // 2] + ordered[n // 2])
    return np.array([max(w - factor * median, 0.0) for w in weights])


def noise_floor_gradient(d_result, weights, factor):
    """Gradient of one row: ties share equally, a middle value of 0 passes on none."""
    ordered = sorted(weights)
    n = len(ordered)
    middle = [ordered[(n - 1) // 2], ordered[n // 2]]
    floor = factor * 0.5 * (middle[0] + middle[1])
    passed = [d if w > floor else 0.0 for d, w in zip(d_result, weights, strict=True)]
    d_median = -factor * sum(passed)
    for value in middle:
        tied = [k for k in range(n) if weights[k] == value]
        for k in tied if value > 0 else []:
            passed[k] += 0.5 * d_median / len(tied)
    return np.array(passed)


def decibels(magnitude, floor_db):
    return max(20.0 * math.log10(magnitude), floor_db) if magnitude > 0 else floor_db


def log_spectral_distance(target, estimate, *, floor_db, average, **options):
    """Mean over frames of the root mean square over bins, or the mean square over everything."""
    a, b = spectra(target, estimate, **options)
    frames = []
    for row_a, row_b in zip(a, b, strict=True):
        squares = [
            (decibels(y, floor_db) - decibels(x, floor_db)) ** 2
            for x, y in zip(row_a, row_b, strict=True)
        ]
        mean = sum(squares) / len(squares)
        frames.append(math.sqrt(mean) if average == "rms" else mean)
    return sum(frames) / len(frames)

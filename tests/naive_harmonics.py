"""Harmonics of one frame by plain least squares, and the bound no unbiased estimate beats.

The model of a frame of n samples at times t, counted in seconds from its middle:

    x(t) = sum over h = 1..H of A_h cos(2 pi h (f0 t + slope t^2 / 2) + phi_h) + white noise
"""

import numpy as np


def times(n, rate):
    return (np.arange(n) - (n - 1) / 2) / rate


def columns(f0, n_harmonics, n, rate, slope=0.0):
    """Matrix (n, 2 H): cosines of all harmonics, then sines."""
    t = times(n, rate)
    angle = 2 * np.pi * (f0 * t + 0.5 * slope * t**2)
    cosines = [np.cos(h * angle) for h in range(1, n_harmonics + 1)]
    sines = [np.sin(h * angle) for h in range(1, n_harmonics + 1)]
    return np.stack(cosines + sines, axis=1)


def tone(f0, amplitudes, phases, n, rate, slope=0.0):
    matrix = columns(f0, len(amplitudes), n, rate, slope)
    return matrix @ np.concatenate([amplitudes * np.cos(phases), -amplitudes * np.sin(phases)])


def amplitudes_at(x, rate, f0, n_harmonics, slope=0.0):
    """Amplitudes (H,), phases (H,) and the residual (n,) of the least squares fit."""
    matrix = columns(f0, n_harmonics, len(x), rate, slope)
    solution = np.linalg.lstsq(matrix, x, rcond=None)[0]
    a, b = np.split(solution, 2)
    return np.hypot(a, b), np.arctan2(-b, a), x - matrix @ solution


def energy(x, rate, f0, n_harmonics):
    """What the model explains of the sum of squares: the NLS cost function, to be maximised."""
    residual = amplitudes_at(x, rate, f0, n_harmonics)[2]
    return float(x @ x - residual @ residual)


def search(x, rate, n_harmonics, low, high, step):
    """The f0 of highest energy on a grid. Steps must be below rate / (4 n H)."""
    grid = np.arange(low, high, step)
    return float(grid[np.argmax([energy(x, rate, f0, n_harmonics) for f0 in grid])])


def fit(x, rate, f0, n_harmonics, *, slope=None, iterations=30):
    """Gauss-Newton from a start close by; `slope=0.0` estimates the slope, None leaves it out.

    Returns a dict: f0, slope, amplitudes, phases, noise_rms (unbiased), f0_std, slope_std,
    amplitudes_std.
    """
    n, with_slope = len(x), slope is not None
    slope = slope or 0.0
    best = amplitudes_at(x, rate, f0, n_harmonics, slope)
    for _ in range(iterations):
        amplitudes, phases, residual = best
        jacobian = derivatives(f0, amplitudes, phases, n, rate, slope, with_slope)
        step = np.linalg.lstsq(jacobian / np.abs(jacobian).max(axis=0), residual, rcond=None)[0]
        step = step / np.abs(jacobian).max(axis=0)
        for _ in range(30):  # halve until it helps
            tried_slope = slope + step[1] if with_slope else 0.0
            tried = amplitudes_at(x, rate, f0 + step[0], n_harmonics, tried_slope)
            if tried[2] @ tried[2] <= residual @ residual:
                f0, slope, best = f0 + step[0], tried_slope, tried
                break
            step = step / 2
        else:
            break
    amplitudes, phases, residual = best
    free = n - 2 * n_harmonics - 1 - with_slope
    noise_rms = np.sqrt(residual @ residual / max(free, 1))
    std = bound(f0, amplitudes, phases, n, rate, noise_rms, slope=slope, with_slope=with_slope)
    return {
        "f0": float(f0), "slope": float(slope), "amplitudes": amplitudes, "phases": phases,
        "noise_rms": float(noise_rms), "f0_std": std[0],
        "slope_std": std[1] if with_slope else None,
        "amplitudes_std": std[1 + with_slope : 1 + with_slope + n_harmonics],
    }  # fmt: skip


def derivatives(f0, amplitudes, phases, n, rate, slope, with_slope):
    """d x / d (f0, [slope,] A_1..A_H, phi_1..phi_H), shape (n, 1 + with_slope + 2 H)."""
    t = times(n, rate)
    by_f0, by_slope = np.zeros(n), np.zeros(n)
    by_amplitude, by_phase = [], []
    for h, (amplitude, phase) in enumerate(zip(amplitudes, phases, strict=True), start=1):
        angle = 2 * np.pi * h * (f0 * t + 0.5 * slope * t**2) + phase
        by_f0 -= amplitude * np.sin(angle) * 2 * np.pi * h * t
        by_slope -= amplitude * np.sin(angle) * np.pi * h * t**2
        by_amplitude.append(np.cos(angle))
        by_phase.append(-amplitude * np.sin(angle))
    slopes = [by_slope] if with_slope else []
    return np.stack([by_f0, *slopes, *by_amplitude, *by_phase], axis=1)


def bound(f0, amplitudes, phases, n, rate, noise_rms, *, slope=0.0, with_slope=False):
    """Cramer-Rao bound: least standard deviations of f0, [slope,] amplitudes and phases.

    The Fisher matrix of white Gaussian noise is J'J / sigma^2 with J the derivatives above; its
    inverse is taken at unit diagonal, for the parameters' sizes differ by many powers of ten.
    """
    jacobian = derivatives(f0, amplitudes, phases, n, rate, slope, with_slope)
    size = np.maximum(np.sqrt(np.sum(jacobian**2, axis=0)), 1e-300)
    inverse = np.linalg.pinv((jacobian / size).T @ (jacobian / size))
    return noise_rms * np.sqrt(np.diag(inverse)) / size

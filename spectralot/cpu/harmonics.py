"""Kernels of the harmonic fit: docs/derivations/harmonics.md, whose equations the numbers cite."""

import math

from . import njit

__all__ = ["fill_columns", "nested_energies"]


@njit(cache=True)
def fill_columns(times, f0, slope, inharmonicity, columns):
    """Rows 1, cos, sin of every harmonic, (1) and (2). Writes columns (1 + 2 H, N)."""
    columns[0] = 1.0
    for h in range(1, columns.shape[0] // 2 + 1):
        if h == 1 or inharmonicity != 0.0:
            turns = 2 * math.pi * h * math.sqrt(1.0 + inharmonicity * h * h)
            for n in range(times.shape[0]):
                angle = turns * (f0 + 0.5 * slope * times[n]) * times[n]
                columns[2 * h - 1, n] = math.cos(angle)
                columns[2 * h, n] = math.sin(angle)
        else:
            for n in range(times.shape[0]):
                c, s = columns[2 * h - 3, n], columns[2 * h - 2, n]
                columns[2 * h - 1, n] = c * columns[1, n] - s * columns[2, n]
                columns[2 * h, n] = s * columns[1, n] + c * columns[2, n]


@njit(cache=True)
def nested_energies(omega, by_cos, by_sin, counts, n, dirichlet, factor, y, energy):
    """What each further harmonic explains, exactly, for every candidate: (10) and (11).

    Candidates omega (M,) in radians per sample, inner products (M, H) of a frame of n samples,
    counts (M,) of harmonics to look at. Workspace: dirichlet (2 H + 1, W), factor (H + 1, H + 1,
    W), y (H + 1, W), W candidates being worked on side by side. Writes energy (M, H).
    """
    width = y.shape[1]
    energy[:] = 0.0
    for first in range(0, omega.shape[0], width):
        lanes = min(width, omega.shape[0] - first)
        top = 0
        for p in range(lanes):
            top = max(top, counts[first + p])
        for p in range(width):
            half = 0.5 * omega[first + min(p, lanes - 1)]
            dirichlet[0, p] = n
            for m in range(1, 2 * top + 1):
                below = math.sin(m * half)
                over = math.sin(n * m * half)
                dirichlet[m, p] = over / below if abs(below) > 1e-9 else float(n)
        for sign in (1.0, -1.0):
            start = 0 if sign > 0 else 1  # the constant stands among the cosines
            _factorise(dirichlet, sign, start, top, n, factor)
            for i in range(start, top + 1):
                for p in range(lanes):
                    if i == 0:
                        y[0, p] = 0.0  # the frame has mean 0
                    elif sign > 0:
                        y[i, p] = by_cos[first + p, i - 1]
                    else:
                        y[i, p] = by_sin[first + p, i - 1]
                for q in range(start, i):
                    for p in range(lanes):
                        y[i, p] -= factor[i, q, p] * y[q, p]
                for p in range(lanes):
                    y[i, p] /= factor[i, i, p]
                    if 0 < i <= counts[first + p]:
                        energy[first + p, i - 1] += y[i, p] * y[i, p]


@njit(cache=True)
def _factorise(dirichlet, sign, start, top, n, factor):
    """Cholesky factors of (10), one for each lane."""
    width = factor.shape[2]
    for i in range(start, top + 1):
        for j in range(start, i + 1):
            for p in range(width):
                factor[i, j, p] = 0.5 * (dirichlet[i - j, p] + sign * dirichlet[i + j, p])
            for q in range(start, j):
                for p in range(width):
                    factor[i, j, p] -= factor[i, q, p] * factor[j, q, p]
            for p in range(width):
                if j < i:
                    factor[i, j, p] /= factor[j, j, p]
                else:
                    factor[i, i, p] = math.sqrt(max(factor[i, i, p], 1e-9 * n))

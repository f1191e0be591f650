"""What a training step needs on the device beside layers and losses (docs/derivations/learning.md).

G runs lie side by side: rows of all arrays are those of the first run, then those of the second.
Nothing depends on the host from step to step: which sounds are next, and how far Adam goes, is read
at the step's number, which is on the device too.
"""

import math

import numpy as np
from numba import cuda, float64, int64

from .arrays import launch, spread

THREADS = 128
ZERO, ONE = np.float32(0), np.float32(1)


@cuda.jit
def _gather(source, order, step, rows):
    i = cuda.grid(1)
    R, W = rows.shape
    if i < R * W:
        rows[i // W, i % W] = source[order[step[0], i // W], i % W]


@cuda.jit
def _gather_targets(source, order, step, rows):
    i = cuda.grid(1)
    R, W = rows.shape
    if i < R * W:
        r, G = i // W, source.shape[0]
        rows[r, i % W] = source[r * G // R, order[step[0], r], i % W]


@cuda.jit
def _vote(d_f0, f0, share, pulls):
    """A block a run: each number is told its rank among the run's, of which two make the limit."""
    limits = cuda.shared.array(2, float64)
    g, n, me = cuda.blockIdx.x, f0.shape[1], cuda.threadIdx.x
    for i in range(me, n, THREADS):
        pulls[g, i] = d_f0[g, i] * f0[g, i]
    at = share * (n - 1)
    low = int64(at)
    high = min(low + 1, n - 1)
    cuda.syncthreads()
    for i in range(me, n, THREADS):
        own, rank = abs(pulls[g, i]), 0
        for j in range(n):
            other = abs(pulls[g, j])
            rank += other < own or (other == own and j < i)
        if rank == low:
            limits[0] = own
        if rank == high:
            limits[1] = own
    cuda.syncthreads()
    limit = limits[0] + (limits[1] - limits[0]) * (at - low) + 2.2250738585072014e-308
    for i in range(me, n, THREADS):
        d_f0[g, i] = min(max(pulls[g, i] / limit, -1.0), 1.0) / (f0[g, i] * n)


@cuda.jit
def _draw(f0, targets, near, count, d_f0):
    i = cuda.grid(1)
    if i < f0.size and targets[i] == targets[i]:
        octaves = math.log2(f0[i] / targets[i])
        d_f0[i] = min(max(octaves / near, -1.0), 1.0) / (f0[i] * count)


@cuda.jit
def _adam(gradient, mean, square, rates, step, beta1, beta2, eps, parameters):
    """rates: of each step, the learning rate and what mean and mean square are divided by."""
    i = cuda.grid(1)
    if i < parameters.size:
        at, slope = step[0], gradient[i]
        mean[i] += (ONE - beta1) * (slope - mean[i])
        square[i] += (ONE - beta2) * (slope * slope - square[i])
        size = math.sqrt(square[i] / rates[at, 2]) + eps
        parameters[i] -= rates[at, 0] * (mean[i] / rates[at, 1]) / size


@cuda.jit
def _tally(values, totals, step):
    """Add each run's mean value; then, the step's last deed, count it."""
    g, G = cuda.threadIdx.x, totals.size
    if g == 0:
        step[0] += 1
    while g < G:
        total, B = 0.0, values.size // G
        for b in range(B):
            total += values[g * B + b]
        totals[g] += total / B
        g += THREADS


@cuda.jit
def _level_distance(target, estimate, floor, frames):
    """Mean square over bins of the difference in dB, as spectralot.log_spectral_distance has it."""
    r, (R, K) = cuda.grid(1), target.shape
    if r < R:
        total = ZERO
        for k in range(K):
            apart = math.log10(max(estimate[r, k], floor) / max(target[r, k], floor))
            total += apart * apart
        frames[r] = float64(total) * (400.0 / K)


def gather(source, order, step, rows):
    """rows (R,W) are those of source (n,W) which order (steps,R) names for this step."""
    _gather[spread(rows.size, THREADS)](source, order, step, rows)


def gather_targets(source, order, step, rows):
    """The same of a source (G,n,W) for each of the runs."""
    _gather_targets[spread(rows.size, THREADS)](source, order, step, rows)


def vote(d_f0, f0, share, pulls):
    """Slopes (G,n) as `spectralot.learn.objective.Joint` clips them, in place."""
    _vote[launch(len(f0), THREADS)](d_f0, f0, float(share), pulls)


def draw(f0, targets, near, count, d_f0):
    """Slopes that draw f0 to its targets, where it has some, in place; all of any shape."""
    _draw[spread(f0.size, THREADS)](*(a.reshape(a.size) for a in (f0, targets)), near, count,
                                    d_f0.reshape(d_f0.size))  # fmt: skip


def adam(gradient, mean, square, rates, step, beta1, beta2, eps, parameters):
    """A step of Adam, in place."""
    numbers = (np.float32(number) for number in (beta1, beta2, eps))
    _adam[spread(parameters.size, THREADS)](
        gradient, mean, square, rates, step, *numbers, parameters
    )


def tally(values, totals, step):
    """Add the mean of each run's values (R,) to totals (G,), and 1 to the step's number."""
    _tally[launch(1, THREADS)](values, totals, step)


def level_distance(target, estimate, floor, frames):
    """Of each frame (R,) of magnitudes (R,K): mean square of the difference in dB."""
    _level_distance[spread(len(frames), THREADS)](target, estimate, np.float32(floor), frames)

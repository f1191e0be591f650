"""One harmonic tone in white noise on one frame: its columns, its evidence, Gauss-Newton, errors.

The numbers cite the equations of docs/derivations/harmonics.md.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.linalg import LinAlgError, cho_solve, cholesky, solve_triangular

from ..cpu.harmonics import fill_columns

MOST_HARMONICS = 40
MOST_STEPS = 8
AVERAGED = 8  # orders over which f0 is averaged, at most
REACH = 2 ** (60 / 1200)  # how far refinement may move f0
EXPLAINED = 1e-13  # share of the energy that rounding leaves open


@dataclass(frozen=True)
class Task:
    """A frame without its mean, and what may be fitted to it."""

    x: np.ndarray
    rate: float
    order: int | str
    slope: bool
    stretch: bool
    span: float  # of the prior, in units of log f0

    @cached_property
    def highest(self):
        """Highest frequency in Hz of a harmonic: at Nyquist cosine and sine are the same."""
        return 0.5 * self.rate * (1 - 0.02 / len(self.x))

    @cached_property
    def least(self):
        """Fewest samples that leave a degree of freedom to the noise."""
        return 5 + self.slope + self.stretch

    @cached_property
    def most(self):
        """Most harmonics, by request and by the degrees of freedom."""
        wanted = MOST_HARMONICS if self.order == "auto" else self.order
        return min(wanted, (len(self.x) - self.least + 2) // 2)

    @cached_property
    def least_stretch(self):
        """B that keeps (2) real, and partials in order, for every harmonic."""
        return -0.25 / self.most**2

    @cached_property
    def times(self):
        """Seconds from the middle of the frame."""
        n = len(self.x)
        return (np.arange(n) - 0.5 * (n - 1)) / self.rate


@dataclass(frozen=True)
class State:
    """A fit: nonlinear parameters, order, its cost; linear solution and residual."""

    f0: float
    slope: float = 0.0
    stretch: float = 0.0
    order: int = 1
    cost: float = np.inf
    solution: np.ndarray | None = None  # constant, cosine, sine, cosine, ...
    residual: np.ndarray | None = None
    basis: tuple | None = None  # columns and Cholesky factor, of this order or higher ones
    energy: np.ndarray | None = None  # of every harmonic that the basis has, (9)


def _basis(task, state, order):
    """Columns (1) as rows, and the Cholesky factor of their Gram matrix; None if singular.

    The leading parts of both are those of every lower order.
    """
    columns = np.empty((1 + 2 * order, len(task.x)))
    fill_columns(task.times, state.f0, state.slope, state.stretch, columns)
    steady = state.slope == 0 and state.stretch == 0
    gram = _steady_gram(task, state.f0, order) if steady else columns @ columns.T
    try:
        return columns, cholesky(gram, lower=True, check_finite=False)
    except LinAlgError:  # partials of a wild stretch coincide
        return columns, None


def _steady_gram(task, f0, order):
    """The Gram matrix (4) of a tone without slope and stretch, from its closed form."""
    n, m = len(task.x), np.arange(1, 2 * order + 1)
    half = np.pi * f0 / task.rate * m
    sums = 0.5 * np.r_[n, np.sin(n * half) / np.sin(half)]
    h = np.arange(order + 1)
    near, far = sums[np.abs(h[:, None] - h)], sums[h[:, None] + h]
    gram = np.zeros((1 + 2 * order, 1 + 2 * order))
    gram[1::2, 1::2] = (near + far)[1:, 1:]
    gram[2::2, 2::2] = (near - far)[1:, 1:]
    gram[1::2, 0] = 2 * sums[1 : order + 1]  # lower triangle only
    gram[0, 0] = n
    return gram


def _stretched(state, order):
    """k_h of (2) and its derivative with respect to B."""
    h = np.arange(1.0, order + 1)
    root = np.sqrt(1 + state.stretch * h**2)
    return h * root, 0.5 * h**3 / root


def _count(task, state):
    """How many harmonics fit below Nyquist."""
    k = _stretched(state, task.most)[0]
    return max(1, int(np.count_nonzero(k * state.f0 <= task.highest)))


def evidence(energy, total, n, omega, span):
    """Minus log Bayes factors (14) of orders 1..H from energies (..., H) of the harmonics."""
    h = np.arange(1.0, energy.shape[-1] + 1)
    explained = np.cumsum(energy, axis=-1) / total
    left = np.maximum(1 - explained, EXPLAINED)
    free = n - 1 - 2 * h
    g = np.maximum(explained / left * free / (2 * h) - 1, 0)
    costs = 0.5 * ((n - 1) * np.log1p(g * left) - free * np.log1p(g))
    weighted = np.cumsum(h**2 * energy, axis=-1) / total
    information = (omega * n) ** 2 / 12 * weighted * free / left
    return costs + 0.5 * np.log(np.maximum(information / (2 * np.pi), 1)) + np.log(span)


def choose(task, state):
    """The state with its best order, that order's cost, and the basis of all orders."""
    columns, factor = basis = _basis(task, state, _count(task, state))
    if factor is None:
        energy, basis = np.zeros(1), _basis(task, state, 1)
    else:
        y = solve_triangular(factor, columns @ task.x, lower=True, check_finite=False)
        energy = np.sum(y[1:].reshape(-1, 2) ** 2, axis=1)
    omega = 2 * np.pi * state.f0 / task.rate
    costs = evidence(energy, task.x @ task.x, len(task.x), omega, task.span)
    order = int(np.argmin(costs)) if task.order == "auto" else len(costs) - 1
    cost = float(costs[order])
    return replace(state, order=order + 1, cost=cost, basis=basis, energy=energy)


def solve(task, state):
    """Amplitudes in closed form (5). Returns the state, and columns and factor of its order."""
    columns, factor = state.basis or _basis(task, state, state.order)
    if factor is None:
        return replace(state, residual=np.full_like(task.x, np.inf)), columns, None
    columns = columns[: 1 + 2 * state.order]
    factor = factor[: len(columns), : len(columns)]
    solution = cho_solve((factor, True), columns @ task.x, check_finite=False)
    return replace(state, solution=solution, residual=task.x - solution @ columns), columns, factor


def _derivatives(task, state, columns):
    """Rows of (6): derivatives of the tone with respect to f0 and, where fitted, slope and B."""
    t = task.times
    turned = np.zeros((2, len(columns)))
    for row, k in zip(turned, _stretched(state, state.order), strict=True):
        row[1::2], row[2::2] = k * state.solution[2::2], -k * state.solution[1::2]
    by_angle, by_stretch = turned @ columns
    rows = [2 * np.pi * t * by_angle]
    if task.slope:
        rows.append(np.pi * t**2 * by_angle)
    if task.stretch and state.order > 1:
        rows.append(2 * np.pi * (state.f0 * t + 0.5 * state.slope * t**2) * by_stretch)
    return np.array(rows)


def project(task, state, columns, factor):
    """Derivatives off the span of the columns (7), and what was taken from each."""
    rows = _derivatives(task, state, columns)
    taken = cho_solve((factor, True), columns @ rows.T, check_finite=False)
    return rows - taken.T @ columns, taken


def _step(state, rows):
    """The Gauss-Newton step (8), solved at unit diagonal: sizes of parameters differ widely."""
    size = np.maximum(np.linalg.norm(rows, axis=1), 1e-300)
    rows = rows / size[:, None]
    normal = rows @ rows.T + 1e-13 * np.eye(len(rows))
    return np.linalg.solve(normal, rows @ state.residual) / size


def _moved(task, state, step, low, high):
    """The state after a step, kept within reach and below Nyquist."""
    step = list(step)
    f0 = state.f0 + step.pop(0)
    slope = state.slope + (step.pop(0) if task.slope else 0.0)
    stretch = state.stretch + (step.pop(0) if step else 0.0)
    stretch = max(stretch, task.least_stretch)
    moved = replace(state, slope=slope, stretch=stretch, basis=None)
    high = min(high, task.highest / _stretched(moved, state.order)[0][-1])
    return replace(moved, f0=float(np.clip(f0, low, high)))


def _descend(task, state, low, high, steps=MOST_STEPS):
    """Gauss-Newton at a fixed order, f0 between low and high."""
    state, columns, factor = solve(task, state)
    for _ in range(steps):
        rows, _ = project(task, state, columns, factor)
        step = _step(state, rows)
        before = state.residual @ state.residual
        if step @ (rows @ state.residual) <= 1e-6 * before / len(task.x):
            break  # it would gain less than a thousandth of a standard error
        for _ in range(6):  # halve until it helps
            tried = solve(task, _moved(task, state, step, low, high))
            after = tried[0].residual @ tried[0].residual
            if after <= before:
                break
            step = step / 2
        else:
            break
        state, columns, factor = tried
    return state


def refine(task, starts, rounds=3, steps=MOST_STEPS):
    """Order and Gauss-Newton in turn from the best of the starts, until the order stays."""
    low, high = starts[0].f0 / REACH, starts[0].f0 * REACH
    state = min((choose(task, start) for start in starts), key=lambda start: start.cost)
    unknown = (task.slope and state.slope == 0) or (task.stretch and state.stretch == 0)
    if unknown and state.order > 4:
        # harmonics that a wrong slope smears would hide it: the lowest lead the way
        state = choose(task, _descend(task, replace(state, order=4), low, high))
    for _ in range(rounds):
        order = state.order
        state = choose(task, _descend(task, state, low, high, steps))
        if state.order == order:
            break
    return state


def honest_noise(task, state):
    """Noise, and the solution without the noise's share of the energies (16)."""
    free = len(task.x) - 2 - task.slope - task.stretch - 2 * state.order
    noise = np.sqrt(state.residual @ state.residual / free)
    share = 2 * noise**2 / np.maximum(state.energy[: state.order], 1e-300)
    kept = np.sqrt(np.maximum(1 - share, 0.05))
    return noise, replace(state, solution=state.solution * np.r_[1, np.repeat(kept, 2)])


def inverse_fisher(rows):
    """Inverse Fisher matrix (15) of the nonlinear parameters, at noise of variance 1."""
    size = np.maximum(np.linalg.norm(rows, axis=1), 1e-300)
    rows = rows / size[:, None]
    normal = rows @ rows.T + 1e-13 * np.eye(len(rows))
    return np.linalg.inv(normal) / np.outer(size, size)


def average(task, state):
    """Means over orders by Akaike weights (17), each after one more step; f0's variance."""
    n, h = len(task.x), np.arange(1, len(state.energy) + 1)
    left = np.maximum(1 - np.cumsum(state.energy) / (task.x @ task.x), EXPLAINED)
    akaike = n * (0.5 * np.log(left) + (2 * h + 3) / np.maximum(n - 2 * h - 4, 1e-3))
    allowed = h == state.order
    if task.order == "auto" and not (task.stretch and state.order == 1):
        allowed = h > task.stretch  # a stretch needs two harmonics
    akaike = np.where(allowed, akaike, np.inf)
    orders = np.argsort(akaike, kind="stable")[:AVERAGED]
    weights = np.exp(akaike[orders[0]] - akaike[orders])
    orders, weights = orders[weights > 0.05] + 1, weights[weights > 0.05]
    weights = weights / weights.sum()
    steps, variances = [], []
    for order in orders:
        at, *own = solve(task, replace(state, order=int(order)))
        steps.append(_step(at, project(task, at, *own)[0]))
        noise, at = honest_noise(task, at)
        variances.append(noise**2 * inverse_fisher(project(task, at, *own)[0])[0, 0])
    steps = np.array(steps)
    mean = weights @ steps
    variance = weights @ (np.array(variances) + (steps[:, 0] - mean[0]) ** 2)
    return _moved(task, state, mean, state.f0 / REACH, state.f0 * REACH), variance

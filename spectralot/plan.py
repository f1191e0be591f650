"""Transport as a tool: quantiles, the plan, interpolation between spectra, barycenters.

Names: n and m points of the two sides, K points of one grid, S spectra. Derivation:
docs/derivations/plans.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import checks
from .checks import ParameterError
from .cpu import plan as cpu
from .hints import Array, ArrayLike

__all__ = [
    "TransportPlan",
    "displacement_interpolation",
    "quantile_function",
    "transport_plan",
    "wasserstein_barycenter",
]


@dataclass(frozen=True)
class TransportPlan:
    """Who goes where, and how much: what `transport_plan` gives.

    Entries are sorted by quantile level: from the lowest positions to the highest.
    """

    source: NDArray[np.int64]
    target: NDArray[np.int64]
    mass: Array
    u_positions: Array
    v_positions: Array

    def cost(self, p: float) -> float:
        """Cost of the plan, the sum of mass times distance to the power of p.

        Parameters
        ----------
        p : float
            Exponent of the distance, at least 1. The plan is optimal for each of them.

        Returns
        -------
        float
            W_p^p (no root), as `spectralot.wasserstein_1d_forward` gives it.

        Examples
        --------
        >>> from spectralot.plan import transport_plan
        >>> transport_plan([1, 1], [0, 2], u_positions=[0, 3]).cost(2)
        4.5
        """
        p = checks.number("p", p, minimum=1)
        distance = np.abs(self.u_positions[self.source] - self.v_positions[self.target])
        with np.errstate(over="ignore"):
            cost = float(np.sum(self.mass * distance**p))
        if not np.isfinite(cost):
            raise ParameterError(f"p must be smaller for these positions, got {p:g}: cost {cost}")
        return cost

    def positions_at(self, t: float) -> Array:
        """Where the mass of each entry is on its way.

        Parameters
        ----------
        t : float
            Time from 0 (at the source) to 1 (at the target).

        Returns
        -------
        ndarray, shape of `mass`
            In ascending order, as the plan keeps the order of mass.

        Examples
        --------
        >>> from spectralot.plan import transport_plan
        >>> transport_plan([1, 1], [0, 2], u_positions=[0, 3]).positions_at(0.5).tolist()
        [1.5, 3.0]
        """
        t = float(_times(t, ()))
        x = self.u_positions[self.source]
        return x + t * (self.v_positions[self.target] - x)

    def toarray(self) -> Array:
        """The plan as a matrix.

        Returns
        -------
        ndarray, shape (n, m), float64
            Row sums are the source's weights, column sums the target's, both divided by their
            sum.

        Examples
        --------
        >>> from spectralot.plan import transport_plan
        >>> transport_plan([1, 1], [0, 2], u_positions=[0, 3]).toarray().tolist()
        [[0.0, 0.5], [0.0, 0.5]]
        """
        dense = np.zeros((len(self.u_positions), len(self.v_positions)))
        dense[self.source, self.target] = self.mass
        return dense


def quantile_function(weights: ArrayLike, levels: ArrayLike, *, positions: ArrayLike) -> Array:
    r"""Positions below which given shares of the mass lie.

    .. math:: Q(s) = \min\{x_i : U_i \ge s,\ U_i > 0\}

    where U are the running sums of the weights in order of position, divided by their total: the
    generalised inverse of the cumulative distribution.

    Parameters
    ----------
    weights : array_like, shape (n,) or (..., n)
        Weights, not negative.
    levels : array_like, shape (), (L,) or (..., L)
        Quantile levels from 0 to 1: shared by all rows, or one set a row. Level 0 is the lowest
        position that has mass.
    positions : array_like, shape (n,) or (..., n)
        Where the weights stand: shared by all rows, or one set a row; in any order.

    Returns
    -------
    ndarray, shape (...) or (..., L), float64
        Always one of the positions; the lowest of all for a row without mass.

    Raises
    ------
    ParameterError
        If weights are negative, levels lie outside 0 to 1, anything is empty or not finite, or
        shapes do not fit.

    References
    ----------
    Santambrogio, Optimal Transport for Applied Mathematicians, Birkhäuser 2015, chapter 2.

    Examples
    --------
    >>> from spectralot.plan import quantile_function
    >>> quantile_function([1, 1, 2], [0.25, 0.5, 0.75], positions=[100, 200, 300]).tolist()
    [100.0, 200.0, 300.0]
    """
    w, lead = _rows("weights", weights)
    x = _positions("positions", positions, lead, w.shape[1])
    s = checks.float_array("levels", levels, tuple(range(len(lead) + 2)), dtype=np.float64)
    if s.ndim > 1 and s.shape[:-1] != lead:
        raise ParameterError(
            f"levels must have the leading shape of weights {lead} or none, got {s.shape[:-1]}"
        )
    _between_0_and_1("levels", s)
    _, x, (w,) = _ascending(x, w)
    shape = (*lead, s.shape[-1]) if s.ndim else lead
    s = s.reshape(-1, s.shape[-1]) if s.ndim else s.reshape(1, 1)
    quantiles = np.empty((len(w), s.shape[1]))
    cpu.quantile_function(w, x, s, np.empty(w.shape), quantiles)
    return quantiles.reshape(shape)


def transport_plan(
    u_weights: ArrayLike,
    v_weights: ArrayLike,
    *,
    u_positions: ArrayLike,
    v_positions: ArrayLike | None = None,
) -> TransportPlan:
    """Best plan between two sets of weights on a line: who goes where, and how much.

    Mass moves in order, which is best for every cost that is convex in the distance.

    Parameters
    ----------
    u_weights : array_like, shape (n,)
        Weights of the source, not negative.
    v_weights : array_like, shape (m,)
        Weights of the target, not negative.
    u_positions : array_like, shape (n,)
        Where the source's weights stand, in any order.
    v_positions : array_like, shape (m,), optional
        Where the target's weights stand; default `u_positions`.

    Returns
    -------
    TransportPlan
        `source`, `target` (indices in the caller's order, int64) and `mass` (float64, above 0,
        sum 1): at most n + m - 1 entries, sorted by quantile level. Each side's weights are
        divided by their sum.

    Raises
    ------
    ParameterError
        If weights are negative or all zero, anything is empty or not finite, or shapes do not
        fit.

    References
    ----------
    Peyré, Cuturi, Computational Optimal Transport, 2019, section 2.6.

    Examples
    --------
    >>> from spectralot.plan import transport_plan
    >>> plan = transport_plan([1, 3], [2, 2], u_positions=[100, 200], v_positions=[110, 220])
    >>> for i, j, mass in zip(plan.source, plan.target, plan.mass):
    ...     print(i, "to", j, "moves", mass)
    0 to 0 moves 0.25
    1 to 0 moves 0.25
    1 to 1 moves 0.5
    """
    if v_positions is None and np.shape(u_weights) != np.shape(v_weights):
        raise ParameterError(
            f"v_positions must be given when u_weights and v_weights differ in length, "
            f"got {np.shape(u_weights)} and {np.shape(v_weights)}"
        )
    sides = []
    y = u_positions if v_positions is None else v_positions
    for side, weights, positions in (("u", u_weights, u_positions), ("v", v_weights, y)):
        w, _ = _rows(f"{side}_weights", weights, ndim=1)
        x = _positions(f"{side}_positions", positions, (), w.shape[1])[0]
        if not w.any():
            raise ParameterError(f"{side}_weights must have mass, got a sum of 0")
        order = np.argsort(x, kind="stable")
        sides.append((x, order, _levels(w[0, order])))
    (x, u_order, U), (y, v_order, V) = sides
    source, target, mass = _steps(U, V)
    return TransportPlan(u_order[source], v_order[target], mass, x, y)


def displacement_interpolation(
    u_weights: ArrayLike, v_weights: ArrayLike, t: ArrayLike, *, positions: ArrayLike
) -> Array:
    r"""Weights on their way from one spectrum to another (McCann's interpolation).

    Every entry of the transport plan, mass from x to y, stands at :math:`(1-t)\,x + t\,y` and is
    shared between the two grid points around it, so that its mass and its mean position stay
    what they are. Peaks move; they do not fade in and out.

    Parameters
    ----------
    u_weights, v_weights : array_like, shape (n,) or (..., n)
        Weights at times 0 and 1, not negative, of the same shape.
    t : array_like, shape () or (...)
        Time from 0 to 1, for all rows or one a row.
    positions : array_like, shape (n,) or (..., n)
        Where the weights of both stand: shared by all rows, or one set a row; in any order.

    Returns
    -------
    ndarray, shape of the weights
        float32 if both weights are, else float64. Exactly `u_weights` at t = 0 and `v_weights`
        at t = 1. The total goes linearly from one sum to the other. Rows with a silent side have
        no plan and fade: (1 - t) u + t v.

    Raises
    ------
    ParameterError
        If weights are negative, t lies outside 0 to 1, anything is empty or not finite, or
        shapes do not fit.

    References
    ----------
    McCann, A convexity principle for interacting gases, Advances in Mathematics 128, 1997.

    Examples
    --------
    >>> from spectralot.plan import displacement_interpolation
    >>> displacement_interpolation([2, 0, 0, 0], [0, 0, 0, 4], 0.5, positions=[0, 1, 2, 3]).tolist()
    [0.0, 1.5, 1.5, 0.0]
    """
    u, lead = _rows("u_weights", u_weights)
    v, _ = _rows("v_weights", v_weights)
    checks.same_shape("v_weights", np.asarray(v_weights), np.shape(u_weights))
    x = _positions("positions", positions, lead, u.shape[1])
    t = _times(t, lead).reshape(-1)
    order, x, (u, v) = _ascending(x, u, v)
    weights = np.zeros(u.shape)
    cpu.displacement_interpolation(u, v, x, t, weights)
    weights = weights.astype(np.result_type(u, v), copy=False)
    if order is not None:
        sorted_weights, weights = weights, np.empty_like(weights)
        np.put_along_axis(weights, np.broadcast_to(order, u.shape), sorted_weights, axis=1)
    return weights.reshape(np.shape(u_weights))


def wasserstein_barycenter(
    weights: ArrayLike,
    shares: ArrayLike | None = None,
    *,
    positions: ArrayLike,
    grid: ArrayLike | None = None,
) -> Array:
    r"""Mean of several spectra in the sense of transport.

    .. math:: Q(s) = \sum_k \lambda_k\, Q_k(s)

    The quantile functions are averaged, which minimises
    :math:`\sum_k \lambda_k W_2^2(\cdot, w_k)` exactly, and the mass is shared between the grid
    points around it as in `displacement_interpolation`.

    Parameters
    ----------
    weights : array_like, shape (S, n)
        One spectrum a row, not negative.
    shares : array_like, shape (S,), optional
        How much each spectrum counts, not negative; divided by their sum. Default: all the same.
    positions : array_like, shape (n,) or (S, n)
        Where the weights stand: shared by all spectra, or one set each; in any order.
    grid : array_like, shape (K,), optional
        Where the result stands, in any order; mass beyond its ends is put on the ends. Default
        `positions`; needed where each spectrum has its own.

    Returns
    -------
    ndarray, shape (K,)
        float32 if `weights` are, else float64. Their sum is the average of the spectra's sums by
        shares. A silent spectrum counts in that sum and nowhere else.

    Raises
    ------
    ParameterError
        If weights or shares are negative, no share is above 0, anything is empty or not finite,
        or shapes do not fit.

    References
    ----------
    Agueh, Carlier, Barycenters in the Wasserstein space, SIAM J. Math. Anal. 43, 2011.

    Examples
    --------
    >>> from spectralot.plan import wasserstein_barycenter
    >>> wasserstein_barycenter([[1, 0, 0], [0, 0, 1]], positions=[0, 1, 2]).tolist()
    [0.0, 1.0, 0.0]
    """
    w, lead = _rows("weights", weights, ndim=2)
    S, n = w.shape
    x = _positions("positions", positions, lead, n)
    if grid is None and len(x) == 1:
        grid = x[0]
    elif grid is None:
        raise ParameterError(
            f"grid must be given when each spectrum has positions of its own, got {x.shape}"
        )
    grid = checks.float_array("grid", grid, 1, dtype=np.float64)
    shares = checks.float_array("shares", np.ones(S) if shares is None else shares, 1)
    checks.same_shape("shares", shares, (S,))
    if shares.min() < 0 or shares.max() == 0:
        raise ParameterError(
            f"shares must not be negative and one must be above 0, got {shares.tolist()}"
        )
    shares = shares.astype(np.float64) / np.max(shares)  # the sum of huge ones would overflow
    shares /= np.sum(shares)
    totals = w.sum(axis=1, dtype=np.float64)
    z, mass = _mean_quantiles(w, np.where(totals > 0, shares, 0.0), x)
    order = np.argsort(grid, kind="stable")
    out = np.empty(len(grid))
    out[order] = _placed(z, mass * (shares @ totals), grid[order])
    return out.astype(w.dtype, copy=False)


def _mean_quantiles(weights, shares, positions):
    """Steps of the averaged quantile function: where each stands, and its mass (eq. 7)."""
    counts = np.flatnonzero(shares)
    if not len(counts):
        return np.zeros(0), np.zeros(0)
    orders = [np.argsort(positions[s % len(positions)], kind="stable") for s in counts]
    levels = [_levels(weights[s, order]) for s, order in zip(counts, orders, strict=True)]
    ends = np.unique(np.concatenate(levels))
    ends = ends[ends > 0]
    z = np.zeros(len(ends))
    for s, order, own in zip(counts, orders, levels, strict=True):
        place = positions[s % len(positions)][order][np.searchsorted(own, ends)]
        z += shares[s] / shares.sum() * place
    return z, np.diff(ends, prepend=0.0)


def _placed(z, mass, grid):
    """Mass at z shared between its neighbours on the ascending grid (eq. 6)."""
    last = len(grid) - 1
    lower = np.clip(np.searchsorted(grid, z, side="right") - 1, 0, last)
    upper = np.minimum(lower + 1, last)
    gap = grid[upper] - grid[lower]
    with np.errstate(over="ignore"):  # beyond the ends of a narrow grid
        part = np.clip((z - grid[lower]) / np.where(gap > 0, gap, 1.0), 0.0, 1.0) * (gap > 0)
    weights = np.bincount(lower, mass * (1 - part), len(grid))
    return weights + np.bincount(upper, mass * part, len(grid))


def _levels(weights):
    """Quantile levels of weights in order of position; the last is exactly 1."""
    sums = np.cumsum(weights, dtype=np.float64)
    return sums / sums[-1]


def _steps(U, V):
    """Entries of the plan between two staircases of levels (eq. 2): indices and masses."""
    ends = np.union1d(U, V)
    ends = ends[ends > 0]
    # a stretch that ends at s belongs to the first level not below s: never to an empty bin
    return np.searchsorted(U, ends), np.searchsorted(V, ends), np.diff(ends, prepend=0.0)


def _rows(name, weights, ndim=None):
    """Weights as (R, n), float32 or float64, and their leading shape."""
    allowed = tuple(range(1, max(np.ndim(weights), 1) + 1)) if ndim is None else ndim
    w = checks.float_array(name, weights, allowed)
    if w.min() < 0:
        where = np.unravel_index(int(w.argmin()), w.shape)
        raise ParameterError(
            f"{name} must not be negative, got {w[where]} at index {tuple(map(int, where))}"
        )
    return w.reshape(-1, w.shape[-1]), w.shape[:-1]


def _positions(name, positions, lead, n):
    """Positions as (1 or R, n), float64."""
    x = checks.float_array(name, positions, tuple({1, len(lead) + 1}), dtype=np.float64)
    if x.shape not in ((n,), (*lead, n)):
        either = "" if lead == () else f" or {(*lead, n)}"
        raise ParameterError(f"{name} must have shape {(n,)}{either}, got {x.shape}")
    return x.reshape(-1, n)


def _ascending(x, *rows):
    """Order, positions and rows of weights by position; no order if they are sorted."""
    if (x[:, 1:] >= x[:, :-1]).all():
        return None, x, rows
    order = np.argsort(x, axis=1, kind="stable")
    rows = [
        np.ascontiguousarray(np.take_along_axis(w, np.broadcast_to(order, w.shape), axis=1))
        for w in rows
    ]
    return order, np.take_along_axis(x, order, axis=1), rows


def _times(t, lead):
    """Times of the shape () or that of the rows, within 0 and 1."""
    t = checks.float_array("t", t, tuple({0, len(lead)}), dtype=np.float64)
    if t.shape not in ((), lead):
        raise ParameterError(f"t must have shape () or {lead}, got {t.shape}")
    return _between_0_and_1("t", t)


def _between_0_and_1(name, array):
    outside = array[(array < 0) | (array > 1)]
    if outside.size:
        raise ParameterError(f"{name} must lie between 0 and 1, got {outside[0]:g}")
    return array

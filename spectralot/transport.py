"""1-D optimal transport between rows of weights, with exact gradients.

Names: R rows, n and m points of the two sides. Derivation: docs/derivations/transport.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from . import backend, checks
from .checks import ParameterError
from .cpu import lipschitz
from .hints import Array, ArrayLike

__all__ = ["wasserstein_1d_backward", "wasserstein_1d_forward"]

MASSES = ("balanced", "cutoff", "partial", "unbalanced")
SMALLEST = {4: 1e-28, 8: 1e-250}  # by bytes of a float: a mass up to this is silence
HIGHEST = {bytes: float(np.finfo(f"f{bytes}").max) for bytes in SMALLEST}
_PARTS = 64  # independent pieces of work; a fixed number, so results do not depend on threads


@dataclass(frozen=True)
class TransportSaved:
    """What `wasserstein_1d_forward` hands to `wasserstein_1d_backward`.

    Gradients of each row's own value, in the order of the positions as sorted.
    """

    d_u_weights: Array
    d_v_weights: Array
    d_u_positions: Array
    d_v_positions: Array
    u_order: NDArray[np.int64] | None
    v_order: NDArray[np.int64] | None
    u_shape: tuple[int, ...]
    v_shape: tuple[int, ...]
    u_positions_shape: tuple[int, ...]
    v_positions_shape: tuple[int, ...]

    def unit(self, side: Literal["u", "v"]) -> Array:
        """Gradients of each row's value with respect to its weights of one side.

        Parameters
        ----------
        side : {"u", "v"}
            Target or estimate.

        Returns
        -------
        ndarray, shape of the weights
            In the caller's order.
        """
        unit, order = getattr(self, f"d_{side}_weights"), getattr(self, f"{side}_order")
        return _unsort(unit, order).reshape(getattr(self, f"{side}_shape"))


def wasserstein_1d_forward(
    u_weights: ArrayLike,
    v_weights: ArrayLike,
    *,
    u_positions: ArrayLike,
    v_positions: ArrayLike | None = None,
    p: float = 2,
    mass: Literal["balanced", "cutoff", "partial", "unbalanced"] = "balanced",
    share: float | None = None,
    reach: float | None = None,
    mass_floor: float = 0.0,
    position_gradients: bool = True,
) -> tuple[Array, TransportSaved]:
    r"""Transport cost W_p^p between rows of weights on a line.

    .. math:: W = \int_0^1 \big|Q_u(s) - Q_v(s)\big|^p \, ds

    where Q are the quantile functions: in one dimension the best plan moves mass in order.

    Parameters
    ----------
    u_weights : array_like, shape (n,) or (..., n)
        Weights of the target, not negative.
    v_weights : array_like, shape (m,) or (..., m)
        Weights of the estimate, not negative; leading axes as those of `u_weights`. Both may be on
        a device, in float32, for balanced mass and the cutoff; results are there too, and rows that
        break a rule have the value NaN.
    u_positions : array_like, shape (n,) or (..., n)
        Where the target's weights stand: shared by all rows, or one set a row; in any order. For
        weights on a device: in memory, ascending.
    v_positions : array_like, shape (m,) or (..., m), optional
        Where the estimate's weights stand; default `u_positions`.
    p : float
        Exponent of the distance, at least 1; must be 1 for "partial" and "unbalanced".
    mass : {"balanced", "cutoff", "partial", "unbalanced"}
        "balanced": each side is divided by its own sum. "cutoff": both are divided by the
        target's sum and the cost is counted up to the quantile 1; what the estimate lacks
        stands at its last position. This is the frequency cutoff of the paper. "partial": as
        balanced, but only `share` of the mass is moved, the cheapest; the cost is not divided
        by `share`. "unbalanced": both are divided by the target's sum, and what either side
        keeps of its mass may differ from what it has, at the price of `reach` times their
        Kullback-Leibler divergence. It hears the level of the estimate against the target's.
    share : float, optional
        With mass "partial", and then required: the part of the mass to move, above 0 and at
        most 1. With 1 it is "balanced".
    reach : float, optional
        With mass "unbalanced", and then required: above 0, in units of the positions. Mass is
        rather created and destroyed than moved much farther than this.
    mass_floor : float
        A row whose target (balanced and partial: either side) has no more mass than this
        counts nothing: value 0 and gradient 0. At least 1e-28 for float32 weights, 1e-250 for
        float64: gradients are relative to the mass, and must be numbers too.
    position_gradients : bool
        False saves time where only the gradients of the weights are wanted.

    Returns
    -------
    value : ndarray, shape (...)
        W_p^p of each row (no root), float64; shape () for 1-D weights.
    saved : TransportSaved
        For `wasserstein_1d_backward`.

    Raises
    ------
    ParameterError
        If weights are negative, not finite or empty, shapes do not fit, p is below 1 (partial,
        unbalanced: not 1), `share` or `reach` is out of range, missing, or given without its
        mass.

    Notes
    -----
    Where quantile levels of both sides are equal the cost has a kink; the gradient is then the
    mean of the two one-sided ones, so equal inputs have gradient zero. An unbalanced estimate
    without mass costs `reach`; its slope is infinite there, and its gradient is defined as 0.
    Gradients beyond the largest number of their dtype are that number.

    References
    ----------
    Torres, Peeters, Richard, ICASSP 2024, arXiv:2312.14507, equations 2 to 4 (transport by
    quantile functions) and section 3.2 (cutoff).

    Figalli, "The optimal partial transport problem", Archive for Rational Mechanics and
    Analysis 195, 2010, section 1 (partial).

    Liero, Mielke, Savaré, "Optimal entropy-transport problems and a new Hellinger-Kantorovich
    distance between positive measures", Inventiones Mathematicae 211, 2018, section 3
    (unbalanced).

    Examples
    --------
    >>> from spectralot import wasserstein_1d_forward
    >>> value, saved = wasserstein_1d_forward([0, 1, 0], [0, 0, 2], u_positions=[0, 1, 2])
    >>> float(value)
    1.0
    >>> u, v, x = [1, 0, 0, 1], [0, 1, 0, 1], [0, 1, 2, 3]
    >>> float(wasserstein_1d_forward(u, v, u_positions=x, p=1, mass="partial", share=0.75)[0])
    0.25
    >>> value, _ = wasserstein_1d_forward(u, v, u_positions=x, p=1, mass="unbalanced", reach=1)
    >>> round(float(value), 3)
    0.393
    """
    u, v, x, y, lead = _sides(u_weights, v_weights, u_positions, v_positions)
    y_given = u_positions if v_positions is None else v_positions
    R, n, m = len(u), u.shape[1], v.shape[1]
    p = checks.number("p", p, minimum=1)
    mass, limit = _mass(checks.one_of("mass", mass, MASSES), share, reach, p)
    mass_floor = checks.number("mass_floor", mass_floor, minimum=0)

    rows = R if position_gradients else 0
    value, unit = backend.empty(R, np.float64, u), _outputs(u, v, ((R, n), (R, m)), rows)
    u_order, v_order, farthest = None, None, np.inf
    mass_floor = max(mass_floor, SMALLEST[unit[0].dtype.itemsize])
    if mass in ("balanced", "cutoff"):
        u, x, u_order = _ascending(u, x)
        v, y, v_order = _ascending(v, y)
        farthest = _farthest(x, y, p)
        _in_order(u, v, x, y, p, mass == "cutoff", mass_floor, value, unit)
    elif backend.on_device(u):
        raise ParameterError(f"mass must be 'balanced' or 'cutoff' on a device, got {mass!r}")
    else:
        _on_a_grid(u, v, x, y, mass == "partial", limit, mass_floor, value, unit)
    if not backend.on_device(value) and np.isnan(value).any():
        _refuse("u_weights", u)
        _refuse("v_weights", v)
        row = int(np.isnan(value).argmax())
        raise ParameterError(f"weights must have a finite sum, got more than a float in row {row}")
    if 4 * farthest > HIGHEST[unit[0].dtype.itemsize] * mass_floor:
        _saturate(unit)
    shapes = [(*lead, n), (*lead, m), np.shape(u_positions), np.shape(y_given)]
    saved = TransportSaved(*unit, u_order, v_order, *shapes)  # type: ignore[call-arg]
    value = value.reshape(lead)
    return (value if lead else value[()]), saved


def _outputs(u, v, shapes, n_position_rows):
    """Gradients of the weights of both sides, and of the positions of so many rows."""
    shapes = [*shapes, *((n_position_rows, width) for _, width in shapes)]
    if backend.on_device(u):
        return [
            backend.empty(s, u.dtype, u) if s[0] else backend.constant(np.empty(s, u.dtype), u)
            for s in shapes
        ]
    # one piece of memory: the C library reuses it, while four would be given back at every call
    sizes = [rows * width for rows, width in shapes]
    parts = np.split(np.empty(sum(sizes), np.result_type(u, v)), np.cumsum(sizes[:-1]))
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def wasserstein_1d_backward(
    d_value: ArrayLike, saved: TransportSaved
) -> tuple[Array, Array, Array | None, Array | None]:
    """Gradients of a scalar with respect to the weights and positions of both sides.

    Parameters
    ----------
    d_value : array_like, shape (...)
        Gradient of the scalar with respect to the values of `wasserstein_1d_forward`.
    saved : TransportSaved
        From `wasserstein_1d_forward`.

    Returns
    -------
    d_u_weights, d_v_weights : ndarray, shapes of the weights
    d_u_positions, d_v_positions : ndarray, shapes of the positions, or None
        Summed over the rows where positions are shared; None if the forward pass was told not
        to compute them. Where `v_positions` was left out, its part is still `d_v_positions`.

    Raises
    ------
    ParameterError
        If `d_value` is not finite or has another shape than the value.

    Examples
    --------
    >>> from spectralot import wasserstein_1d_backward, wasserstein_1d_forward
    >>> value, saved = wasserstein_1d_forward([0, 1, 0], [0, 0, 2], u_positions=[0, 1, 2])
    >>> wasserstein_1d_backward(1.0, saved)[3].tolist()
    [0.0, 0.0, 2.0]
    """
    lead = saved.u_shape[:-1]
    d_value = checks.float_array("d_value", d_value, len(lead), dtype=np.float64)
    checks.same_shape("d_value", d_value, lead)
    checks.same_place("d_value", d_value, "the value", saved.d_u_weights)
    return tuple(  # type: ignore[return-value]
        _scaled(d_value.reshape(-1), unit, order, shape) if len(unit) else None
        for unit, order, shape in (
            (saved.d_u_weights, saved.u_order, saved.u_shape),
            (saved.d_v_weights, saved.v_order, saved.v_shape),
            (saved.d_u_positions, saved.u_order, saved.u_positions_shape),
            (saved.d_v_positions, saved.v_order, saved.v_positions_shape),
        )
    )


def _farthest(x, y, p):
    """What it costs to cross all positions, which ascend in each row."""
    low, high = (x[0, 0], y[0, 0]), (x[0, -1], y[0, -1])
    if len(x) > 1 or len(y) > 1:
        low, high = [a[:, 0].min() for a in (x, y)], [a[:, -1].max() for a in (x, y)]
    width = float(max(high)) - float(min(low))
    try:
        return width**p
    except OverflowError:
        raise ParameterError(
            f"p must be smaller for these positions: {width:g} to the power of {p:g} is no float"
        ) from None


def _saturate(unit):
    """Gradients beyond their dtype stand at its largest number."""
    for gradient in unit:
        if not backend.on_device(gradient):
            largest = np.finfo(gradient.dtype).max
            np.clip(gradient, -largest, largest, out=gradient)


def _mass(mass, share, reach, p):
    """The mass, and its number: the share not to be moved, or the reach."""
    for name, value, wanted in (("share", share, "partial"), ("reach", reach, "unbalanced")):
        if mass == wanted and value is None:
            raise ParameterError(f"{name} must be given with mass {wanted!r}, got None")
        if mass != wanted and value is not None:
            raise ParameterError(
                f"{name} must be left out unless mass is {wanted!r}, got {value!r} with {mass!r}"
            )
    if mass in ("balanced", "cutoff"):
        return mass, None
    if p != 1:
        raise ParameterError(f"p must be 1 with mass {mass!r}, got {p:g}")
    if mass == "unbalanced":
        return mass, checks.number("reach", reach, above=0)
    share = checks.number("share", share, above=0)
    if share > 1:
        raise ParameterError(f"share must be at most 1, got {share:g}")
    return (mass, 1 - share) if share < 1 else ("balanced", None)


def _in_order(u, v, x, y, p, cut, mass_floor, value, unit):
    """Balanced and cutoff: mass moves in the order of the positions."""
    R, n, m = len(u), u.shape[1], v.shape[1]
    P, size = min(_PARTS, (R + 3) // 4), 4 * (n + m + 4)
    if backend.on_device(u):
        P, size = R, n + m + 4
    kernels, levels = backend.kernels("transport", u), backend.empty((P, size), np.float64, u)
    if p == 1 and len(unit[2]) == 0 and len(x) == len(y) == 1 and np.array_equal(x, y):
        gaps, work = backend.constant(np.diff(x[0, :-1]), u), None
        if not backend.on_device(u):
            work = np.empty((P, 2, n))
        kernels.wasserstein_1_on_one_grid(
            u, v, gaps, cut, mass_floor, levels, work, value, *unit[:2]
        )
        return
    met = backend.empty((P, size), np.uint32, u)
    work = backend.empty((P, 4, max(n, m) + 1), np.float64, u)
    x, y = (backend.constant(places, u) for places in (x, y))
    kernels.wasserstein_1d_forward(u, v, x, y, p, cut, mass_floor, levels, met, work, value, *unit)


def _on_a_grid(u, v, x, y, partial, limit, mass_floor, value, unit):
    """Partial and unbalanced: a potential on the positions of both sides together."""
    grid, u_at, v_at = _grid(x, y)
    N, P = grid.shape[1], min(_PARTS, len(u))
    work = np.empty((P, 8, N))
    if partial:
        scratch = np.empty((P, 4 * N + 4)), work
        lipschitz.partial_1d(u, v, u_at, v_at, grid, limit, mass_floor, *scratch, value, *unit)
        return
    # farther than 60 reaches is as far as can be; the scale begins anew every 100
    gaps = np.minimum(np.diff(grid, axis=1, append=grid[:, -1:]), 60.0 * limit) / limit
    place = np.cumsum(gaps, axis=1) - gaps
    place -= 100.0 * np.floor(place / 100.0)
    tables = np.exp(place), np.exp(-place), np.exp(-2 * gaps)
    scratch = np.empty((P, 2, 10 * (N + 1))), work
    lipschitz.unbalanced_1d(u, v, u_at, v_at, *tables, limit, mass_floor, *scratch, value, *unit)


def _grid(x, y):
    """Distinct positions of both sides, ascending, and where each side's stand among them.

    The indices are empty if the grid is the positions of either side. Rows with fewer distinct
    positions than others repeat their last.
    """
    if x.shape == y.shape and np.array_equal(x, y) and (np.diff(x, axis=1) > 0).all():
        nowhere = np.empty((1, 0), np.uint32)
        return x, nowhere, nowhere
    G, n = max(len(x), len(y)), x.shape[1]
    both = np.hstack([np.broadcast_to(a, (G, a.shape[1])) for a in (x, y)])
    order = np.argsort(both, axis=1, kind="stable")
    both = np.take_along_axis(both, order, axis=1)
    number = np.cumsum(np.diff(both, axis=1, prepend=both[:, :1]) > 0, axis=1)
    grid = np.repeat(both[:, -1:], number.max() + 1, axis=1)
    np.put_along_axis(grid, number, both, axis=1)
    at = np.empty_like(number)
    np.put_along_axis(at, order, number, axis=1)
    at = at.astype(np.uint32)
    return grid, np.ascontiguousarray(at[:, :n]), np.ascontiguousarray(at[:, n:])


def _scaled(d_value, unit, order, shape):
    """Unit gradients times d_value in the caller's order and shape, summed over shared rows."""
    rows, backward = int(np.prod(shape[:-1], dtype=int)), backend.kernels("transport", unit)
    if rows == len(unit) or backend.on_device(unit):
        gradient = backend.empty((rows, unit.shape[1]), unit.dtype, unit)
        backward.wasserstein_1d_backward(d_value, unit, gradient)
    else:
        if order is not None and order.ndim == 2:
            unit, order = _unsort(unit, order), None
        sums = np.empty((min(_PARTS, len(unit)), unit.shape[1]))
        backward.wasserstein_1d_backward(d_value, unit, sums)
        with np.errstate(over="ignore"):  # what is infinite then is refused
            gradient = sums.sum(axis=0, keepdims=True).astype(unit.dtype, copy=False)
    checks.gradient_fits("d_value", gradient)
    return _unsort(gradient, order).reshape(shape)


def _weights(u_weights, v_weights):
    """Weights as (R, n) and (R, m), and the leading shape."""
    checks.same_place("v_weights", v_weights, "u_weights", u_weights)
    arrays = []
    for name, value in (("u_weights", u_weights), ("v_weights", v_weights)):
        array = value if backend.on_device(value) else checks.real_array(name, value)
        least = 1 + backend.on_device(array)
        if array.ndim < least:
            raise ParameterError(
                f"{name} must have at least {least} dimension{'s'[: least - 1]}, "
                f"got shape {array.shape}"
            )
        if array.size == 0:
            raise ParameterError(f"{name} must not be empty, got shape {array.shape}")
        if backend.on_device(array):
            arrays.append(backend.given(name, array, np.float32))
            continue
        dtype = np.float32 if array.dtype == np.float32 else np.float64
        array = np.ascontiguousarray(array, dtype)
        arrays.append(array if array.flags.writeable else array.copy())
    u, v = arrays
    if u.shape[:-1] != v.shape[:-1]:
        raise ParameterError(
            f"v_weights must have the leading shape of u_weights {u.shape[:-1]}, got {v.shape[:-1]}"
        )
    return u.reshape(-1, u.shape[-1]), v.reshape(-1, v.shape[-1]), u.shape[:-1]


def _sides(u_weights, v_weights, u_positions, v_positions):
    """Weights (R, n) and (R, m), positions (1 or R, n or m), and the leading shape."""
    u, v, lead = _weights(u_weights, v_weights)
    R, n, m = len(u), u.shape[1], v.shape[1]
    x = _positions("u_positions", u_positions, lead, R, n)
    if v_positions is not None:
        return u, v, x, _positions("v_positions", v_positions, lead, R, m), lead
    if n != m:
        raise ParameterError(
            f"v_positions must be given when u_weights and v_weights differ in length, "
            f"got {n} and {m}"
        )
    return u, v, x, x, lead


def _positions(name, positions, lead, n_rows, n_points):
    """Positions as (1 or R, n) float64, in memory."""
    if backend.on_device(positions):
        raise ParameterError(f"{name} must be in memory, got {type(positions)}")
    x = checks.level_array(
        name, positions, (1, max(len(lead) + 1, 1)), dtype=np.float64, largest=1e30
    )
    if x.shape not in ((n_points,), (*lead, n_points)):
        raise ParameterError(
            f"{name} must have shape {(n_points,)} or {(*lead, n_points)}, got {x.shape}"
        )
    return x.reshape(-1, n_points)


def _ascending(weights, positions):
    """Sort both if the positions are not ascending; give the last position twice (see cpu)."""
    order = None
    if (np.diff(positions, axis=1) < 0).any():
        if backend.on_device(weights):
            raise ParameterError("positions must ascend for weights on a device, got others")
        order = np.argsort(positions, axis=1, kind="stable")
        positions = np.take_along_axis(positions, order, axis=1)
        if len(order) == 1:
            order = order[0]
            weights = np.ascontiguousarray(weights[:, order])
        else:
            weights = np.take_along_axis(weights, order, axis=1)
    return weights, np.concatenate([positions, positions[:, -1:]], axis=1), order


def _unsort(gradient, order):
    if order is None:
        return gradient
    unsorted = np.empty_like(gradient)
    if order.ndim == 1:
        unsorted[:, order] = gradient
    else:
        np.put_along_axis(unsorted, order, gradient, axis=1)
    return unsorted


def _refuse(name, weights):
    for problem, bad in (
        ("must be finite", ~np.isfinite(weights)),
        ("must not be negative", weights < 0),
    ):
        if bad.any():
            row, k = np.unravel_index(int(bad.argmax()), bad.shape)
            raise ParameterError(f"{name} {problem}, got {weights[row, k]} in row {row}")

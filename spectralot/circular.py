"""Optimal transport on a circle, with exact gradients: distances that are blind to octaves.

Names: R rows, n and m points of the two sides. Derivation: docs/derivations/plans.md.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from . import checks
from .checks import ParameterError
from .cpu import circular as cpu
from .hints import Array, ArrayLike
from .transport import (
    _PARTS,
    TransportSaved,
    _sides,
    wasserstein_1d_backward,
    wasserstein_1d_forward,
)

__all__ = [
    "chroma_positions",
    "circular_wasserstein_1d_backward",
    "circular_wasserstein_1d_forward",
]

MIDDLE_C_HZ = 440 * 2 ** (-9 / 12)


def circular_wasserstein_1d_forward(
    u_weights: ArrayLike,
    v_weights: ArrayLike,
    *,
    u_positions: ArrayLike,
    v_positions: ArrayLike | None = None,
    period: float = 1.0,
    p: float = 1,
    mass_floor: float = 0.0,
) -> tuple[Array, TransportSaved]:
    r"""Transport cost W_p^p between rows of weights on a circle.

    .. math:: W = \min_\theta \int_0^1 \big|Q_u(s) - Q_v(s - \theta)\big|^p \, ds

    where the quantile functions Q go on around the circle, :math:`Q(s + 1) = Q(s) + period`.
    Every mass takes the shorter way round. With `chroma_positions` it compares pitch classes:
    an octave apart is no distance at all.

    Parameters
    ----------
    u_weights : array_like, shape (n,) or (..., n)
        Weights of the target, not negative.
    v_weights : array_like, shape (m,) or (..., m)
        Weights of the estimate, not negative; leading axes as those of `u_weights`.
    u_positions : array_like, shape (n,) or (..., n)
        Where the target's weights stand, taken modulo `period`: shared by all rows, or one set
        a row; in any order.
    v_positions : array_like, shape (m,) or (..., m), optional
        Where the estimate's weights stand; default `u_positions`.
    period : float
        Length of the circle, above 0, in units of the positions.
    p : float
        Exponent of the distance, at least 1.
    mass_floor : float
        A row of which either side has no more mass than this counts nothing: value 0 and
        gradient 0.

    Returns
    -------
    value : ndarray, shape (...)
        W_p^p of each row (no root), float64; shape () for 1-D weights. Each side is divided by
        its own sum.
    saved : TransportSaved
        For `circular_wasserstein_1d_backward`.

    Raises
    ------
    ParameterError
        If weights are negative, not finite or empty, shapes do not fit, the period is not above
        0, or p is below 1.

    Notes
    -----
    The best shift theta of the levels is found exactly, for every p; for p = 1 it is the median
    of the difference of both distribution functions. There the circle is cut open, and what is
    left is transport on a line (docs/derivations/plans.md, equations 8 to 14).

    References
    ----------
    Delon, Salomon, Sobolevski, Fast transport optimization for Monge costs on the circle, SIAM
    J. Applied Math. 70, 2010 (the cost is convex in the shift). Rabin, Delon, Gousseau,
    Transportation distances on the circle, J. Math. Imaging and Vision 41, 2011 (p = 1).

    Examples
    --------
    >>> from spectralot.circular import circular_wasserstein_1d_forward
    >>> value, saved = circular_wasserstein_1d_forward([1, 0], [0, 3], u_positions=[0.05, 0.95])
    >>> round(float(value), 12)
    0.1
    """
    u, v, x, y, lead = _sides(u_weights, v_weights, u_positions, v_positions)
    y_given = u_positions if v_positions is None else v_positions
    R, n, m = len(u), u.shape[1], v.shape[1]
    period = checks.number("period", period, above=0)
    p = checks.number("p", p, minimum=1)
    x_order, x = _wrapped(x, period)
    y_order, y = _wrapped(y, period)
    u, v = (_taken(w, order) for w, order in ((u, x_order), (v, y_order)))

    cuts = np.empty((R, 3), np.int64)
    cpu.circular_cuts(u, v, x, y, period, p, np.empty((R, n + m)), cuts)
    u_order, u, x = _opened(x_order, u, x, cuts[:, 0], cuts[:, 2], period)
    v_order, v, y = _opened(y_order, v, y, cuts[:, 1], np.zeros(R, np.int64), period)
    value, saved = wasserstein_1d_forward(
        u, v, u_positions=x, v_positions=y, p=p, mass="balanced", mass_floor=mass_floor
    )
    saved = replace(
        saved, u_order=u_order, v_order=v_order, u_shape=(*lead, n), v_shape=(*lead, m),
        u_positions_shape=np.shape(u_positions), v_positions_shape=np.shape(y_given),
    )  # fmt: skip
    parts, size = min(_PARTS, R), max(n, m) + 1
    scratch = (np.empty((parts, *shape, size)) for shape in ((6,), (2, 2)))
    cpu.circular_potentials(
        u, v, x, y, period, p, value.reshape(-1), np.empty((parts, 2, size), np.int64), *scratch,
        saved.d_u_weights, saved.d_v_weights,
    )  # fmt: skip
    return value.reshape(lead)[()], saved


def circular_wasserstein_1d_backward(
    d_value: ArrayLike, saved: TransportSaved
) -> tuple[Array, Array, Array, Array]:
    """Gradients of a scalar with respect to the weights and positions of both sides.

    Parameters
    ----------
    d_value : array_like, shape (...)
        Gradient of the scalar with respect to the values of `circular_wasserstein_1d_forward`.
    saved : TransportSaved
        From `circular_wasserstein_1d_forward`.

    Returns
    -------
    d_u_weights, d_v_weights : ndarray, shapes of the weights
    d_u_positions, d_v_positions : ndarray, shapes of the positions
        Summed over the rows where positions are shared. Where `v_positions` was left out, its
        part is still `d_v_positions`.

    Raises
    ------
    ParameterError
        If `d_value` is not finite or has another shape than the value.

    Examples
    --------
    >>> from spectralot.circular import (
    ...     circular_wasserstein_1d_backward, circular_wasserstein_1d_forward
    ... )
    >>> value, saved = circular_wasserstein_1d_forward([1, 0], [0, 3], u_positions=[0.05, 0.95])
    >>> circular_wasserstein_1d_backward(1.0, saved)[2].tolist()
    [1.0, 0.0]
    """
    return wasserstein_1d_backward(d_value, saved)  # type: ignore[return-value]


def chroma_positions(frequencies_hz: ArrayLike, reference_hz: float = MIDDLE_C_HZ) -> Array:
    """Pitch classes: where frequencies stand on the circle of one octave.

    Parameters
    ----------
    frequencies_hz : array_like, shape (...)
        Frequencies, not negative, say of the bins of a spectrum.
    reference_hz : float
        The frequency whose pitch class is 0; default the C of a' = 440 Hz.

    Returns
    -------
    ndarray, shape of `frequencies_hz`, float64
        Octaves above the reference modulo 1, from 0 to below 1; a semitone is 1/12. 0 Hz has
        no pitch class and is given 0: such bins must carry no weight.

    Raises
    ------
    ParameterError
        If a frequency is negative or not finite, or the reference is not above 0.

    Examples
    --------
    >>> from spectralot.circular import chroma_positions
    >>> chroma_positions([110, 440, 880]).round(6).tolist()
    [0.75, 0.75, 0.75]
    """
    f = checks.float_array(
        "frequencies_hz", frequencies_hz, tuple(range(np.ndim(frequencies_hz) + 1)), dtype=float
    )
    if f.min() < 0:
        raise ParameterError(f"frequencies_hz must not be negative, got {f.min():g}")
    reference_hz = checks.number("reference_hz", reference_hz, above=0)
    octaves = np.zeros(f.shape)
    np.log2(f, out=octaves, where=f > 0)
    octaves[f > 0] -= np.log2(reference_hz)
    return np.mod(octaves, 1.0) % 1.0  # a tiny negative number gives 1.0 at first


def _wrapped(positions, period):
    """Order and positions (1 or R, n) modulo the period, ascending."""
    wrapped = np.mod(positions, period)
    wrapped[wrapped >= period] = 0.0  # what a tiny negative number is rounded to
    order = np.argsort(wrapped, axis=1, kind="stable")
    return order, np.take_along_axis(wrapped, order, axis=1)


def _taken(values, order):
    """Rows of values in the given order, which may be one for all."""
    if len(order) == 1:
        return np.take(values, order[0], axis=1)  # C order, which indexing does not promise
    return np.take_along_axis(values, order, axis=1)


def _opened(order, weights, positions, before, turn, period):
    """Every row cut open: what lies before the cut goes to the end, one turn further (eq. 12)."""
    R, n = weights.shape
    place = (np.arange(n) + before[:, None]) % n
    turns = turn[:, None] + (place < before[:, None])
    order, positions = (np.broadcast_to(a, (R, n)) for a in (order, positions))
    order, weights, positions = (
        np.take_along_axis(a, place, axis=1) for a in (order, weights, positions)
    )
    return order, weights, positions + period * turns

"""1-D optimal transport: one merge of two running sums a row.

Equations: docs/derivations/transport.md. u_weights (R,n) and v_weights (R,m); u_positions
(1 or R,n+1) and v_positions (1 or R,m+1), float64, ascending, the last one given twice. Levels
are running sums of weights, scaled so that the target's end at 1. Gradients are those of each
row's own value.
"""

import math

import numpy as np
from numba import njit, prange

ZERO, ONE = np.uint64(0), np.uint64(1)  # unsigned: Numba then checks no index for wrap-around
SMALLEST = 1e-300  # a mass below has no finite reciprocal, or nearly so: silence


@njit
def _cost(d, p):
    """|d|^p and its derivative (eq. 1); the derivative at 0 is 0, the mean of both sides."""
    if p == 2.0:
        return d * d, 2.0 * d
    if p == 1.0:
        return abs(d), 1.0 if d > 0.0 else (-1.0 if d < 0.0 else 0.0)
    if d == 0.0:
        return 0.0, 0.0
    slope = abs(d) ** (p - 1.0)
    return abs(d) * slope, p * math.copysign(slope, d)


@njit
def _running_sum(x, out):
    """Running sum by quarters at once, which hides the latency of the additions."""
    n = x.shape[0]
    q = n // 4
    s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
    for i in range(q):
        s0 += x[i]
        s1 += x[q + i]
        s2 += x[2 * q + i]
        s3 += x[3 * q + i]
        out[i] = s0
        out[q + i] = s1
        out[2 * q + i] = s2
        out[3 * q + i] = s3
    for i in range(4 * q, n):
        s3 += x[i]
        out[i] = s3
    s1 += s0
    s2 += s1
    for i in range(q):
        out[q + i] += s0
        out[2 * q + i] += s1
    for i in range(3 * q, n):
        out[i] += s2
    return out[n - 1]


@njit
def _mass(weights, sums):
    """Running sums of a row and their total; NaN if a weight is negative, NaN or infinite."""
    total = _running_sum(weights, sums)
    bad = 0
    for i in range(weights.shape[0]):
        bad |= 0 if weights[i] >= 0.0 else 1
    return total if bad == 0 and total < math.inf else math.nan


@njit
def _scale(levels, n, mass, counts):
    """Levels in [0, 1], the last at 1: missing mass stands at the last position. Then a stop.

    A row that does not count is all 1, so that the merge is safe whatever the weights were.
    """
    scale = 1.0 / mass if counts else 0.0
    for i in range(n):
        levels[i] = min(levels[i] * scale, 1.0) if counts else 1.0
    levels[n - 1] = 1.0
    levels[n] = 2.0


@njit
def _levels(u_weights, v_weights, cutoff, mass_floor, levels):
    """Levels of one row, U's n + 1 then V's m + 1; both masses, and whether the row counts.

    The masses are NaN if a weight is negative, NaN or infinite.
    """
    n, m = u_weights.shape[0], v_weights.shape[0]
    U, V = levels[: n + 1], levels[n + 1 :]
    u_mass, v_mass = _mass(u_weights, U), _mass(v_weights, V)
    valid = u_mass + v_mass >= 0.0
    if cutoff:
        v_mass = u_mass
    floor = max(mass_floor, SMALLEST)
    counts = valid and u_mass > floor and v_mass > floor
    _scale(U, n, u_mass, counts)
    _scale(V, m, v_mass, counts)
    if not counts:
        u_mass = v_mass = 1.0 if valid else math.nan
    return u_mass, v_mass, counts


@njit(forceinline=True)
def _step(state, x, y, U, V, U_bits, V_bits, slopes, moved, p):
    """Pass one level, the lower of U[i] and V[j] (eq. 2).

    Adds to the value, and stores for the level passed (U's first, then V's) the value's
    derivative with respect to it (eq. 4) and the running sum of step * slope, for the positions
    (eq. 6). Selecting by integer comparison of the bits keeps the loop free of branches, which
    would be mispredicted every other time.
    """
    i, j, before, here, slope, value, sum_moved, ties = state
    c = np.uint64(U_bits[i] <= V_bits[j])
    ties += np.uint64(U_bits[i] == V_bits[j])
    level = min(U[i], V[j])
    value += (level - before) * here
    sum_moved += (level - before) * slope
    at = i if c == ONE else np.uint64(U.shape[0]) + j
    i, j = i + c, j + (ONE - c)
    there, slope = _cost(x[i] - y[j], p)
    slopes[at] = here - there
    moved[at] = sum_moved
    return i, j, level, there, slope, value, sum_moved, ties


@njit
def _merge(x0, y0, rows0, x1, y1, rows1, n, m, p):
    """Walk the levels of two rows at once, so that the processor waits for neither.

    Returns value and number of ties of each; both last levels are 1, which is one tie.
    """
    U0, V0, slopes0, moved0 = rows0[0, : n + 1], rows0[0, n + 1 :], rows0[1], rows0[2]
    U1, V1, slopes1, moved1 = rows1[0, : n + 1], rows1[0, n + 1 :], rows1[1], rows1[2]
    Ub0, Vb0, Ub1, Vb1 = U0.view(np.int64), V0.view(np.int64), U1.view(np.int64), V1.view(np.int64)
    here0, slope0 = _cost(x0[0] - y0[0], p)
    here1, slope1 = _cost(x1[0] - y1[0], p)
    state0 = (ZERO, ZERO, 0.0, here0, slope0, 0.0, 0.0, ZERO)
    state1 = (ZERO, ZERO, 0.0, here1, slope1, 0.0, 0.0, ZERO)
    for _ in range(n + m):
        state0 = _step(state0, x0, y0, U0, V0, Ub0, Vb0, slopes0, moved0, p)
        state1 = _step(state1, x1, y1, U1, V1, Ub1, Vb1, slopes1, moved1, p)
    return state0[5], state0[7], state1[5], state1[7]


@njit
def _mend_ties(x, y, U, V, u_slopes, v_slopes, p):
    """Where levels of both sides are equal, the mean of the one-sided derivatives (eq. 4)."""
    n = u_slopes.shape[0]
    i, j = 0, 0
    tied = -1.0
    while i < n:  # V ends with a stop above every level
        if U[i] == V[j]:
            tied = U[i]
            c00, _ = _cost(x[i] - y[j], p)
            c01, _ = _cost(x[i] - y[j + 1], p)
            c10, _ = _cost(x[i + 1] - y[j], p)
            c11, _ = _cost(x[i + 1] - y[j + 1], p)
            u_slopes[i] = 0.5 * (c00 - c10 + c01 - c11)
            v_slopes[j] = 0.5 * (c00 - c01 + c10 - c11)
            i += 1
            j += 1
        elif U[i] < V[j]:
            if U[i] == tied:  # left over by the pairs: after all of V's levels here
                below, _ = _cost(x[i] - y[j], p)
                above, _ = _cost(x[i + 1] - y[j], p)
                u_slopes[i] = below - above
            i += 1
        else:
            j += 1


@njit
def _dot(x, y):
    """Sum of x * y as four running sums: a fixed order that vectorises."""
    s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
    whole = x.shape[0] // 4 * 4
    for i in range(0, whole, 4):
        s0 += x[i] * y[i]
        s1 += x[i + 1] * y[i + 1]
        s2 += x[i + 2] * y[i + 2]
        s3 += x[i + 3] * y[i + 3]
    for i in range(whole, x.shape[0]):
        s0 += x[i] * y[i]
    return (s0 + s1) + (s2 + s3)


@njit
def _weight_gradient(slopes, sums, offset, mass, d_weights):
    """(sum of the slopes of this level and all above - offset) / mass (eq. 5)."""
    n = d_weights.shape[0]
    total = _running_sum(slopes, sums)
    scale = 1.0 / mass
    d_weights[0] = (total - offset) * scale
    for i in range(1, n):
        d_weights[i] = (total - sums[i - 1] - offset) * scale


@njit
def _position_gradient(moved, sign, d_positions):
    """Differences of the running sums that the merge left at each level (eq. 6)."""
    d_positions[0] = sign * moved[0]
    for i in range(1, d_positions.shape[0]):
        d_positions[i] = sign * (moved[i] - moved[i - 1])


@njit
def _gradients(x, y, rows, u_mass, v_mass, ties, cutoff, p, d_u, d_v):
    """From the slopes that the merge left for one row to the gradients of its weights."""
    n, m = d_u.shape[0], d_v.shape[0]
    U, V = rows[0, : n + 1], rows[0, n + 1 :]
    u_slopes, v_slopes = rows[1, :n], rows[1, n + 1 : n + 1 + m]
    if ties > 1:
        _mend_ties(x, y, U, V, u_slopes, v_slopes, p)
    u_slopes[n - 1] = 0.0  # the last level stays at 1, whatever the weights
    v_slopes[m - 1] = 0.0
    if cutoff:
        for j in range(m - 2, -1, -1):
            if V[j] < 1.0:
                break
            v_slopes[j] = 0.0  # beyond the quantile 1 the second side does not count
    u_offset, v_offset = _dot(u_slopes, U), _dot(v_slopes, V)
    if cutoff:
        u_offset += v_offset
        v_offset = 0.0
    _weight_gradient(u_slopes, U, u_offset, u_mass, d_u)
    _weight_gradient(v_slopes, V, v_offset, v_mass, d_v)


@njit(parallel=True, cache=True, nogil=True)
def wasserstein_1d_forward(
    u_weights, v_weights, u_positions, v_positions, p, cutoff, mass_floor, scratch, value,
    d_u, d_v, d_x, d_y,
):  # fmt: skip
    """Value of each row and its gradients (eqs. 1-6).

    scratch (P,2,3,n+m+2); value (R,), NaN where a weight is negative, NaN or infinite; d_u, d_v
    with respect to the weights; d_x, d_y to the positions, skipped if without rows. Rows go in
    pairs; of an odd number, the last one stands for two.
    """
    R, n = u_weights.shape
    m = v_weights.shape[1]
    pairs = (R + 1) // 2
    parts = scratch.shape[0]
    for part in prange(parts):
        rows0, rows1 = scratch[part, 0], scratch[part, 1]
        for pair in range(part * pairs // parts, (part + 1) * pairs // parts):
            r, q = 2 * pair, min(2 * pair + 1, R - 1)
            x0, y0 = u_positions[r % u_positions.shape[0]], v_positions[r % v_positions.shape[0]]
            x1, y1 = u_positions[q % u_positions.shape[0]], v_positions[q % v_positions.shape[0]]
            u0, v0, ok0 = _levels(u_weights[r], v_weights[r], cutoff, mass_floor, rows0[0])
            u1, v1, ok1 = _levels(u_weights[q], v_weights[q], cutoff, mass_floor, rows1[0])
            value0, ties0, value1, ties1 = _merge(x0, y0, rows0, x1, y1, rows1, n, m, p)
            if d_x.shape[0] > 0:
                _position_gradient(rows0[2, :n], 1.0 if ok0 else 0.0, d_x[r])
                _position_gradient(rows1[2, :n], 1.0 if ok1 else 0.0, d_x[q])
                _position_gradient(rows0[2, n + 1 :], -1.0 if ok0 else 0.0, d_y[r])
                _position_gradient(rows1[2, n + 1 :], -1.0 if ok1 else 0.0, d_y[q])
            _gradients(x0, y0, rows0, u0, v0, ties0, cutoff, p, d_u[r], d_v[r])
            _gradients(x1, y1, rows1, u1, v1, ties1, cutoff, p, d_u[q], d_v[q])
            value[q] = value1
            value[r] = value0
            for row, counts, mass in ((q, ok1, u1 + v1), (r, ok0, u0 + v0)):
                if not counts:
                    value[row] = 0.0 * mass  # NaN if not valid
                    d_u[row] = 0.0
                    d_v[row] = 0.0


@njit(parallel=True, cache=True, nogil=True)
def wasserstein_1d_backward(d_value, unit, gradient):
    """Sums of d_value (R,) times unit gradients (R,n) over as many stretches of rows as
    `gradient` has rows: R to keep each row's own (eq. 7)."""
    R, n = unit.shape
    G = gradient.shape[0]
    for g in prange(G):
        first = g * R // G
        sums = gradient[g]
        for k in range(n):
            sums[k] = d_value[first] * unit[first, k]
        for r in range(first + 1, (g + 1) * R // G):
            row, scale = unit[r], d_value[r]
            for k in range(n):
                sums[k] += scale * row[k]

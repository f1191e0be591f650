"""1-D optimal transport: one merge of two running sums a row, then one walk down either side.

Equations: docs/derivations/transport.md. u_weights (R,n) and v_weights (R,m); u_positions
(1 or R,n+1) and v_positions (1 or R,m+1), float64, ascending, the last one given twice. Levels
are running sums of weights, scaled so that the target's end at 1. Gradients are those of each
row's own value.
"""

import math

import numpy as np
from numba import prange

from . import njit

ONE = np.uint64(1)  # unsigned: Numba then checks no index for wrap-around
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
def _running_sums(weights, rows, levels, first, size):
    """Running sums of four rows at once, which hides the latency of the additions."""
    r0, r1, r2, r3 = rows
    w0, w1, w2, w3 = weights[r0], weights[r1], weights[r2], weights[r3]
    n = w0.shape[0]
    L0, L1 = levels[first : first + n], levels[first + size : first + size + n]
    first += 2 * size
    L2, L3 = levels[first : first + n], levels[first + size : first + size + n]
    s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
    for k in range(n):
        s0 += w0[k]
        s1 += w1[k]
        s2 += w2[k]
        s3 += w3[k]
        L0[k] = s0
        L1[k] = s1
        L2[k] = s2
        L3[k] = s3


@njit
def _mass(weights, total):
    """The total of a row's weights; NaN if a weight is negative, NaN or infinite."""
    bad = 0
    for i in range(weights.shape[0]):
        bad |= 0 if weights[i] >= 0.0 else 1
    return total if bad == 0 and total < math.inf else math.nan


@njit
def _scale(levels, n, mass, counts):
    """Levels in [0, 1] between a 0 and a stop, the last at 1: missing mass stands there.

    A sum of all the mass is 1, which times its reciprocal it need not be: a silent tail is tied
    there. A row that does not count is all 1, so that the merge is safe whatever the weights were.
    """
    if counts:
        scale = 1.0 / mass
        for i in range(n):
            levels[i + 1] = levels[i + 1] * scale if levels[i + 1] < mass else 1.0
    else:
        levels[:] = 1.0
    levels[0] = 0.0
    levels[n] = 1.0
    levels[n + 1] = 2.0


@njit
def _levels(u_weights, v_weights, cutoff, mass_floor, levels):
    """Running sums of one row, U's n + 2 then V's m + 2, become levels; both masses, and
    whether the row counts.

    The masses are NaN if a weight is negative, NaN or infinite.
    """
    n, m = u_weights.shape[0], v_weights.shape[0]
    U, V = levels[: n + 2], levels[n + 2 :]
    u_mass, v_mass = _mass(u_weights, U[n]), _mass(v_weights, V[m])
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
def _step(bits, met, i, j):
    """Pass one level, the lower of those at i and j; each remembers the other.

    Both are stored at every step, whichever is passed: what stays is the last, when it was
    passed. There is no branch, which would be mispredicted every other time.
    """
    met[i] = j
    met[j] = i
    c = np.uint64(bits[i] <= bits[j])
    return i + c, j + (ONE - c)


@njit
def _merge(levels, met, n, m):
    """Walk the levels of four rows at once, so that the processor waits for none of them.

    met: for each level the index of the level of the other side that is next as it is passed.
    All rows lie in one array, and so do both sides: a row then needs two registers only. The
    bits of floats that are not negative compare as the floats do, in less time.
    """
    bits = levels.view(np.int64)
    row = np.uint64(n + m + 4)
    i0, j0 = ONE, np.uint64(n + 3)
    i1, j1 = i0 + row, j0 + row
    i2, j2 = i1 + row, j1 + row
    i3, j3 = i2 + row, j2 + row
    for _ in range(n + m):
        i0, j0 = _step(bits, met, i0, j0)
        i1, j1 = _step(bits, met, i1, j1)
        i2, j2 = _step(bits, met, i2, j2)
        i3, j3 = _step(bits, met, i3, j3)


@njit(forceinline=True)
def _walk(x, own, met, levels, y, first, top, p, moves, sums, moved):
    """One side's steps from level `top` - 1 down: value (eq. 2), sum of slope * level, ties.

    sums: sum of the slopes by level (eq. 4) from each level up; moved: so of the widths times the
    slopes of the cost (eq. 6). The last position stands twice, so the last level's slope is 0.
    """
    value, offset, slopes, shift, ties = 0.0, 0.0, 0.0, 0.0, 0
    level = own[top]
    k = np.uint64(top)
    for _ in range(top):
        k -= ONE
        at = np.uint64(met[k])
        facing, before, below = y[at - first], levels[at - ONE], own[k]
        ties += before == level
        here, tilt = _cost(x[k] - facing, p)
        there, _ = _cost(x[k + ONE] - facing, p)
        width = level - max(below, before)
        value += width * here
        slopes += here - there
        offset += (here - there) * level
        sums[k] = slopes
        if moves:
            shift += width * tilt
            moved[k] = shift
        level = below
    sums[top:] = 0.0
    if moves:
        moved[top:] = 0.0
    return value, offset, ties


@njit
def _side(x, own, met, levels, y, first, top, p, sums, moved):
    """_walk with p and the choice of gradients as constants: loops without a branch."""
    if p == 2.0 and moved.shape[0] > 0:
        return _walk(x, own, met, levels, y, first, top, 2.0, True, sums, moved)
    if p == 2.0:
        return _walk(x, own, met, levels, y, first, top, 2.0, False, sums, moved)
    if p == 1.0:
        return _walk(x, own, met, levels, y, first, top, 1.0, moved.shape[0] > 0, sums, moved)
    return _walk(x, own, met, levels, y, first, top, p, moved.shape[0] > 0, sums, moved)


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
def _slopes(x, met, y, first, p, slopes):
    """Slopes by level (eq. 4), to be mended."""
    for k in range(slopes.shape[0]):
        facing = y[np.uint64(met[k]) - first]
        here, _ = _cost(x[k] - facing, p)
        there, _ = _cost(x[k + 1] - facing, p)
        slopes[k] = here - there


@njit
def _sum_again(slopes, levels, top, sums):
    """Sums of mended slopes from each level up, and the sum of slope * level."""
    total, offset = 0.0, 0.0
    for k in range(top - 1, -1, -1):
        total += slopes[k]
        offset += slopes[k] * levels[k]
        sums[k] = total
    return offset


@njit
def _weight_gradient(sums, offset, mass, d_weights):
    """(sum of the slopes of this level and all above - offset) / mass (eq. 5)."""
    scale = 1.0 / mass
    for k in range(d_weights.shape[0]):
        d_weights[k] = (sums[k] - offset) * scale


@njit
def _position_gradient(moved, other, met, first, d_positions):
    """The own step of a position, and the other side's steps since the level before (eq. 6)."""
    last = other[0]
    for k in range(d_positions.shape[0]):
        here = other[np.uint64(met[k]) - first]
        d_positions[k] = (moved[k] - moved[k + 1]) + (here - last)
        last = here


@njit
def _below_one(levels):
    """How many of a side's levels are below 1."""
    count = levels.shape[0] - 2
    while count > 0 and levels[count] == 1.0:
        count -= 1
    return count


@njit
def _row(x, y, levels, met, start, p, cutoff, u_mass, v_mass, work, d_u, d_v, d_x, d_y):
    """Value and gradients of the row whose merged levels begin at `start`."""
    n, m = d_u.shape[0], d_v.shape[0]
    middle = start + n + 2
    U, V = levels[start:middle], levels[middle : middle + m + 2]
    u_met, v_met = met[start + 1 : start + n + 1], met[middle + 1 : middle + m + 1]
    u_first, v_first = np.uint64(start + 1), np.uint64(middle + 1)
    u_sums, v_sums = work[0, :n], work[1, :m]
    moves = min(d_x.shape[0], 1)
    u_moved, v_moved = work[2, : moves * (n + 1)], work[3, : moves * (m + 1)]
    below = _below_one(V)
    top = below if cutoff else m  # beyond the quantile 1 the second side does not count
    value, u_offset, _ = _side(x, U, u_met, levels, y, v_first, n, p, u_sums, u_moved)
    v_value, v_offset, ties = _side(y, V, v_met, levels, x, u_first, top, p, v_sums, v_moved)
    if d_x.shape[0] > 0:
        _position_gradient(u_moved, v_moved, u_met, v_first, d_x)
        _position_gradient(v_moved, u_moved, v_met, u_first, d_y)
    zeros = 0  # levels of V that only equal the 0 before U's first level
    while U[1] > 0.0 and zeros < top and V[zeros + 1] == 0.0:
        zeros += 1
    # at the level 1 all is tied, which matters only if both sides reach it early
    if ties > top - below + zeros or (below < m - 1 and _below_one(U) < n - 1):
        u_slopes, v_slopes = work[2, :n], work[3, :m]
        _slopes(x, u_met, y, v_first, p, u_slopes)
        _slopes(y, v_met, x, u_first, p, v_slopes)
        _mend_ties(x, y, U[1:], V[1:], u_slopes, v_slopes, p)
        u_offset = _sum_again(u_slopes, U[1:], n, u_sums)
        v_offset = _sum_again(v_slopes, V[1:], top, v_sums)
    if cutoff:
        u_offset += v_offset
        v_offset = 0.0
    _weight_gradient(u_sums, u_offset, u_mass, d_u)
    _weight_gradient(v_sums, v_offset, v_mass, d_v)
    return value + v_value


@njit
def _four_levels(u_weights, v_weights, r, cutoff, mass_floor, levels):
    """Levels of rows r to r + 3, or of the last one instead; their masses, as of _levels."""
    R, n = u_weights.shape
    a, b, c, d = r, min(r + 1, R - 1), min(r + 2, R - 1), min(r + 3, R - 1)
    size = n + v_weights.shape[1] + 4
    _running_sums(u_weights, (a, b, c, d), levels, 1, size)
    _running_sums(v_weights, (a, b, c, d), levels, n + 3, size)
    L0, L1 = levels[:size], levels[size : 2 * size]
    L2, L3 = levels[2 * size : 3 * size], levels[3 * size :]
    return (
        _levels(u_weights[a], v_weights[a], cutoff, mass_floor, L0),
        _levels(u_weights[b], v_weights[b], cutoff, mass_floor, L1),
        _levels(u_weights[c], v_weights[c], cutoff, mass_floor, L2),
        _levels(u_weights[d], v_weights[d], cutoff, mass_floor, L3),
    )


@njit
def _gap_slopes(U, V, gaps, cutoff, u_sums, v_sums):
    """Value (eq. 2a) and slopes by the levels below each gap (eq. 4a), summed from the top.

    Also the sums of slope * level of both sides (eq. 5).
    """
    value, u_offset, v_offset, u_sum, v_sum = 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(gaps.shape[0] - 1, -1, -1):
        u, v, gap = U[k], V[k], gaps[k]
        slope = gap * (np.float64(u > v) - np.float64(u < v))
        v_slope = 0.0 if cutoff and v >= 1.0 else -slope
        value += gap * abs(u - v)
        u_offset += slope * u
        v_offset += v_slope * v
        u_sum += slope
        v_sum += v_slope
        u_sums[k] = u_sum
        v_sums[k] = v_sum
    return value, u_offset, v_offset


@njit(parallel=True, cache=True, nogil=True)
def wasserstein_1_on_one_grid(
    u_weights, v_weights, gaps, cutoff, mass_floor, levels, work, value, d_u, d_v
):  # fmt: skip
    """wasserstein_1d_forward for p = 1 and both sides at the same places: no merge, no positions.

    gaps (n-1,); scratch: levels (P,4(2n+4)), work (P,2,n).
    """
    R, n = u_weights.shape
    fours, parts = (R + 3) // 4, levels.shape[0]
    for part in prange(parts):
        L, u_sums, v_sums = levels[part], work[part, 0], work[part, 1]
        u_sums[n - 1] = 0.0
        v_sums[n - 1] = 0.0
        for four in range(part * fours // parts, (part + 1) * fours // parts):
            masses = _four_levels(u_weights, v_weights, 4 * four, cutoff, mass_floor, L)
            for k in range(min(4, R - 4 * four)):
                r, start = 4 * four + k, k * (2 * n + 4)
                u_mass, v_mass, counts = masses[k]
                if counts:
                    U, V = L[start + 1 : start + n], L[start + n + 3 : start + 2 * n + 2]
                    value[r], u_off, v_off = _gap_slopes(U, V, gaps, cutoff, u_sums, v_sums)
                    if cutoff:
                        u_off, v_off = u_off + v_off, 0.0
                    _weight_gradient(u_sums, u_off, u_mass, d_u[r])
                    _weight_gradient(v_sums, v_off, v_mass, d_v[r])
                else:
                    value[r] = 0.0 * (u_mass + v_mass)  # NaN if not valid
                    d_u[r] = 0.0
                    d_v[r] = 0.0


@njit(parallel=True, cache=True, nogil=True)
def wasserstein_1d_forward(
    u_weights, v_weights, u_positions, v_positions, p, cutoff, mass_floor, levels, met, work,
    value, d_u, d_v, d_x, d_y,
):  # fmt: skip
    """Value of each row and its gradients (eqs. 1-6).

    Scratch: levels and met (P,4(n+m+4)), met uint32; work (P,4,max(n,m)+1). value (R,), NaN
    where a weight is negative, NaN or infinite; d_u, d_v with respect to the weights; d_x, d_y
    to the positions, skipped if without rows. Rows go in fours.
    """
    R, n = u_weights.shape
    m = v_weights.shape[1]
    flat_x, flat_y = d_x.reshape(-1), d_y.reshape(-1)  # rows of these may be empty
    fours, parts = (R + 3) // 4, levels.shape[0]
    for part in prange(parts):
        L, M = levels[part], met[part]
        for four in range(part * fours // parts, (part + 1) * fours // parts):
            masses = _four_levels(u_weights, v_weights, 4 * four, cutoff, mass_floor, L)
            _merge(L, M, n, m)
            for k in range(min(4, R - 4 * four)):
                r = 4 * four + k
                x = u_positions[r % u_positions.shape[0]]
                y = v_positions[r % v_positions.shape[0]]
                row_x, row_y = flat_x[r * n : (r + 1) * n], flat_y[r * m : (r + 1) * m]
                u_mass, v_mass, counts = masses[k]
                if counts:
                    value[r] = _row(
                        x, y, L, M, k * (n + m + 4), p, cutoff, u_mass, v_mass, work[part],
                        d_u[r], d_v[r], row_x, row_y,
                    )  # fmt: skip
                else:
                    value[r] = 0.0 * (u_mass + v_mass)  # NaN if not valid
                    d_u[r] = 0.0
                    d_v[r] = 0.0
                    row_x[:] = 0.0
                    row_y[:] = 0.0


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


@njit(parallel=True, cache=True, nogil=True)
def charge_silence(u_weights, v_weights, mass_floor, cost, values):
    """Rows without value of which only the second side has no mass cost this much."""
    for r in prange(len(values)):
        if values[r] == 0.0:
            u_mass, v_mass = 0.0, 0.0
            for k in range(u_weights.shape[1]):
                u_mass += u_weights[r, k]
            for k in range(v_weights.shape[1]):
                v_mass += v_weights[r, k]
            values[r] = cost if u_mass > mass_floor and v_mass <= mass_floor else 0.0

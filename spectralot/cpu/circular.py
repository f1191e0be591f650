"""Transport on a circle: where to cut it (equations: docs/derivations/plans.md).

u_weights (R,n), v_weights (R,m); u_positions (1 or R,n), v_positions (1 or R,m), float64,
ascending, within 0 and the period. Cut open at the right place, the circle is a line.
"""

import math

from numba import njit, prange

SMALLEST = 1e-300  # a mass below has no finite reciprocal, or nearly so: silence
CLOSE = 1e-15  # ties no farther apart differ by rounding only


@njit(forceinline=True)
def _cost(d, p):
    """|d|^p."""
    if p == 2.0:
        return d * d
    return abs(d) if p == 1.0 else abs(d) ** p


@njit
def _levels(weights, levels):
    """Quantile levels of one row, the last exactly 1; whether there is mass."""
    total = 0.0
    for k in range(weights.shape[0]):
        total += weights[k]
        levels[k] = total
    if not SMALLEST < total < math.inf:
        return False
    for k in range(levels.shape[0]):
        levels[k] = min(levels[k] / total, 1.0)
    levels[levels.shape[0] - 1] = 1.0
    return True


@njit(forceinline=True)
def _walk(U, V, x, y, period, p, shift, upper):
    """Slope of the cost as all levels of v rise by `shift` (eq. 10), and the ties next to it.

    At a tie: the slope above it (`upper`) or below. A tie: how far it is from `shift`, the points
    of u and of v that end there, and in which turn of the circle the one of u lies.
    """
    n, m = U.shape[0], V.shape[0]
    at = V[0] + shift
    turn = math.floor(at) if upper else math.ceil(at) - 1
    i, level, here = 0, U[0] + turn, x[0] + turn * period
    passed, i_passed, turn_passed = turn + 0.0, n - 1, turn - 1
    slope, below, above = 0.0, (math.inf, n, m, turn), (math.inf, n, m, turn)
    for j in range(m):
        at = V[j] + shift
        while level < at or (upper and level == at):
            passed, i_passed, turn_passed = level, i, turn
            i += 1
            if i == n:
                i = 0
                turn += 1
            level, here = U[i] + turn, x[i] + turn * period
        following = y[j + 1] if j + 1 < m else y[0] + period
        slope += _cost(here - y[j], p) - _cost(here - following, p)
        if at - passed < below[0]:
            below = (at - passed, i_passed, j, turn_passed)
        if level - at < above[0]:
            above = (level - at, i, j, turn)
    return slope, below, above


@njit
def _slope(U, V, x, y, period, p, shift, upper):
    """_walk with p as a constant: else the compiler takes powers where none are needed."""
    if p == 1.0:
        return _walk(U, V, x, y, period, 1.0, shift, upper)
    if p == 2.0:
        return _walk(U, V, x, y, period, 2.0, shift, upper)
    return _walk(U, V, x, y, period, p, shift, upper)


@njit
def _between(low, high, low_slope, high_slope, step):
    """The middle, or every other time where a straight line through both slopes is 0."""
    middle = 0.5 * (low + high)
    rise = high_slope - low_slope
    if step % 2 == 1 or not 0.0 < rise < math.inf:
        return middle
    secant = low - low_slope * ((high - low) / rise)
    return secant if low < secant < high else middle


@njit
def _best_cut(U, V, x, y, period, p):
    """The tie after which both sides are cut: where the slope turns from falling to rising
    (eq. 11). The ends of both sides, which leaves all as it is, if that is a best one."""
    best = (0.0, U.shape[0] - 1, V.shape[0] - 1, 0)
    slope, _, above = _slope(U, V, x, y, period, p, 0.0, True)
    low, high, low_slope, high_slope = -1.0, 1.0, -math.inf, math.inf
    if slope < 0.0:
        low, low_slope, tie = above[0], slope, above
    else:
        slope, below, _ = _slope(U, V, x, y, period, p, 0.0, False)
        if slope <= 0.0:
            return best
        high, high_slope, tie = -below[0], slope, below
    for step in range(100):  # some ten are enough
        shift = _between(low, high, low_slope, high_slope, step)
        if high - low < CLOSE or not low < shift < high:
            break
        slope, below, above = _slope(U, V, x, y, period, p, shift, True)
        if slope < 0.0:
            low, low_slope, tie = shift + above[0], slope, above
        else:
            high, high_slope, tie = shift - below[0], slope, below
    return tie


@njit(parallel=True, cache=True, nogil=True)
def circular_cuts(u_weights, v_weights, u_positions, v_positions, period, p, levels, cuts):
    """The best cut of each row: cuts (R,3) int64, how many points of u and of v lie before it,
    and the turn of the circle in which those of u do.

    All points and turn 0, which changes nothing, for a row without mass.
    Scratch: levels (R,n+m).
    """
    R, n = u_weights.shape
    for r in prange(R):
        U, V, cut = levels[r, :n], levels[r, n:], cuts[r]
        x, y = u_positions[r % u_positions.shape[0]], v_positions[r % v_positions.shape[0]]
        cut[0], cut[1], cut[2] = n, V.shape[0], 0
        u_counts, v_counts = _levels(u_weights[r], U), _levels(v_weights[r], V)
        if u_counts and v_counts:
            tie = _best_cut(U, V, x, y, period, p)
            cut[0], cut[1], cut[2] = tie[1] + 1, tie[2] + 1, tie[3]

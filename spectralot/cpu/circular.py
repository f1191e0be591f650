"""Transport on a circle: where to cut it (equations: docs/derivations/plans.md).

u_weights (R,n), v_weights (R,m); u_positions (1 or R,n), v_positions (1 or R,m), float64,
ascending, within 0 and the period. Cut open at the right place, the circle is a line.
"""

import math

from numba import prange

from . import njit

SMALLEST = 1e-300  # a mass below has no finite reciprocal, or nearly so: silence
CLOSE = 1e-15  # ties no farther apart differ by rounding only
TIE = 2e-14  # so do levels, sums of a thousand weights
LIGHT = 5e-14  # share of the mass below which a point hardly has a level of its own


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


@njit
def _heavy(weights, positions, period, points, levels, places):
    """The points that count, their levels and places; behind them the first, one turn further.

    Also how many there are, and the mass.
    """
    mass, sums, count = 0.0, 0.0, 0
    for k in range(weights.shape[0]):
        mass += weights[k]
    for k in range(weights.shape[0]):
        if weights[k] > LIGHT * mass:
            sums += weights[k]
            points[count] = k
            levels[count] = sums
            places[count] = positions[k]
            count += 1
    for k in range(count):
        levels[k] /= sums
    places[count] = places[0] + period
    return count, mass


@njit
def _steps(U, V, x, y, p, u_slopes, v_slopes):
    """Slopes by level (eq. 10) along the line: rows 0 and 1 with ties as if v came after u, and
    before u. The levels end with the tie of the cut. Sums of the slopes of v."""
    n, m = U.shape[0], V.shape[0]
    i, j, after, before = 0, 0, 0.0, 0.0
    while i < n or j < m:
        apart = 0.0 if i == n - 1 and j == m - 1 else U[min(i, n - 1)] - V[min(j, m - 1)]
        u_steps = j == m or (i < n and apart <= TIE)
        v_steps = i == n or (j < m and apart >= -TIE)
        here = _cost(x[i] - y[j], p)
        x_next, y_next = x[min(i + 1, n)], y[min(j + 1, m)]
        up, along = _cost(x_next - y[j], p), _cost(x[i] - y_next, p)
        both = _cost(x_next - y_next, p)
        if u_steps:
            u_slopes[0, i] = here - up
            u_slopes[1, i] = along - both if v_steps else here - up
        if v_steps:
            v_slopes[0, j] = up - both if u_steps else here - along
            v_slopes[1, j] = here - along
            after += v_slopes[0, j]
            before += v_slopes[1, j]
        i += u_steps
        j += v_steps
    return after, before


@njit
def _potential(slopes, share, points, count, weights, potential):
    """Potential of the points that count, of weighted mean 0 (eq. 13); slopes (2,n)."""
    height, mean, sums = 0.0, 0.0, 0.0
    for c in range(count):
        k = points[c]
        potential[c] = height
        mean += weights[k] * height
        sums += weights[k]
        height -= share * slopes[0, c] + (1.0 - share) * slopes[1, c]
    for c in range(count):
        potential[c] -= mean / sums


@njit
def _gradient(weights, x, mass, levels, points, f, V, y, g, period, p, value, d_weights):
    """Potentials by mass; a light point's is the highest that both its neighbours on the other
    side allow, if its level is a tie, or the one it faces (eq. 14)."""
    m, c, j, level = V.shape[0], 0, 0, 0.0
    for k in range(weights.shape[0]):
        if c < levels.shape[0] and points[c] == k:
            d_weights[k] = f[c] / mass
            level = levels[c]
            c += 1
            continue
        while j < m - 1 and V[j] < level - TIE:
            j += 1
        slope = _cost(x[k] - y[j], p) - g[j]
        if level <= TIE:
            slope = min(slope, _cost(x[k] + period - y[m - 1], p) - g[m - 1])
        if V[j] <= level + TIE:
            slope = min(slope, _cost(x[k] - y[j + 1], p) - g[(j + 1) % m])
        d_weights[k] = (slope - value) / mass


@njit(parallel=True, cache=True, nogil=True)
def circular_potentials(
    u_weights, v_weights, u_positions, v_positions, period, p, value, points, work, slopes,
    d_u, d_v,
):  # fmt: skip
    """Gradients with respect to the weights (R,n), (R,m) of rows cut open; positions alike.

    value (R,): where it is 0, so is the gradient, as that is the least there is.
    Scratch, N = max(n, m) + 1: points (P,2,N) int64, work (P,6,N), slopes (P,2,2,N).
    """
    R, P = value.shape[0], points.shape[0]
    for part in prange(P):
        u_points, v_points = points[part, 0], points[part, 1]
        U, V, x, y, f, g = work[part]
        a, b = slopes[part, 0], slopes[part, 1]
        for r in range(part * R // P, (part + 1) * R // P):
            u, v, u_x, v_x = u_weights[r], v_weights[r], u_positions[r], v_positions[r]
            if value[r] == 0.0:
                d_u[r] = 0.0
                d_v[r] = 0.0
                continue
            n, u_mass = _heavy(u, u_x, period, u_points, U, x)
            m, v_mass = _heavy(v, v_x, period, v_points, V, y)
            after, before = _steps(U[:n], V[:m], x, y, p, a, b)
            share = -before / (after - before) if after > before else 0.5
            share = min(max(share, 0.0), 1.0)
            _potential(a, share, u_points, n, u, f)
            _potential(b, share, v_points, m, v, g)
            _gradient(u, u_x, u_mass, U[:n], u_points, f, V[:m], y, g, period, p, value[r], d_u[r])
            _gradient(v, v_x, v_mass, V[:m], v_points, g, U[:n], x, f, period, p, value[r], d_v[r])

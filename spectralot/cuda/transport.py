"""1-D optimal transport on the device: one block a row, each thread a stretch of its levels.

Equations: docs/derivations/transport.md; names and parameters are those of cpu/transport.py.
Running sums, levels and costs are float64. Scratch: levels (R,n+m+4), met (R,n+m+4) uint32, work
(R,4,max(n,m)+1). Each level finds its place among the other side's by bisection; sums of slopes
are scans over the block. All sums have one order, so results are the same from run to run.
"""

import math

from numba import cuda, float64

from ..cpu.transport import SMALLEST, _cost
from .arrays import launch, spread

THREADS = 128
SUMS = THREADS + 1


@cuda.jit(device=True)
def _stretch(n):
    """This thread's part of n numbers."""
    i = cuda.threadIdx.x
    return n * i // THREADS, n * (i + 1) // THREADS


@cuda.jit(device=True)
def _total(value, sums):
    """Sum of `value` over the block."""
    i = cuda.threadIdx.x
    cuda.syncthreads()
    sums[i] = value
    apart = THREADS // 2
    while apart > 0:
        cuda.syncthreads()
        if i < apart:
            sums[i] += sums[i + apart]
        apart //= 2
    cuda.syncthreads()
    return sums[0]


@cuda.jit(device=True)
def _above(value, sums):
    """Sum of `value` over the threads after this one."""
    i = THREADS - 1 - cuda.threadIdx.x
    cuda.syncthreads()
    sums[i] = value
    apart = 1
    while apart < THREADS:
        cuda.syncthreads()
        more = sums[i - apart] if i >= apart else 0.0
        cuda.syncthreads()
        sums[i] += more
        apart *= 2
    cuda.syncthreads()
    return sums[i - 1] if i > 0 else 0.0


@cuda.jit(device=True)
def _running_sums(weights, sums, levels):
    """Running sums, never falling; the total, NaN if a weight is negative, NaN or infinite.

    Sums of stretches are added one after the other: in a tree they might fall by a rounding.
    """
    i, (first, last) = cuda.threadIdx.x, _stretch(weights.shape[0])
    total, bad = 0.0, 0.0
    for k in range(first, last):
        w = float64(weights[k])
        total += w
        if not 0.0 <= w < math.inf:
            bad = 1.0
    bad = _total(bad, sums)
    cuda.syncthreads()
    sums[i + 1] = total
    cuda.syncthreads()
    if i == 0:
        sums[0] = 0.0
        for k in range(THREADS):
            sums[k + 1] += sums[k]
    cuda.syncthreads()
    running = sums[i]
    for k in range(first, last):
        running = min(running + float64(weights[k]), sums[i + 1])
        levels[k + 1] = running
    total = sums[THREADS]
    return total if bad == 0.0 and total < math.inf else math.nan


@cuda.jit(device=True)
def _scale(levels, mass):
    """Levels in [0, 1] between a 0 and a stop, the last at 1: missing mass stands there."""
    n = levels.shape[0] - 2
    first, last = _stretch(n)
    scale = 1.0 / mass
    for k in range(first, last):
        levels[k + 1] = min(levels[k + 1] * scale, 1.0)
    cuda.syncthreads()
    if cuda.threadIdx.x == 0:
        levels[0], levels[n], levels[n + 1] = 0.0, 1.0, 2.0


@cuda.jit(device=True)
def _levels(u_weights, v_weights, cutoff, mass_floor, sums, levels):
    """Levels of both sides of a row, U's n + 2 then V's m + 2; the masses; whether it counts."""
    n = u_weights.shape[0]
    U, V = levels[: n + 2], levels[n + 2 :]
    u_mass = _running_sums(u_weights, sums, U)
    v_mass = _running_sums(v_weights, sums, V)
    valid = u_mass + v_mass >= 0.0
    if cutoff:
        v_mass = u_mass
    floor = max(mass_floor, SMALLEST)
    counts = valid and u_mass > floor and v_mass > floor
    if counts:
        _scale(U, u_mass)
        _scale(V, v_mass)
        cuda.syncthreads()
    else:
        u_mass = v_mass = 1.0 if valid else math.nan
    return u_mass, v_mass, counts


@cuda.jit(device=True)
def _bisect(levels, level, passed):
    """Index of the first level that is higher, or, unless `passed`, as high; 1 at least."""
    low, high = 1, levels.shape[0] - 1  # the stop is higher than any
    while low < high:
        middle = (low + high) // 2
        if levels[middle] < level or (passed and levels[middle] == level):
            low = middle + 1
        else:
            high = middle
    return low


@cuda.jit(device=True)
def _slope(x, y, k, at, own, other, level, first, p):
    """Slope by a level (eq. 4), and at a tie the mean of the one-sided derivatives.

    Ties meet in pairs, first with first. What is left over of the first side comes after all of
    the other's, what is left over of the second after all of the first's.
    """
    tied = other[at] == level if first else other[at - 1] == level and at > 1
    j = at - 1
    if tied:
        lowest, highest = _bisect(other, level, False), _bisect(other, level, True)
        j = lowest - 1 + (k + 1) - _bisect(own, level, False)
        if j < highest - 1:
            low, _ = _cost(x[k] - y[j], p)
            high, _ = _cost(x[k] - y[j + 1], p)
            low_next, _ = _cost(x[k + 1] - y[j], p)
            high_next, _ = _cost(x[k + 1] - y[j + 1], p)
            return 0.5 * (low - low_next + high - high_next)
        j = highest - 1
    here, _ = _cost(x[k] - y[j], p)
    there, _ = _cost(x[k + 1] - y[j], p)
    return here - there


@cuda.jit(device=True)
def _side(x, own, other, y, first, top, p, sums, met, slopes, moved):
    """One side's steps: value (eq. 2) and sum of slope * level.

    slopes: sums of the slopes by level (eq. 4) from each level up; moved: so of the widths times
    the slopes of the cost (eq. 6), if it has room.
    """
    begin, end = _stretch(slopes.shape[0])
    moves = moved.shape[0] > 0
    value, offset, slope_sum, shift_sum = 0.0, 0.0, 0.0, 0.0
    for k in range(begin, end):
        slope, shift = 0.0, 0.0
        at = _bisect(other, own[k + 1], not first)
        if k < top:
            level, facing = own[k + 1], y[at - 1]
            here, tilt = _cost(x[k] - facing, p)
            width = level - max(own[k], other[at - 1])
            value += width * here
            slope, shift = _slope(x, y, k, at, own, other, level, first, p), width * tilt
            offset += slope * level
        met[k], slopes[k] = at, slope
        if moves:
            moved[k] = shift
        slope_sum += slope
        shift_sum += shift
    slope_sum = _above(slope_sum, sums)
    shift_sum = _above(shift_sum, sums)
    for k in range(end - 1, begin - 1, -1):
        slope_sum += slopes[k]
        slopes[k] = slope_sum
        if moves:
            shift_sum += moved[k]
            moved[k] = shift_sum
    if moves and cuda.threadIdx.x == 0:
        moved[slopes.shape[0]] = 0.0
    return _total(value, sums), _total(offset, sums)


@cuda.jit(device=True)
def _weight_gradient(sums, offset, mass, d_weights):
    """(sum of the slopes of this level and all above - offset) / mass (eq. 5)."""
    first, last = _stretch(d_weights.shape[0])
    for k in range(first, last):
        d_weights[k] = (sums[k] - offset) / mass


@cuda.jit(device=True)
def _position_gradient(moved, other, met, d_positions):
    """The own step of a position, and the other side's steps since the level before (eq. 6)."""
    first, last = _stretch(d_positions.shape[0])
    for k in range(first, last):
        before = other[met[k - 1] - 1] if k > 0 else other[0]
        d_positions[k] = (moved[k] - moved[k + 1]) + (other[met[k] - 1] - before)


@cuda.jit(device=True)
def _fill(array, value):
    first, last = _stretch(array.shape[0])
    for k in range(first, last):
        array[k] = value


@cuda.jit
def _forward(
    u_weights, v_weights, u_positions, v_positions, p, cutoff, mass_floor, levels, met, work,
    value, d_u, d_v, d_x, d_y,
):  # fmt: skip
    sums = cuda.shared.array(SUMS, float64)
    r, n, m = cuda.blockIdx.x, u_weights.shape[1], v_weights.shape[1]
    u_mass, v_mass, counts = _levels(
        u_weights[r], v_weights[r], cutoff, mass_floor, sums, levels[r]
    )
    moves = min(d_x.shape[0], 1)
    if not counts:
        if cuda.threadIdx.x == 0:
            value[r] = 0.0 * (u_mass + v_mass)  # NaN if not valid
        _fill(d_u[r], 0.0)
        _fill(d_v[r], 0.0)
        if moves:
            _fill(d_x[r], 0.0)
            _fill(d_y[r], 0.0)
        return
    U, V = levels[r, : n + 2], levels[r, n + 2 :]
    x, y = u_positions[r % u_positions.shape[0]], v_positions[r % v_positions.shape[0]]
    u_met, v_met = met[r, :n], met[r, n : n + m]
    u_sums, v_sums = work[r, 0, :n], work[r, 1, :m]
    u_moved, v_moved = work[r, 2, : moves * (n + 1)], work[r, 3, : moves * (m + 1)]
    # beyond the quantile 1 the second side does not count
    top = _bisect(V, 1.0, False) - 1 if cutoff else m
    u_value, u_offset = _side(x, U, V, y, True, n, p, sums, u_met, u_sums, u_moved)
    v_value, v_offset = _side(y, V, U, x, False, top, p, sums, v_met, v_sums, v_moved)
    cuda.syncthreads()
    if moves:
        _position_gradient(u_moved, v_moved, u_met, d_x[r])
        _position_gradient(v_moved, u_moved, v_met, d_y[r])
    if cutoff:
        u_offset, v_offset = u_offset + v_offset, 0.0
    _weight_gradient(u_sums, u_offset, u_mass, d_u[r])
    _weight_gradient(v_sums, v_offset, v_mass, d_v[r])
    if cuda.threadIdx.x == 0:
        value[r] = u_value + v_value


@cuda.jit
def _on_one_grid(u_weights, v_weights, gaps, cutoff, mass_floor, levels, value, d_u, d_v):
    sums = cuda.shared.array(SUMS, float64)
    r, n = cuda.blockIdx.x, u_weights.shape[1]
    u_mass, v_mass, counts = _levels(
        u_weights[r], v_weights[r], cutoff, mass_floor, sums, levels[r]
    )
    if not counts:
        if cuda.threadIdx.x == 0:
            value[r] = 0.0 * (u_mass + v_mass)  # NaN if not valid
        _fill(d_u[r], 0.0)
        _fill(d_v[r], 0.0)
        return
    U, V = levels[r, 1 : n + 1], levels[r, n + 3 : 2 * n + 3]
    first, last = _stretch(n)
    cost, u_offset, v_offset, u_sum, v_sum = 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(first, min(last, n - 1)):
        u_slope, v_slope = _gap_slopes(U[k], V[k], gaps[k], cutoff)
        cost += gaps[k] * abs(U[k] - V[k])
        u_offset += u_slope * U[k]
        v_offset += v_slope * V[k]
        u_sum += u_slope
        v_sum += v_slope
    cost = _total(cost, sums)
    u_offset, v_offset = _total(u_offset, sums), _total(v_offset, sums)
    u_sum, v_sum = _above(u_sum, sums), _above(v_sum, sums)
    if cutoff:
        u_offset, v_offset = u_offset + v_offset, 0.0
    for k in range(last - 1, first - 1, -1):
        if k < n - 1:
            u_slope, v_slope = _gap_slopes(U[k], V[k], gaps[k], cutoff)
            u_sum += u_slope
            v_sum += v_slope
        d_u[r, k] = (u_sum - u_offset) / u_mass
        d_v[r, k] = (v_sum - v_offset) / v_mass
    if cuda.threadIdx.x == 0:
        value[r] = cost


@cuda.jit(device=True)
def _gap_slopes(u, v, gap, cutoff):
    """Slopes by the levels below a gap (eq. 4a)."""
    slope = gap if u > v else (-gap if u < v else 0.0)
    return slope, (0.0 if cutoff and v >= 1.0 else -slope)


@cuda.jit
def _backward(d_value, unit, gradient):
    i = cuda.grid(1)
    G, n = gradient.shape
    if i < G * n:
        g, k, R = i // n, i % n, unit.shape[0]
        first, last = g * R // G, (g + 1) * R // G
        total = d_value[first] * unit[first, k]
        for r in range(first + 1, last):
            total += d_value[r] * unit[r, k]
        gradient[g, k] = total


@cuda.jit
def _charge_silence(u_weights, v_weights, mass_floor, cost, values):
    r = cuda.grid(1)
    if r < values.shape[0] and values[r] == 0.0:
        u_mass, v_mass = 0.0, 0.0
        for k in range(u_weights.shape[1]):
            u_mass += float64(u_weights[r, k])
        for k in range(v_weights.shape[1]):
            v_mass += float64(v_weights[r, k])
        values[r] = cost if u_mass > mass_floor and v_mass <= mass_floor else 0.0


def wasserstein_1_on_one_grid(
    u_weights, v_weights, gaps, cutoff, mass_floor, levels, work, value, d_u, d_v
):  # fmt: skip
    """wasserstein_1d_forward for p = 1 and both sides at the same places: no merge."""
    _on_one_grid[launch(len(u_weights), THREADS)](
        u_weights, v_weights, gaps, cutoff, mass_floor, levels, value, d_u, d_v
    )


def wasserstein_1d_forward(
    u_weights, v_weights, u_positions, v_positions, p, cutoff, mass_floor, levels, met, work,
    value, d_u, d_v, d_x, d_y,
):  # fmt: skip
    """Value of each row and its gradients (eqs. 1-6), as in cpu/transport.py."""
    _forward[launch(len(u_weights), THREADS)](
        u_weights, v_weights, u_positions, v_positions, float(p), cutoff, mass_floor, levels, met,
        work, value, d_u, d_v, d_x, d_y,
    )  # fmt: skip


def wasserstein_1d_backward(d_value, unit, gradient):
    """Sums of d_value times unit gradients over stretches of rows (eq. 7)."""
    _backward[spread(gradient.size, THREADS)](d_value, unit, gradient)


def charge_silence(u_weights, v_weights, mass_floor, cost, values):
    """Rows without value of which only the second side has no mass cost this much."""
    _charge_silence[spread(len(values), THREADS)](u_weights, v_weights, mass_floor, cost, values)

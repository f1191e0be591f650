"""1-D optimal transport on the device: one block a row, each thread a stretch of its levels.

Equations: docs/derivations/transport.md; names and parameters are those of cpu/transport.py.
Running sums, levels and costs are float64. Scratch: levels (R,n+m+4), met (R,n+m+4) uint32, work
(R,4,max(n,m)+1). Each level finds its place among the other side's by bisection; running sums and
sums of slopes are scans over the block, in one order: results are the same from run to run.
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
def _scan(value, i, sums):
    """Sums of the values of threads 0 to `i`, in sums[i + 1]; sums[0] is 0.

    In blocks ever twice as long, the upper half takes the lower half's sum. So sums of values that
    are not negative never fall by a rounding, and stay as they are where a value is 0.
    """
    cuda.syncthreads()
    sums[0], sums[i + 1] = 0.0, value
    apart = 1
    while apart < cuda.blockDim.x:  # THREADS, but unknown to the compiler, which would unroll it
        cuda.syncthreads()
        if i & apart:
            sums[i + 1] += sums[i // apart * apart]
        apart *= 2
    cuda.syncthreads()


@cuda.jit(device=True)
def _total(value, sums):
    """Sum of `value` over the block."""
    _scan(value, cuda.threadIdx.x, sums)
    return sums[THREADS]


@cuda.jit(device=True)
def _above(value, sums):
    """Sum of `value` over the threads after this one."""
    i = THREADS - 1 - cuda.threadIdx.x
    _scan(value, i, sums)
    return sums[i]


@cuda.jit(device=True)
def _running_sums(weights, sums, levels):
    """Running sums, never falling; the total, NaN if a weight is negative, NaN or infinite.

    From its last weight above 0 on, a stretch has the sum that the next begins with, to the bit:
    levels without weight between them are tied.
    """
    i, (first, last) = cuda.threadIdx.x, _stretch(weights.shape[0])
    total = 0.0
    for k in range(first, last):
        w = float64(weights[k])
        total += w if 0.0 <= w < math.inf else math.nan
    _scan(total, i, sums)
    running = 0.0
    for k in range(first, last):
        running += float64(weights[k])
        levels[k + 1] = min(sums[i] + running, sums[i + 1]) if running < total else sums[i + 1]
    total = sums[THREADS]
    return total if total < math.inf else math.nan


@cuda.jit(device=True)
def _scale(levels, mass):
    """Levels in [0, 1] between a 0 and a stop, the last at 1: missing mass stands there.

    Sums of all the mass are 1 too, which times its reciprocal they need not be.
    """
    n = levels.shape[0] - 2
    first, last = _stretch(n)
    scale = 1.0 / mass
    for k in range(first, last):
        levels[k + 1] = levels[k + 1] * scale if levels[k + 1] < mass else 1.0
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
def _bisect(levels, level, passed, low, high):
    """Index in [low, high] of the first level that is higher, or, unless `passed`, as high."""
    while low < high:
        middle = (low + high) // 2
        if levels[middle] < level or (passed and levels[middle] == level):
            low = middle + 1
        else:
            high = middle
    return low


@cuda.jit(device=True)
def _place(levels, level, passed):
    """_bisect from 1 to the stop, which is higher than any level."""
    return _bisect(levels, level, passed, 1, levels.shape[0] - 1)


@cuda.jit(device=True)
def _slope_at_tie(x, y, k, at, own, other, level, first, p):
    """Mean of the one-sided derivatives by a level that the other side has too (eq. 4).

    Ties meet in pairs, first with first. What is left over of the first side comes after all of
    the other's, what is left over of the second after all of the first's.
    """
    edge = _place(other, level, first)  # `at` is the other end of the other side's ties
    last = max(at, edge) - 1
    j = min(min(at, edge) + k - _place(own, level, False), last)
    last = min(j + 1, last)
    c00, _ = _cost(x[k] - y[j], p)
    c01, _ = _cost(x[k] - y[last], p)
    c10, _ = _cost(x[k + 1] - y[j], p)
    c11, _ = _cost(x[k + 1] - y[last], p)
    return 0.5 * (c00 - c10 + c01 - c11)


@cuda.jit(device=True)
def _side(x, own, other, y, first, top, p, sums, met, slopes, moved):
    """One side's steps: value (eq. 2) and sum of slope * level.

    slopes: sums of the slopes by level (eq. 4) from each level up; moved: so of the widths times
    the slopes of the cost (eq. 6), if it has room.
    """
    begin, end = _stretch(slopes.shape[0])
    moves = moved.shape[0] > 0
    value, offset, slope_sum, shift_sum = 0.0, 0.0, 0.0, 0.0
    # levels ascend, and so do their places
    at, highest = _place(other, own[begin + 1], not first), _place(other, own[end], not first)
    for k in range(begin, end):
        slope, shift = 0.0, 0.0
        at = _bisect(other, own[k + 1], not first, at, highest)
        if k < top:
            level, facing = own[k + 1], y[at - 1]
            here, tilt = _cost(x[k] - facing, p)
            there, _ = _cost(x[k + 1] - facing, p)
            width = level - max(own[k], other[at - 1])
            value += width * here
            slope, shift = here - there, width * tilt
            if other[at] == level if first else other[at - 1] == level and at > 1:
                slope = _slope_at_tie(x, y, k, at, own, other, level, first, p)
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
    scale = 1.0 / mass
    for k in range(cuda.threadIdx.x, d_weights.shape[0], THREADS):
        d_weights[k] = (sums[k] - offset) * scale


@cuda.jit(device=True)
def _position_gradient(moved, other, met, d_positions):
    """The own step of a position, and the other side's steps since the level before (eq. 6)."""
    for k in range(cuda.threadIdx.x, d_positions.shape[0], THREADS):
        before = other[met[k - 1] - 1] if k > 0 else other[0]
        d_positions[k] = (moved[k] - moved[k + 1]) + (other[met[k] - 1] - before)


@cuda.jit(device=True)
def _fill(array, value):
    for k in range(cuda.threadIdx.x, array.shape[0], THREADS):
        array[k] = value


def _forward(power):
    """The kernel for this p, or, if 0, for any: the cost of a known one is a few instructions."""

    @cuda.jit
    def forward(
        u_weights, v_weights, u_positions, v_positions, p, cutoff, mass_floor, levels, met, work,
        value, d_u, d_v, d_x, d_y,
    ):  # fmt: skip
        p = power or p
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
        # the row's own positions, or all rows'
        x = u_positions[min(r, u_positions.shape[0] - 1)]
        y = v_positions[min(r, v_positions.shape[0] - 1)]
        # each side's arrays are cut out where they are used, which takes fewer registers
        u_met, u_sums, u_moved = met[r, :n], work[r, 0, :n], work[r, 2, : moves * (n + 1)]
        u_value, u_offset = _side(x, U, V, y, True, n, p, sums, u_met, u_sums, u_moved)
        # beyond the quantile 1 the second side does not count
        top = _place(V, 1.0, False) - 1 if cutoff else m
        v_met, v_sums, v_moved = met[r, n:], work[r, 1, :m], work[r, 3, : moves * (m + 1)]
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

    return forward


_forward_1, _forward_2, _forward_p = _forward(1.0), _forward(2.0), _forward(0.0)


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
    forward = {1: _forward_1, 2: _forward_2}.get(p, _forward_p)
    forward[launch(len(u_weights), THREADS)](
        u_weights, v_weights, u_positions, v_positions, float(p), cutoff, mass_floor, levels, met,
        work, value, d_u, d_v, d_x, d_y,
    )  # fmt: skip


def wasserstein_1d_backward(d_value, unit, gradient):
    """Sums of d_value times unit gradients over stretches of rows (eq. 7)."""
    _backward[spread(gradient.size, THREADS)](d_value, unit, gradient)


def charge_silence(u_weights, v_weights, mass_floor, cost, values):
    """Rows without value of which only the second side has no mass cost this much."""
    _charge_silence[spread(len(values), THREADS)](u_weights, v_weights, mass_floor, cost, values)

"""1-D transport of unequal mass: the best potential f with |f_k - f_k+1| <= d_k, point by point.

Equations: docs/derivations/transport.md, from "Unequal masses" on. Both sides stand on one
ascending grid of N points. What the points so far gain from f has a derivative that falls with f;
two stacks hold its changes (knots) below and above the f of most gain, the nearest on top. From
point to point the two stacks move apart by the gap. A point's own gain moves the best f, and the
knots it passes change stacks.

No function is given both stacks inside a loop: Numba would count their references every time,
which takes four times as long as the rest.
"""

import math

import numpy as np
from numba import prange

from . import njit

ZERO, ONE, TWO = np.uint64(0), np.uint64(1), np.uint64(2)  # unsigned: no wrap-around to check
SIZE, GAIN_A, GAIN_B = np.uint64(5), np.uint64(3), np.uint64(4)  # of a knot, see _put
SMALLEST = 1e-300  # a mass below has no finite reciprocal, or nearly so: silence
FAINTEST = 1e-60  # of the other side's mass; what is fainter is silence to it
HIGHEST = math.exp(60.0)  # e^(2f/reach) is held between this and its reciprocal
BLOCK = math.exp(100.0)  # the scale of the knots begins anew every 100 reaches


@njit(error_model="numpy")
def _mass(weights):
    """Sum of a row; NaN if a weight is negative, NaN or infinite."""
    total, bad = 0.0, 0
    for k in range(weights.shape[0]):
        total += weights[k]
        bad |= 0 if weights[k] >= 0.0 else 1
    return total if bad == 0 and total < math.inf else math.nan


@njit(error_model="numpy")
def _place(weights, at, scale, grid):
    """Weights times scale on the grid; without indices `at` they stand there already."""
    if at.shape[0] == 0:
        for k in range(grid.shape[0]):
            grid[k] = weights[k] * scale
    else:
        grid[:] = 0.0
        for i in range(at.shape[0]):
            grid[at[i]] += weights[i] * scale


@njit(error_model="numpy")
def _fetch(grid, at, offset, scale, gradient):
    """(grid - offset) * scale at each weight."""
    if at.shape[0] == 0:
        for k in range(gradient.shape[0]):
            gradient[k] = (grid[k] - offset) * scale
    else:
        for i in range(at.shape[0]):
            gradient[i] = (grid[at[i]] - offset) * scale


@njit(error_model="numpy")
def _move(kept_u, kept_v, flow, pull_u, pull_v):
    """Slopes as all mass of one side moves at a point: mean of moving up and down (eq. 17)."""
    before = 0.0
    for k in range(flow.shape[0]):
        after = flow[k]
        both = abs(before) - abs(after)
        lean = abs(before - kept_v[k]) - abs(before + kept_u[k])
        pull_u[k] = 0.5 * (both + lean)
        pull_v[k] = 0.5 * (both - lean)
        before = after


@njit(error_model="numpy")
def _share_pull(weights, at, scale, mass, pull, gradient):
    """Each weight's part of the pull at its point, by mass."""
    for i in range(gradient.shape[0]):
        k = at[i] if at.shape[0] > 0 else i
        part = weights[i] * scale
        gradient[i] = pull[k] * (part / mass[k]) if part > 0.0 else 0.0


# --- unbalanced ----------------------------------------------------------------------------------


@njit(forceinline=True, error_model="numpy")
def _put(knots, at, place, A, B):
    """A knot: e^(2t) where it stands; A, B of the piece beyond it, and what has come to it since.

    What comes to a knot comes to all below it, which are told when it is taken away.
    """
    knots[at] = place
    knots[at + ONE] = A
    knots[at + TWO] = B
    knots[at + GAIN_A] = 0.0
    knots[at + GAIN_B] = 0.0


@njit(error_model="numpy")
def _rescale(knots, end, unit, scale):
    """Begin the scale of a stack anew, without the knots now out of reach; its new end."""
    kept = SIZE
    for i in range(SIZE, end, SIZE):
        place = knots[i] * unit * unit
        if place > 1.0 / HIGHEST**2 if scale < 1.0 else place < HIGHEST**2:
            knots[kept] = knots[i] * scale * scale
            knots[kept + ONE] = knots[i + ONE] * scale
            knots[kept + TWO] = knots[i + TWO] / scale
            knots[kept + GAIN_A] = knots[i + GAIN_A] * scale
            knots[kept + GAIN_B] = knots[i + GAIN_B] / scale
            kept += SIZE
    return kept


@njit(error_model="numpy")
def _best_ratios(a, b, grow, fall, knots, ratio):
    """e^(2t) of most gain at each point, of the points up to it (eqs. 21-23); the first with mass.

    Stacks move as a whole: kept as they were at C = 0, times f^2, f and g = 1 / f on the left,
    inversely on the right. Nothing is ever subtracted, so faint masses stay exact.
    """
    lefts, rights = knots[0], knots[1]
    _put(lefts, ZERO, 0.0, 0.0, 0.0)  # stops, never passed
    _put(rights, ZERO, math.inf, 0.0, 0.0)
    left, right, first = SIZE, SIZE, -1
    q, last = 1.0, 0.0
    for k in range(a.shape[0]):
        g, f = grow[k], fall[k]
        if g < last:
            left = _rescale(lefts, left, 1.0 / last, 1.0 / BLOCK)
            right = _rescale(rights, right, last, BLOCK)
        last, g2, f2 = g, g * g, f * f
        A, B = a[k] * g, b[k] * f
        if A + B > 0.0:
            top, other = left - SIZE, right - SIZE
            lefts[top + GAIN_A] += A
            lefts[top + GAIN_B] += B
            rights[other + GAIN_A] += A * f2
            rights[other + GAIN_B] += B * g2
            if A < B * lefts[top]:
                while A < B * lefts[top]:
                    place, x, y = lefts[top], lefts[top + GAIN_A], lefts[top + GAIN_B]
                    _put(rights, right, place * f2 * f2, A * f2, B * g2)
                    right += SIZE
                    A, B = lefts[top + ONE] + x, lefts[top + TWO] + y
                    top -= SIZE
                    lefts[top + GAIN_A] += x
                    lefts[top + GAIN_B] += y
                left = top + SIZE
                q = min(A / B, place) * f2  # within its piece, whatever rounding does
                A, B = A * f2, B * g2
            else:
                q, A, B = a[k] / b[k], A * f2, B * g2  # equal masses: exactly 1
                if A > B * rights[other]:
                    while A > B * rights[other]:
                        place, x, y = rights[other], rights[other + GAIN_A], rights[other + GAIN_B]
                        _put(lefts, left, place * g2 * g2, A * g2, B * f2)
                        left += SIZE
                        A, B = rights[other + ONE] + x, rights[other + TWO] + y
                        other -= SIZE
                        rights[other + GAIN_A] += x
                        rights[other + GAIN_B] += y
                    right = other + SIZE
                    q = max(A / B, place) * g2
            _put(lefts, left, q * g2, A * g2, B * f2)
            _put(rights, right, q * f2, A, B)
            left += SIZE
            right += SIZE
            q = min(max(q, 1.0 / HIGHEST), HIGHEST)
            if first < 0:
                first = k
        ratio[k] = q
    return first


@njit(error_model="numpy")
def _within_reach(ratio, step, first):
    """The best e^(2t) of all points: from the last one down, as near as the gaps allow."""
    q = ratio[ratio.shape[0] - 1]
    for k in range(ratio.shape[0] - 2, first - 1, -1):
        q = min(max(ratio[k], q * step[k]), q * (1.0 / step[k]))
        ratio[k] = q
    ratio[:first] = q


@njit(error_model="numpy")
def _exchange(a, b, ratio, reach, gain_u, gain_v):
    """Gains by target and estimate at each point, and the value (eq. 20)."""
    value = 0.0
    for k in range(a.shape[0]):
        e = math.sqrt(ratio[k])
        gain_u[k] = reach * (1.0 - 1.0 / e)
        gain_v[k] = reach * (1.0 - e)
        value += a[k] * gain_u[k] + b[k] * gain_v[k]
    return max(value, 0.0)


@njit(error_model="numpy")
def _kept_flow(a, b, ratio, kept_u, kept_v, flow):
    """What the plan keeps of either side, and what crosses each gap upwards (eq. 24)."""
    total = 0.0
    for k in range(a.shape[0]):
        e = math.sqrt(ratio[k])
        kept_u[k] = a[k] / e
        kept_v[k] = b[k] * e
        total += kept_u[k] - kept_v[k]
        flow[k] = total


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")
def unbalanced_1d(
    u_weights, v_weights, u_at, v_at, grow, fall, step, reach, mass_floor, knots, work, value,
    d_u, d_v, d_x, d_y,
):  # fmt: skip
    """Value of each row with mass "unbalanced", and its gradients (eqs. 18-24).

    u_at, v_at (1 or R, n or m): grid points of the weights, (1, 0) if the grid is theirs.
    grow, fall, step (1 or R, N): e^C, e^-C and e^(-2 gap), with C and gaps in reaches.
    Scratch: knots (P,2,10(N+1)), work (P,7,N). The rest as in cpu.transport.
    """
    R, n = u_weights.shape
    m, parts = v_weights.shape[1], work.shape[0]
    flat_x, flat_y = d_x.reshape(-1), d_y.reshape(-1)  # rows of these may be empty
    for part in prange(parts):
        a, b, ratio, W = work[part, 0], work[part, 1], work[part, 2], work[part]
        for r in range(part * R // parts, (part + 1) * R // parts):
            u, v, at_u, at_v = u_weights[r], v_weights[r], u_at[r % len(u_at)], v_at[r % len(v_at)]
            grid = r % len(grow)
            x, y = flat_x[r * n : (r + 1) * n], flat_y[r * m : (r + 1) * m]
            u_mass, v_mass = _mass(u), _mass(v)
            floor = max(mass_floor, SMALLEST, v_mass * FAINTEST)
            scale = 1.0 / u_mass if u_mass > floor else 0.0
            if not v_mass * scale > FAINTEST:
                value[r] = 0.0 * (u_mass + v_mass) + (reach if scale > 0.0 else 0.0)
                d_u[r] = 0.0
                d_v[r] = 0.0
                x[:] = 0.0
                y[:] = 0.0
                continue
            _place(u, at_u, scale, a)
            _place(v, at_v, scale, b)
            first = _best_ratios(a, b, grow[grid], fall[grid], knots[part], ratio)
            _within_reach(ratio, step[grid], first)
            value[r] = _exchange(a, b, ratio, reach, W[3], W[4])
            _fetch(W[3], at_u, value[r], scale, d_u[r])
            _fetch(W[4], at_v, 0.0, scale, d_v[r])
            if x.shape[0] > 0:
                _kept_flow(a, b, ratio, W[3], W[4], W[5])
                _move(W[3], W[4], W[5], W[2], W[6])
                _share_pull(u, at_u, scale, a, W[2], x)
                _share_pull(v, at_v, scale, b, W[6], y)


# --- partial -------------------------------------------------------------------------------------


@njit(error_model="numpy")
def _best_prices(c, z, bound, offers, best):
    """V(2 bound), its slope (eq. 13), and the f of most gain at each point, of those up to it.

    A point's mass takes the cheapest offers of the other side, or is left at the price `bound`.
    Prices rise with the way: they are kept less the place of the offer. What is taken is offered
    in turn. The sign of an offer's amount is that of `bound` in its price.
    """
    size, u_count, v_count = np.uint64(offers.shape[0] // 4), ZERO, ZERO
    value, slope, price = 0.0, 0.0, 0.0
    for k in range(c.shape[0]):
        here, up = z[k], c[k] > 0.0
        mass = abs(c[k])
        own, own_end = (u_count, ZERO) if up else (v_count + size, size)
        other = v_count + size if up else u_count
        while mass > 0.0:
            price, amount = bound, math.inf
            if own > own_end and offers[TWO * own - TWO] + here < bound:
                price, amount = offers[TWO * own - TWO] + here, offers[TWO * own - ONE]
            part = math.copysign(min(abs(amount), mass), amount)
            value += abs(part) * price
            slope += part
            offers[TWO * other], offers[TWO * other + ONE] = -price - here, -part
            other += ONE
            if abs(amount) > mass:
                if amount < math.inf:
                    offers[TWO * own - ONE] = amount - part
                break
            mass -= abs(part)
            own -= ONE
        u_count = own if up else other
        v_count = (other if up else own) - size
        best[k] = price if up else (-price if c[k] < 0.0 else best[k - 1] if k > 0 else 0.0)
        price = best[k]
    return value, 0.5 * slope


@njit(error_model="numpy")
def _within_gaps(c, z, best):
    """The best f of all points: from the last one down, as near as the gaps allow."""
    first = 0
    while c[first] == 0.0:
        first += 1
    f, last = best[best.shape[0] - 1], z[best.shape[0] - 1]
    for k in range(best.shape[0] - 2, first - 1, -1):
        gap = last - z[k]
        last = z[k]
        f = min(max(best[k], f - gap), f + gap)
        best[k] = f
    best[:first] = f


@njit(error_model="numpy")
def _highest_price(c, z, left, offers, best):
    """The price of leaving mass at which `left` is left (eq. 13); f of most gain, 0 if all is met.

    The slope of V falls; the tangents at both ends of a bracket meet at the next trial, and where
    V is as high as that, it is the place.
    """
    unmet, cost, crossing = 0.0, 0.0, 0.0
    for k in range(c.shape[0]):
        if k > 0:
            cost += abs(crossing) * (z[k] - z[k - 1])
        crossing += c[k]
        unmet += 0.5 * abs(c[k])
    low, low_value, low_slope = 0.0, 0.0, unmet
    high, high_value, high_slope = z[c.shape[0] - 1] - z[0], cost, 0.0
    if unmet <= left or cost <= 0.0:
        return 0.0
    for _ in range(100):
        rise = high_value - low_value + low_slope * low - high_slope * high
        price = min(max(rise / (low_slope - high_slope), low), high)
        bound = low_value + low_slope * (price - low)
        value, slope = _best_prices(c, z, 0.5 * price, offers, best)
        if value >= bound * (1.0 - 1e-14) or slope == left or price == low or price == high:
            break
        if slope > left:
            low, low_value, low_slope = price, value, slope
        else:
            high, high_value, high_slope = price, value, slope
    return price


@njit(error_model="numpy")
def _plan_flow(a, b, z, price, offers, f, lowest, highest, flow):
    """A best plan's flow over each gap at this price, and the mass it leaves (eq. 16).

    Upwards the flows that f allows: over a gap that f uses up only, and mass is left only where
    f is at its bounds. Downwards one of them.
    """
    N, tolerance = f.shape[0], 1e-11 * (z[-1] - z[0])
    for k in range(N):
        flow[k] = a[k] - b[k]
    _best_prices(flow, z, 0.5 * price, offers, f)
    _within_gaps(flow, z, f)
    low, high = 0.0, 0.0
    for k in range(N):
        low += a[k] - b[k] - (a[k] if f[k] >= 0.5 * price - tolerance else 0.0)
        high += a[k] - b[k] + (b[k] if f[k] <= tolerance - 0.5 * price else 0.0)
        fall = f[k] - f[k + 1] if k < N - 1 else 0.0
        gap = z[k + 1] - z[k] - tolerance if k < N - 1 else math.inf
        if fall < gap:
            high = min(high, 0.0)
            low = min(low, high)
        if -fall < gap:
            low = max(low, 0.0)
            high = max(high, low)
        lowest[k], highest[k] = low, high
    left, after = 0.0, 0.0
    for k in range(N - 1, -1, -1):
        flow[k] = after
        met = after - a[k] + b[k]
        after = min(max(met, lowest[k - 1]), highest[k - 1]) if k > 0 else 0.0
        left += max(after - met, 0.0)
    return left


@njit(error_model="numpy")
def _mixed_flow(a, b, z, price, left, offers, W):
    """Flow in W[5] and kept mass in W[3], W[4] of the plan that leaves `left` (eq. 16)."""
    nudge = min(1e-9 * (z[-1] - z[0]), 0.5 * price)
    flow, other, kept_u, kept_v = W[5], W[7], W[3], W[4]
    more = _plan_flow(a, b, z, price - nudge, offers, W[6], kept_u, kept_v, flow)
    less = _plan_flow(a, b, z, price + nudge, offers, W[6], kept_u, kept_v, other)
    part = min(max((left - less) / (more - less), 0.0), 1.0) if more > less else 0.0
    before = 0.0
    for k in range(a.shape[0]):
        flow[k] = part * flow[k] + (1.0 - part) * other[k]
        lost = before + a[k] - b[k] - flow[k]
        kept_u[k] = a[k] - max(lost, 0.0)
        kept_v[k] = b[k] + min(lost, 0.0)
        before = flow[k]


@njit(error_model="numpy")
def _partial_row(a, b, z, left, offers, W):
    """Value of one row, the means of f over both sides, and the price (eqs. 8-15); f in W[2]."""
    c, f = W[3], W[2]
    for k in range(c.shape[0]):
        c[k] = a[k] - b[k]
    price = _highest_price(c, z, left, offers, f)
    if price > 0.0:
        _within_gaps(c, z, f)
    else:
        f[:] = 0.0
    u_mean, v_mean = 0.0, 0.0
    for k in range(c.shape[0]):
        u_mean += a[k] * f[k]
        v_mean += b[k] * f[k]
    return max(u_mean - v_mean - price * left, 0.0), u_mean, v_mean, price


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")
def partial_1d(
    u_weights, v_weights, u_at, v_at, grid, left, mass_floor, offers, work, value,
    d_u, d_v, d_x, d_y,
):  # fmt: skip
    """Value of each row with mass "partial", of which `left` is not moved, and its gradients
    (eqs. 8-17).

    u_at, v_at (1 or R, n or m): grid points of the weights, (1, 0) if the grid is theirs.
    grid (1 or R, N). Scratch: offers (P,4,N+1), work (P,8,N). The rest as in cpu.transport.
    """
    R, n = u_weights.shape
    m, parts = v_weights.shape[1], work.shape[0]
    flat_x, flat_y = d_x.reshape(-1), d_y.reshape(-1)  # rows of these may be empty
    for part in prange(parts):
        a, b, W = work[part, 0], work[part, 1], work[part]
        for r in range(part * R // parts, (part + 1) * R // parts):
            u, v, at_u, at_v = u_weights[r], v_weights[r], u_at[r % len(u_at)], v_at[r % len(v_at)]
            z = grid[r % len(grid)]
            x, y = flat_x[r * n : (r + 1) * n], flat_y[r * m : (r + 1) * m]
            u_mass, v_mass = _mass(u), _mass(v)
            floor = max(mass_floor, SMALLEST)
            if u_mass > floor and v_mass > floor:
                u_scale, v_scale = 1.0 / u_mass, 1.0 / v_mass
                _place(u, at_u, u_scale, a)
                _place(v, at_v, v_scale, b)
                value[r], u_mean, v_mean, price = _partial_row(a, b, z, left, offers[part], W)
                _fetch(W[2], at_u, u_mean, u_scale, d_u[r])
                _fetch(W[2], at_v, v_mean, -v_scale, d_v[r])
                if x.shape[0] > 0 and price > 0.0:
                    _mixed_flow(a, b, z, price, left, offers[part], W)
                    _move(W[3], W[4], W[5], W[2], W[6])
                    _share_pull(u, at_u, u_scale, a, W[2], x)
                    _share_pull(v, at_v, v_scale, b, W[6], y)
                    continue
            else:
                value[r] = 0.0 * (u_mass + v_mass)  # NaN if not valid
                d_u[r] = 0.0
                d_v[r] = 0.0
            x[:] = 0.0
            y[:] = 0.0

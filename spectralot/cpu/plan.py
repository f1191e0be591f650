"""Quantiles and displacement interpolation of rows of weights.

Equations: docs/derivations/plans.md. Weights (R,n), not negative; positions (1 or R,n),
float64, ascending. One thread owns a row.
"""

from numba import prange

from . import njit


@njit
def _running_sums(weights, sums):
    """Running sums in float64; the total."""
    total = 0.0
    for k in range(weights.shape[0]):
        total += weights[k]
        sums[k] = total
    return total


@njit
def _first_at_least(sums, total, level):
    """First point whose level sums / total is at least `level`, and above 0 (eq. 1)."""
    low, high = 0, sums.shape[0] - 1
    while low < high:
        middle = (low + high) // 2
        reached = sums[middle] / total
        if reached >= level and reached > 0.0:
            high = middle
        else:
            low = middle + 1
    return low


@njit(parallel=True, cache=True, nogil=True)
def quantile_function(weights, positions, levels, sums, quantiles):
    """Positions at the levels (1 or R,L); a row without mass stands at its first position.

    Scratch: sums (R,n). quantiles (R,L).
    """
    for r in prange(weights.shape[0]):
        x = positions[r % positions.shape[0]]
        wanted, found, row = levels[r % levels.shape[0]], quantiles[r], sums[r]
        total = _running_sums(weights[r], row)
        for k in range(found.shape[0]):
            found[k] = x[_first_at_least(row, total, wanted[k])] if total > 0.0 else x[0]


@njit
def _mass(weights):
    """Sum of a row's weights, and the last point that has any."""
    total, last = 0.0, 0
    for k in range(weights.shape[0]):
        total += weights[k]
        if weights[k] > 0.0:
            last = k
    return total, last


@njit
def _place(z, mass, x, k, out):
    """Share mass at z between its neighbours on the grid (eq. 6), the lower one at or above k.

    The lower neighbour: where the next search may begin.
    """
    last = x.shape[0] - 1
    while k < last and x[k + 1] <= z:
        k += 1
    if k == last or z <= x[k]:
        out[k] += mass
    else:
        upper = mass * ((z - x[k]) / (x[k + 1] - x[k]))
        out[k] += mass - upper
        out[k + 1] += upper
    return k


@njit
def _interpolate(u, v, x, t, u_mass, v_mass, u_last, v_last, out):
    """Walk the plan (eq. 4) and put each entry on the grid where it is at time t (eqs. 5, 6).

    What is left of a bin is counted down, not taken from levels: bins far below the others keep
    their digits. What rounding leaves at the end goes to the other side's last point.
    """
    total = (1.0 - t) * u_mass + t * v_mass
    i, j, k = 0, 0, 0
    a, b = u[0] / u_mass, v[0] / v_mass
    while True:
        if i == u_last:
            step = b if j < v_last else max(0.5 * (a + b), 0.0)
        else:
            step = min(a, b) if j < v_last else a
        if step > 0.0:
            k = _place(x[i] + t * (x[j] - x[i]), step * total, x, k, out)
        a -= step
        b -= step
        if i == u_last and j == v_last:
            break
        if j == v_last or (i < u_last and a <= b):
            i += 1
            a = u[i] / u_mass
        else:
            j += 1
            b = v[j] / v_mass


@njit(parallel=True, cache=True, nogil=True)
def displacement_interpolation(u_weights, v_weights, positions, t, out):
    """Weights at the times t (1 or R,) of each row, added to out (R,n), float64."""
    R, n = u_weights.shape
    for r in prange(R):
        u, v, time, row = u_weights[r], v_weights[r], t[r % t.shape[0]], out[r]
        u_mass, u_last = _mass(u)
        v_mass, v_last = _mass(v)
        if u_mass > 0.0 and v_mass > 0.0 and 0.0 < time < 1.0:
            x = positions[r % positions.shape[0]]
            _interpolate(u, v, x, time, u_mass, v_mass, u_last, v_last, row)
        else:  # the ends exactly; what is silent on one side has no plan and fades
            for k in range(n):
                row[k] = (1.0 - time) * u[k] + time * v[k]

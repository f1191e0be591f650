"""Plain loops for plans, quantiles, interpolation, barycenters and the circle: the tests' oracle.

Single rows only, float64. Nothing here comes from spectralot.
"""

import itertools
import math


def _sorted(weights, positions):
    """(position, share, index) of the points that have mass, in order of position."""
    total = math.fsum(weights)
    order = sorted(range(len(weights)), key=lambda k: positions[k])
    return [(positions[k], weights[k] / total, k) for k in order if weights[k] > 0]


def quantile(weights, positions, level):
    """The lowest position up to which the share of the mass is at least `level`."""
    points = _sorted(weights, positions)
    total = math.fsum(weights)
    for last in range(len(points)):
        if math.fsum(weights[k] for _, _, k in points[: last + 1]) / total >= level:
            return points[last][0]
    return points[-1][0]


def plan(u, v, x, y):
    """Pour one side into the other, lowest first: [(source, target, mass), ...]."""
    left, right = _sorted(u, x), _sorted(v, y)
    entries = []
    i = j = 0
    a, b = left[0][1], right[0][1]
    while i < len(left) and j < len(right):
        mass = min(a, b)
        if mass > 1e-13:
            entries.append((left[i][2], right[j][2], mass))
        a, b = a - mass, b - mass
        if a <= b:
            i += 1
            a = left[i][1] if i < len(left) else 0.0
        else:
            j += 1
            b = right[j][1] if j < len(right) else 0.0
    return entries


def put(weights, grid, z, mass):
    """Share mass at z between the grid points around it; beyond the ends it stands on them."""
    order = sorted(range(len(grid)), key=lambda k: grid[k])
    z = min(max(z, grid[order[0]]), grid[order[-1]])
    for k in order:
        if grid[k] == z:
            weights[k] += mass
            return
    for low, high in itertools.pairwise(order):
        if grid[low] < z < grid[high]:
            part = (z - grid[low]) / (grid[high] - grid[low])
            weights[low] += mass * (1 - part)
            weights[high] += mass * part
            return


def interpolation(u, v, t, positions):
    """Every entry of the plan at (1 - t) x + t y, put on the grid."""
    total = (1 - t) * math.fsum(u) + t * math.fsum(v)
    weights = [0.0] * len(u)
    for i, j, mass in plan(u, v, positions, positions):
        put(weights, positions, (1 - t) * positions[i] + t * positions[j], mass * total)
    return weights


def barycenter(rows, shares, positions, grid):
    """Quantile functions averaged step by step; `positions` has one list a row."""
    total = math.fsum(s * math.fsum(row) for s, row in zip(shares, rows, strict=True))
    levels = {0.0, 1.0}
    for row, x in zip(rows, positions, strict=True):
        level = 0.0
        for _, share, _ in _sorted(row, x):
            level += share
            levels.add(min(level, 1.0))
    levels = sorted(levels)
    weights = [0.0] * len(grid)
    for below, above in itertools.pairwise(levels):
        middle = 0.5 * (below + above)
        z = math.fsum(
            s * quantile(row, x, middle) for s, row, x in zip(shares, rows, positions, strict=True)
        )
        put(weights, grid, z, (above - below) * total)
    return weights


def circular_cost(u, v, x, y, p, period=1.0):
    """Every cut of the circle before a point of u and one of v, in three turns: the cheapest."""
    left, right = _sorted(u, [z % period for z in x]), _sorted(v, [z % period for z in y])
    best = math.inf
    for i in range(len(left)):
        a = left[i:] + [(z + period, w, k) for z, w, k in left[:i]]
        for j in range(len(right)):
            b = right[j:] + [(z + period, w, k) for z, w, k in right[:j]]
            for turn in (-1, 0, 1):
                cost = 0.0
                x_line, y_line = [z + turn * period for z, _, _ in a], [z for z, _, _ in b]
                for s, r, mass in plan([w for _, w, _ in a], [w for _, w, _ in b], x_line, y_line):
                    cost += mass * abs(x_line[s] - y_line[r]) ** p
                best = min(best, cost)
    return best

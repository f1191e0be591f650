"""Slow and plain float64 oracles of transport between unequal masses, one row each.

Partial: the linear programme itself. Unbalanced: the dual, by a general constrained optimiser.
Nothing here comes from spectralot, and no gradient of a value is derived.
"""

import math

import numpy as np
from scipy.optimize import linprog, minimize


def partial(u_weights, v_weights, u_positions, v_positions, share):
    """Least cost of moving `share` of the mass, over all plans (n, m)."""
    n, m = len(u_weights), len(v_weights)
    costs, limits = [], np.zeros((n + m, n * m))
    for i in range(n):
        for j in range(m):
            costs.append(abs(u_positions[i] - v_positions[j]))
            limits[i, i * m + j] = 1.0
            limits[n + j, i * m + j] = 1.0
    masses = [w / math.fsum(u_weights) for w in u_weights]
    masses += [w / math.fsum(v_weights) for w in v_weights]
    found = linprog(
        costs, A_ub=limits, b_ub=masses, A_eq=np.ones((1, n * m)), b_eq=[share], method="highs"
    )
    assert found.success, found.message
    return found.fun


def unbalanced(u_weights, v_weights, u_positions, v_positions, reach):
    """Largest gain of potentials f (of u) and g (of v) with f_i + g_j <= distance for all pairs."""
    n, m, total = len(u_weights), len(v_weights), math.fsum(u_weights)
    pairs, distances = np.zeros((n * m, n + m)), np.zeros(n * m)
    for i in range(n):
        for j in range(m):
            pairs[i * m + j, i] = pairs[i * m + j, n + j] = 1.0
            distances[i * m + j] = abs(u_positions[i] - v_positions[j])
    masses = np.concatenate([u_weights, v_weights]) / total

    def loss(potentials):
        gains = [w * (1.0 - math.exp(-p / reach)) for w, p in zip(masses, potentials, strict=True)]
        return -reach * math.fsum(gains)

    def slope(potentials):
        return -masses * np.exp(-potentials / reach)

    found = minimize(
        loss, np.zeros(n + m), jac=slope, method="SLSQP",
        constraints={
            "type": "ineq", "fun": lambda f: distances - pairs @ f, "jac": lambda f: -pairs
        },
        options={"ftol": 1e-15, "maxiter": 500},
    )  # fmt: skip
    return -found.fun


def unbalanced_plan_cost(plan, u_weights, v_weights, u_positions, v_positions, reach):
    """What a given plan (n, m) costs: transport and both Kullback-Leibler divergences."""
    total = math.fsum(u_weights)
    cost = 0.0
    for i in range(len(u_weights)):
        for j in range(len(v_weights)):
            cost += plan[i][j] * abs(u_positions[i] - v_positions[j])
    for kept, weights in ((plan.sum(1), u_weights), (plan.sum(0), v_weights)):
        for q, w in zip(kept, weights, strict=True):
            r = w / total
            cost += reach * ((q * math.log(q / r) if q > 0.0 else 0.0) - q + r)
    return cost

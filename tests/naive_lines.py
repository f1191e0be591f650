"""Transport between line spectra in float64 loops: the equations of docs/derivations/lines.md."""

from math import log2, log10, sqrt

REFERENCE_HZ = 440.0


def position(hz, axis):
    """Equation 1."""
    if axis == "hz":
        return hz
    if axis == "cents":
        return 1200 * log2(hz / REFERENCE_HZ)
    if axis == "log":
        return log2(hz / 32.7) / (284 / 36)
    if axis == "mel":
        return 2595 * log10(1 + hz / 700)
    return 21.4 * log10(1 + 0.00437 * hz)


def line_transport(target_hz, target_powers, hz, powers, axis="cents", p=1):
    """Equation 2, one row, balanced: a line gives what it has to the lowest place still free."""
    sides = []
    for frequencies, weights in ((target_hz, target_powers), (hz, powers)):
        total = sum(weights)
        if total <= 0:
            return 0.0
        lines = sorted(
            (position(f, axis), w / total) for f, w in zip(frequencies, weights, strict=True) if w
        )
        sides.append([[z, w] for z, w in lines])
    cost, (u, v) = 0.0, sides
    while u and v:
        mass = min(u[0][1], v[0][1])
        cost += mass * abs(u[0][0] - v[0][0]) ** p
        for side in (u, v):
            side[0][1] -= mass
            if side[0][1] <= 1e-15:
                side.pop(0)
    return cost


def harmonics(f0_hz, n_harmonics, inharmonicity=0.0):
    """Equation 4."""
    orders = range(1, n_harmonics + 1)
    return [h * f0_hz * sqrt(1 + inharmonicity * h * h) for h in orders]

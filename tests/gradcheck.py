"""Finite-difference checks of hand-derived gradients, in float64.

A scalar loss is made of any forward function by `sum(d_output * forward(*inputs))`. Its
derivative along a direction costs two forward calls, however large the inputs are:

    (loss(x + h s z) - loss(x - h s z)) / 2h  ==  sum(gradient * s * z),     z = +-1 at random,

with s the size of a natural change of each element. As every element of z is as large as every
other, the error divided by the norm of (gradient * s) shows a single wrong element.
"""

import numpy as np


class GradientError(AssertionError):
    """A gradient disagrees with the finite differences."""


def derivative(forward, inputs, direction, d_output, step):
    """Central difference of sum(d_output * forward(*inputs)) along `direction`."""
    outputs = []
    for sign in (1.0, -1.0):
        moved = [
            x if d is None else np.asarray(x, dtype=np.float64) + sign * step * d
            for x, d in zip(inputs, direction, strict=True)
        ]
        outputs.append(np.asarray(forward(*moved), dtype=np.float64))
    # the outputs are subtracted before the sum: two large sums would cancel digits
    return float(np.sum(d_output * (outputs[0] - outputs[1]))) / (2.0 * step)


def check_projected(
    forward, inputs, gradients, d_output, *, rng, scales=None, step=1e-5, tolerance=1e-6, draws=3
):
    """Compare each gradient with finite differences along random directions.

    Parameters
    ----------
    forward : callable
        ``forward(*inputs)`` returns an array or a number.
    inputs, gradients : sequence of array_like
        A gradient of None leaves that input alone.
    d_output : array_like
        Gradient of the loss with respect to the output, of its shape.
    rng : numpy.random.Generator
    scales : sequence, optional
        Size of a natural change of each input: a number, or an array of its shape.
    step : float
        Step in units of the scale.
    tolerance : float
        Largest error, relative to the norm of the scaled gradient.

    Raises
    ------
    GradientError
    """
    scales = [1.0] * len(inputs) if scales is None else scales
    for index, (x, gradient, scale) in enumerate(zip(inputs, gradients, scales, strict=True)):
        if gradient is None:
            continue
        if np.shape(gradient) != np.shape(x):
            raise GradientError(
                f"input {index}: gradient of shape {np.shape(gradient)} for {np.shape(x)}"
            )
        size = float(np.linalg.norm(np.ravel(gradient * scale)))
        for _ in range(draws):
            z = scale * rng.choice([-1.0, 1.0], size=np.shape(x))
            direction = [z if i == index else None for i in range(len(inputs))]
            found = float(np.sum(gradient * z))
            expected = derivative(forward, inputs, direction, d_output, step)
            # written so that a NaN fails
            if not abs(found - expected) <= tolerance * max(size, abs(expected)):
                raise GradientError(
                    f"input {index}: projected gradient {found:.12g}, finite difference "
                    f"{expected:.12g}, apart by {abs(found - expected):.3g} where the scaled "
                    f"gradient has norm {size:.3g}"
                )


def check_elements(forward, inputs, gradients, d_output, *, scales=None, step=1e-5, tolerance=1e-6):
    """Compare each gradient with finite differences element by element: for tiny inputs.

    The error of every element is relative to the largest scaled element of its gradient. See
    `check_projected` for the parameters.
    """
    scales = [1.0] * len(inputs) if scales is None else scales
    for index, (x, gradient, scale) in enumerate(zip(inputs, gradients, scales, strict=True)):
        if gradient is None:
            continue
        if np.shape(gradient) != np.shape(x):
            raise GradientError(
                f"input {index}: gradient of shape {np.shape(gradient)} for {np.shape(x)}"
            )
        found = np.asarray(gradient * scale, dtype=np.float64)
        expected = np.empty(np.shape(x))
        for where in np.ndindex(np.shape(x)):
            z = np.zeros(np.shape(x))
            z[where] = 1.0
            direction = [z * scale if i == index else None for i in range(len(inputs))]
            expected[where] = derivative(forward, inputs, direction, d_output, step)
        apart = np.abs(found - expected)
        if not np.all(apart <= tolerance * np.max(np.abs(expected))):
            worst = np.unravel_index(int(np.argmax(apart)), apart.shape)
            raise GradientError(
                f"input {index} at {tuple(map(int, worst))}: gradient {found[worst]:.12g}, "
                f"finite difference {expected[worst]:.12g}, largest {np.abs(expected).max():.3g}"
            )


# --- samplers that stay away from kinks and jumps ------------------------------------------------


def positive(rng, shape, low=0.2, high=1.0):
    """Weights or amplitudes well above zero."""
    return rng.uniform(low, high, size=shape)


def separate_levels(rng, n_u, n_v, rows=(), *, mass="balanced", v_mass=1.0, gap=1e-3):
    """Positive weights whose quantile levels keep a distance of at least `gap`.

    Where two levels meet the transport cost has a kink in the weights. `v_mass` is the mass of
    v relative to that of u; in cutoff mode no level of v comes near the level 1 either.
    """
    u, v = np.empty((*rows, n_u)), np.empty((*rows, n_v))
    for row in np.ndindex(*rows):
        for _ in range(10_000):
            a, b = positive(rng, n_u), positive(rng, n_v)
            if mass == "cutoff":
                b *= v_mass * a.sum() / b.sum()
                inner = np.r_[np.cumsum(a), np.cumsum(b)] / a.sum()
            else:
                # both sides end at the level 1 whatever the weights are: no kink there
                inner = np.r_[np.cumsum(a)[:-1] / a.sum(), np.cumsum(b) / b.sum()]
            if np.all(np.diff(np.sort(inner)) > gap):
                break
        else:
            raise RuntimeError("no weights with separate levels found: lower the gap")
        u[row], v[row] = a, b
    return u, v


def separate_positions(rng, n_u, n_v, rows=(), *, gap=1e-3):
    """Unsorted positions, no two of one row (of either side) closer than `gap`.

    Where a point of u meets one of v the cost |u - v| of p = 1 has a kink, and where two points
    of one side meet the order changes.
    """
    n = n_u + n_v
    places = np.empty((*rows, n))
    for row in np.ndindex(*rows):
        grid = (np.arange(n) + rng.uniform(0.1, 0.9, n)) / n
        if np.min(np.diff(grid)) < gap:
            grid = (np.arange(n) + 0.5) / n
        places[row] = rng.permutation(grid)
    return places[..., :n_u].copy(), places[..., n_u:].copy()


def below_nyquist(rng, n_frames, n_harmonics, sample_rate, rows=()):
    """An f0 track (..., T) of which every harmonic stays below 0.9 Nyquist."""
    top = 0.9 * sample_rate / 2 / n_harmonics
    return rng.uniform(0.5 * top, top, size=(*rows, n_frames))

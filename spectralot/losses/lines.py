"""Transport between line spectra: frequencies and powers of partials, no sound needed.

Names: B batch, n and m lines of the two sides, H harmonics. Derivation: docs/derivations/lines.md.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from .. import checks
from ..axes import HIGHEST, axis_derivative, axis_positions
from ..checks import ParameterError
from ..hints import Array, ArrayLike
from ..transport import wasserstein_1d_backward, wasserstein_1d_forward

__all__ = ["LineSOT"]

AXES = ("cents", "log", "hz", "mel", "erb")  # those that need no more than the frequency itself
MASSES = ("balanced", "partial", "unbalanced")
_ANYWHERE_HZ = 1000.0  # where lines without power stand; they move nothing


class LineSOT:
    r"""Spectral optimal transport between lines: how far power must move along the axis.

    .. math:: L = \frac{1}{B} \sum_b W_p^p\big((z(f_i), P_i), (z(\hat f_j), \hat P_j)\big)

    with z the position on the frequency axis. Frequencies are differentiated exactly, and f0
    enters directly by `harmonic`. A line of power 0 is padding: it may stand anywhere and
    receives no gradient.

    Parameters
    ----------
    frequency_axis : {"cents", "log", "hz", "mel", "erb"}
        As in `spectralot.axes.axis_positions`. With "cents", p = 1 and balanced mass the value is
        the mean distance in cents by which power is off.
    p : float
        Exponent of the distance, at least 1.
    mass : {"balanced", "partial", "unbalanced"}
        As in `spectralot.wasserstein_1d_forward`. There is no "cutoff": what it finds missing
        stands at the last bin, and lines have none.
    share : float, optional
        The share of the power that is transported; with mass "partial" only.
    reach : float, optional
        Distance in units of the axis beyond which power is rather made or lost than moved; with
        mass "unbalanced" only.

    Raises
    ------
    ParameterError
        If an argument breaks its rule.

    References
    ----------
    Torres, Peeters, Richard, ICASSP 2024, arXiv:2312.14507, equations 2 to 4 (transport by
    quantile functions). Flamary, Févotte, Courty, Emiya, "Optimal spectral transportation with
    application to music transcription", NeurIPS 2016, arXiv:1609.09799 (templates made of lines).

    Examples
    --------
    The f0 of four peaks, from a semitone off, without any synthesis:

    >>> import numpy as np
    >>> from spectralot.losses.lines import LineSOT
    >>> peaks_hz, powers = np.array([440.0, 880.0, 1320.0, 1760.0]), [1.0, 0.5, 0.25, 0.1]
    >>> loss, f0_hz = LineSOT(p=2), 440.0 * 2 ** (1 / 12)
    >>> for _ in range(20):
    ...     value, d_f0_hz, d_powers = loss.harmonic(peaks_hz, powers, f0_hz, powers)
    ...     d_cents = d_f0_hz * f0_hz * np.log(2) / 1200
    ...     f0_hz *= 2 ** (-0.4 * d_cents / 1200)
    >>> round(float(f0_hz), 6)
    440.0
    """

    def __init__(
        self,
        *,
        frequency_axis: Literal["cents", "log", "hz", "mel", "erb"] = "cents",
        p: float = 1,
        mass: Literal["balanced", "partial", "unbalanced"] = "balanced",
        share: float | None = None,
        reach: float | None = None,
    ) -> None:
        self._axis = checks.one_of("frequency_axis", frequency_axis, AXES)
        self._transport: dict = dict(
            p=checks.number("p", p, minimum=1),
            mass=checks.one_of("mass", mass, MASSES),
            share=share,
            reach=reach,
        )
        wasserstein_1d_forward([1.0], [1.0], u_positions=[0.0], **self._transport)  # its own rules

    def __call__(
        self,
        target_hz: ArrayLike,
        target_powers: ArrayLike,
        estimate_hz: ArrayLike,
        estimate_powers: ArrayLike,
    ) -> tuple[float, Array, Array]:
        """Value and gradients.

        Parameters
        ----------
        target_hz, target_powers : array_like, shape (n,) or (B, n)
            Frequencies in Hz, above 0 where the power is, in any order; powers, not negative.
        estimate_hz, estimate_powers : array_like, shape (m,) or (B, m)
            What is to be changed.

        Returns
        -------
        value : float
            Mean over the batch, in units of the axis to the power p. A row of which one side has
            no power counts 0 (mass "unbalanced": the target has none).
        d_estimate_hz, d_estimate_powers : ndarray, shapes of the estimate's
            Gradients, float32 where the array is.

        Raises
        ------
        ParameterError
            If frequencies or powers break their rule, or shapes do not fit.
        """
        target = _checked("target_hz", target_hz, "target_powers", target_powers)
        estimate = _checked("estimate_hz", estimate_hz, "estimate_powers", estimate_powers)
        return self._compare(target, estimate, "estimate_hz")

    def harmonic(
        self,
        target_hz: ArrayLike,
        target_powers: ArrayLike,
        f0_hz: ArrayLike,
        powers: ArrayLike,
        *,
        inharmonicity: ArrayLike = 0.0,
    ) -> tuple[float, Array, Array]:
        """Value and gradients for harmonics of one f0: partial h at ``h * f0_hz``.

        Parameters
        ----------
        target_hz, target_powers : array_like, shape (n,) or (B, n)
            Frequencies in Hz, above 0 where the power is, in any order; powers, not negative.
        f0_hz : float or array_like, shape (B,)
            Fundamental frequency in Hz, above 0.
        powers : array_like, shape (H,) or (B, H)
            Power of harmonics 1..H, not negative.
        inharmonicity : float or array_like, shape (B,)
            Stiffness coefficient, not negative: partial h stands at
            ``h * f0 * sqrt(1 + inharmonicity * h**2)``.

        Returns
        -------
        value : float
            As for a call.
        d_f0_hz : ndarray, shape of `f0_hz`
            Gradient with respect to f0.
        d_powers : ndarray, shape of `powers`
            Gradient with respect to the powers.

        Raises
        ------
        ParameterError
            If an argument breaks its rule, or shapes do not fit.
        """
        f0_hz = checks.level_array("f0_hz", f0_hz, (0, 1), largest=HIGHEST)
        powers = checks.float_array("powers", powers, f0_hz.ndim + 1)
        bend = checks.float_array("inharmonicity", inharmonicity, (0, 1), dtype=np.float64)
        for name, array, good, rule in (
            ("f0_hz", f0_hz, f0_hz > 0, "above 0"),
            ("inharmonicity", bend, bend >= 0, "at least 0"),
        ):
            if not good.all():
                raise ParameterError(f"{name} must be {rule}, got {array.min():g}")
        if powers.shape[:-1] != f0_hz.shape:
            raise ParameterError(
                f"powers must have shape ({', '.join(map(str, (*f0_hz.shape, 'H')))}), "
                f"got {powers.shape}"
            )
        if bend.ndim:
            checks.same_shape("inharmonicity", bend, f0_hz.shape)
        orders = np.arange(1.0, powers.shape[-1] + 1)
        stretch = orders * np.sqrt(1 + bend[..., None] * orders**2)  # f_h / f0
        target = _checked("target_hz", target_hz, "target_powers", target_powers)
        hz = np.broadcast_to(f0_hz[..., None].astype(np.float64) * stretch, powers.shape)
        estimate = _checked("f0_hz", hz, "powers", powers)
        value, d_hz, d_powers = self._compare(target, estimate, "f0_hz")
        return value, (d_hz * stretch).sum(axis=-1).astype(f0_hz.dtype)[()], d_powers

    def _compare(self, target, estimate, name):
        (target_hz, target_powers), (hz, powers) = target, estimate
        if hz.shape[:-1] != target_hz.shape[:-1]:
            raise ParameterError(
                f"{name} must have the target's batch axis {target_hz.shape[:-1]}, "
                f"got {hz.shape[:-1]}"
            )
        x, _ = self._positions(target_hz, target_powers)
        y, dy_dhz = self._positions(hz, powers)
        values, saved = wasserstein_1d_forward(
            target_powers.astype(np.float64), powers.astype(np.float64),
            u_positions=x, v_positions=y, **self._transport,
        )  # fmt: skip
        d_values = np.full(values.shape, 1 / values.size)
        _, d_powers, _, d_y = wasserstein_1d_backward(d_values, saved)
        largest = np.finfo(powers.dtype).max
        d_powers = np.where(powers > 0, np.clip(d_powers, -largest, largest), 0)
        d_powers = d_powers.astype(powers.dtype)
        return float(values.mean()), (d_y * dy_dhz).astype(hz.dtype), d_powers

    def _positions(self, hz, powers):
        """Positions on the axis and their derivatives; lines without power out of the way."""
        hz = np.where(powers > 0, hz, _ANYWHERE_HZ).astype(np.float64)
        return axis_positions(hz, self._axis), axis_derivative(hz, self._axis)


def _checked(hz_name, hz, powers_name, powers):
    hz = checks.level_array(hz_name, hz, (1, 2), largest=HIGHEST)
    powers = checks.float_array(powers_name, powers, (1, 2))
    checks.same_shape(powers_name, powers, hz.shape)
    if (powers < 0).any():
        raise ParameterError(f"{powers_name} must not be negative, got {powers.min():g}")
    bad = (hz <= 0) & (powers > 0)
    if bad.any():
        raise ParameterError(f"{hz_name} must be above 0 where the power is, got {hz[bad].min():g}")
    return hz, powers

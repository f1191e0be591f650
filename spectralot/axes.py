"""Ground axes: where a frequency stands when spectra are transported, and how fast that changes.

Formulas: docs/derivations/transforms.md.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

from . import checks
from .checks import ParameterError
from .hints import Array, ArrayLike

__all__ = ["AXES", "a_weighting_db", "axis_derivative", "axis_positions"]

AXES = ("hz", "linear", "log", "cents", "mel", "erb")
Axis: TypeAlias = Literal["hz", "linear", "log", "cents", "mel", "erb"]

# the paper's pitch scale: the range of its constant-Q features is the unit, 0 Hz is MIDI pitch 0
LOG_LOW, LOG_HIGH = 32.7, 32.7 * 2 ** (284 / 36)
LOG_ZERO = 440 * 2 ** (-69 / 12)
MEL_SCALE, MEL_CORNER = 2595 / np.log(10), 700.0
ERB_SCALE, ERB_RATE = 21.4 / np.log(10), 0.00437
SILENT_DB = -200.0
LOWEST, HIGHEST = 1e-30, 1e30  # Hz; what is below counts as 0, what is above is refused


def axis_positions(
    frequencies_hz: ArrayLike, axis: Axis | ArrayLike, *, reference_hz: float | None = None
) -> Array:
    """Where frequencies stand on a ground axis.

    Parameters
    ----------
    frequencies_hz : array_like, shape (K,) or any other of at most 3 dimensions
        Frequencies of bins, bands or partials, at least 0.
    axis : {"hz", "linear", "log", "cents", "mel", "erb"} or array_like
        "hz": f. "linear": f over the reference, so 0 to 1; for the K bins of an STFT this is
        ``k / (K - 1)``. "log": pitch, 0 at 32.7 Hz and 1 at ``32.7 * 2**(284 / 36)`` Hz, with
        0 Hz at MIDI pitch 0 (8.18 Hz). "cents": ``1200 log2(f / reference)``; 0 Hz stands one
        octave below the lowest positive frequency given. "mel": ``2595 log10(1 + f / 700)``.
        "erb": number of ERBs, ``21.4 log10(1 + 0.00437 f)``. An array of the shape of
        `frequencies_hz` holds positions of one's own, in any unit and order.
    reference_hz : float, optional
        "linear": the frequency at 1; by default the highest one given. "cents": the frequency
        at 0; by default 440. The other axes have none.

    Returns
    -------
    ndarray, shape of `frequencies_hz`, float64
        Positions in Hz, cents, mel, ERBs, or for "linear" and "log" in units of their range.

    Raises
    ------
    ParameterError
        If a frequency is negative or not finite, the axis is unknown or of another shape, or
        `reference_hz` is not positive or belongs to no such axis.

    References
    ----------
    "log": Torres, Peeters, Richard, ICASSP 2024, arXiv:2312.14507. "mel": O'Shaughnessy, Speech
    Communication, 1987. "erb": Glasberg, Moore, Hearing Research 47, 1990, equation 4.

    Examples
    --------
    >>> from spectralot.axes import axis_positions
    >>> axis_positions([0, 220, 440, 880], "cents").tolist()
    [-2400.0, -1200.0, 0.0, 1200.0]
    >>> axis_positions([0, 4000, 8000], "linear").tolist()
    [0.0, 0.5, 1.0]
    """
    f = _frequencies(frequencies_hz)
    if not isinstance(axis, str):
        positions = checks.float_array("axis", axis, f.ndim, dtype=np.float64)
        checks.same_shape("axis", positions, f.shape)
        return positions.copy()
    reference = _reference(f, axis, reference_hz)
    if axis == "hz":
        return f.copy()
    if axis == "linear":
        return f / reference
    if axis == "mel":
        return MEL_SCALE * np.log1p(f / MEL_CORNER)
    if axis == "erb":
        return ERB_SCALE * np.log1p(ERB_RATE * f)
    if axis == "log":
        return np.log2(np.where(f > 0, f, LOG_ZERO) / LOG_LOW) / np.log2(LOG_HIGH / LOG_LOW)
    lowest = np.min(f, where=f > 0, initial=np.inf)
    return 1200 * np.log2(np.where(f > 0, f, _half(lowest)) / reference)


def axis_derivative(
    frequencies_hz: ArrayLike, axis: Axis, *, reference_hz: float | None = None
) -> Array:
    """Derivative of `axis_positions` with respect to each frequency.

    Parameters
    ----------
    frequencies_hz : array_like, shape (K,) or any other of at most 3 dimensions
        As in `axis_positions`.
    axis : {"hz", "linear", "log", "cents", "mel", "erb"}
        As in `axis_positions`; positions of one's own have no known derivative.
    reference_hz : float, optional
        As in `axis_positions`. It counts as a constant, also where it is the highest frequency.

    Returns
    -------
    ndarray, shape of `frequencies_hz`, float64
        In units of the axis per Hz. At 0 Hz it is 0 for "log" and "cents", where 0 Hz stands at
        a place of its own.

    Raises
    ------
    ParameterError
        As in `axis_positions`, and if `axis` is an array.

    Examples
    --------
    >>> from spectralot.axes import axis_derivative
    >>> axis_derivative([0, 220, 440], "cents").round(3).tolist()
    [0.0, 7.869, 3.935]
    """
    f = _frequencies(frequencies_hz)
    if not isinstance(axis, str):
        raise ParameterError(
            f"axis must be one of {', '.join(map(repr, AXES))} for a derivative, got an array"
        )
    reference = _reference(f, axis, reference_hz)
    if axis == "hz":
        return np.ones_like(f)
    if axis == "linear":
        return np.full_like(f, 1 / reference)
    if axis == "mel":
        return MEL_SCALE / (MEL_CORNER + f)
    if axis == "erb":
        return ERB_SCALE * ERB_RATE / (1 + ERB_RATE * f)
    scale = 1 / np.log(LOG_HIGH / LOG_LOW) if axis == "log" else 1200 / np.log(2)
    return np.divide(scale, f, out=np.zeros_like(f), where=f > 0)


def a_weighting_db(frequencies_hz: ArrayLike) -> Array:
    """A-weighting: how loud the ear hears a soft tone relative to one of 1 kHz.

    Parameters
    ----------
    frequencies_hz : array_like, shape (K,) or any other of at most 3 dimensions
        Frequencies, at least 0.

    Returns
    -------
    ndarray, shape of `frequencies_hz`, float64
        In dB, exactly 0 at 1 kHz and at least -200, which is its value at 0 Hz.

    Raises
    ------
    ParameterError
        If a frequency is negative or not finite.

    References
    ----------
    IEC 61672-1:2013, section 5.5.7 and annex E.

    Examples
    --------
    >>> from spectralot.axes import a_weighting_db
    >>> a_weighting_db([0, 100, 1000, 10000]).round(1).tolist()
    [-200.0, -19.1, 0.0, -2.5]
    """
    f = _frequencies(frequencies_hz)
    gain = _a_gain(f) / _a_gain(np.float64(1000.0))
    return 20 * np.log10(np.maximum(gain, 10 ** (SILENT_DB / 20)))


def _a_gain(f):
    """Gain of the A curve, up to a factor: four poles at two, two at one and two at one corner."""
    low, bass, middle, high = ((f / c) ** 2 for c in (20.598997, 107.65265, 737.86223, 12194.217))
    return low / (1 + low) * np.sqrt(bass / (1 + bass) * middle / (1 + middle)) / (1 + high)


def _frequencies(frequencies_hz):
    f = checks.float_array("frequencies_hz", frequencies_hz, (0, 1, 2, 3), dtype=np.float64)
    if np.min(f) < 0:
        raise ParameterError(f"frequencies_hz must be at least 0, got {np.min(f):g}")
    if np.max(f) > HIGHEST:
        raise ParameterError(f"frequencies_hz must be at most {HIGHEST:g}, got {np.max(f):g}")
    return np.where(f < LOWEST, 0.0, f)


def _reference(f, axis, reference_hz):
    """The frequency at 1 (linear) or 0 (cents)."""
    checks.one_of("axis", axis, AXES)
    if reference_hz is None:
        return 440.0 if axis == "cents" else float(np.max(f)) or 1.0
    if axis not in ("linear", "cents"):
        raise ParameterError(
            f"reference_hz must be None on the axis {axis!r}, got {reference_hz!r}"
        )
    return checks.number("reference_hz", reference_hz, above=0, minimum=LOWEST, maximum=HIGHEST)


def _half(lowest):
    """An octave below the lowest positive frequency; anywhere where there is none."""
    return 0.5 * lowest if np.isfinite(lowest) else 1.0

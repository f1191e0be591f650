"""Argument checks: the one home of shape and dtype rules.

Every message names the argument, the rule, and the value received.
"""

from __future__ import annotations

import operator
from collections.abc import Collection
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from . import backend
from .hints import Array, ArrayLike

T = TypeVar("T", bound=Any)

CONTROLS = {code: repr(chr(code))[1:-1] for code in (*range(32), 127)}  # names may have them
LOUDEST = 1e12  # what a sound may reach: its powers stay numbers in float32
LARGEST_AMPLITUDE = 1e15  # of a partial


class ParameterError(ValueError):
    """An argument breaks a rule; the message names the argument, the rule and the value."""

    def __init__(self, line: str) -> None:
        super().__init__(line.translate(CONTROLS))


def float_array(
    name: str,
    value: ArrayLike,
    ndim: int | tuple[int, ...],
    *,
    dtype: DTypeLike | None = None,
    infinite: bool = False,
    largest: float | dict[int, float] | None = None,
) -> Array:
    """Return `value` as a contiguous float32 or float64 array, or raise.

    An array on a device stays there, in float32, and its numbers are not looked at.

    Parameters
    ----------
    name : str
        Name of the argument, for the message.
    value : array_like
        Real numbers; float32 stays float32, everything else becomes float64.
    ndim : int or tuple of int
        Allowed numbers of dimensions.
    dtype : dtype, optional
        Convert to this one instead.
    infinite : bool
        Allow infinities, but never NaN.
    largest : float or dict of int to float, optional
        What no number may go beyond, or that for each size of a float in bytes.

    Raises
    ------
    ParameterError
        If the array is not real, is empty, has another rank, or holds NaN or infinity.
    """
    allowed = (ndim,) if isinstance(ndim, int) else ndim
    array: Any = value if backend.on_device(value) else real_array(name, value)
    if array.ndim not in allowed:
        wanted = " or ".join(str(n) for n in allowed)
        raise ParameterError(f"{name} must have {wanted} dimension(s), got shape {array.shape}")
    if array.size == 0:
        raise ParameterError(f"{name} must not be empty, got shape {array.shape}")
    if backend.on_device(value):
        return backend.given(name, value, dtype or np.float32)
    if dtype is None:
        dtype = np.float32 if array.dtype == np.float32 else np.float64
    given = array
    if array.dtype == dtype:
        array = np.asarray(array, order="C")
    else:
        with np.errstate(over="ignore"):  # to infinity, which is refused
            array = np.asarray(array, dtype=dtype, order="C")
    limit = largest[array.dtype.itemsize] if isinstance(largest, dict) else largest
    if limit is not None and array.max() <= limit and array.min() >= -limit:  # then finite too
        return array if array.flags.writeable else array.copy()
    good, rule = (~np.isnan(array), "not be NaN") if infinite else (np.isfinite(array), "be finite")
    if not good.all():
        first = np.unravel_index(int(good.argmin()), array.shape)
        where = ", ".join(str(int(i)) for i in first)
        rule = rule if not np.isfinite(given[first]) else f"be numbers of {array.dtype}"
        raise ParameterError(f"{name} must {rule}, got {given[first]} at index ({where})")
    if limit is not None:
        most = max(array.max(), -array.min())
        raise ParameterError(f"{name} must be within +-{limit:g}, got {most:g}")
    # kernels would be compiled once more for what cannot be written to
    return array if array.flags.writeable else array.copy()


def level_array(
    name: str,
    value: ArrayLike,
    ndim: int | tuple[int, ...],
    *,
    dtype: DTypeLike | None = None,
    largest: float | dict[int, float] = LOUDEST,
) -> Array:
    """Return a `float_array` of sound or of other levels."""
    return float_array(name, value, ndim, dtype=dtype, largest=largest)


def gradient_fits(name: str, gradient: Array) -> Array:
    """Return a gradient, or raise if that of `name`, which it is made of, led beyond its dtype."""
    if not (backend.on_device(gradient) or np.isfinite(gradient).all()):
        raise ParameterError(f"{name} must be smaller: its gradient is beyond {gradient.dtype}")
    return gradient


def real_array(name: str, value: ArrayLike) -> NDArray[Any]:
    """The array of real numbers that this is, or raise."""
    if np.ma.is_masked(value):
        raise ParameterError(f"{name} must not be masked: fill what is missing first")
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise ParameterError(f"{name} must be an array of real numbers ({error})") from None
    if array.dtype.kind not in "fiub":
        raise ParameterError(f"{name} must hold real numbers, got dtype {array.dtype}")
    return array


def same_shape(name: str, array: NDArray[Any], shape: tuple[int, ...]) -> None:
    """Raise unless `array` has exactly `shape`."""
    if array.shape != tuple(shape):
        raise ParameterError(f"{name} must have shape {tuple(shape)}, got {array.shape}")


def same_place(name: str, array: object, other_name: str, other: object) -> None:
    """Raise if one of two arrays is on a device and the other is not."""
    if backend.on_device(array) != backend.on_device(other):
        where = "on a device" if backend.on_device(other) else "in memory"
        raise ParameterError(f"{name} must be {where}, as {other_name} is, got {type(array)}")


def integer(name: str, value: Any, minimum: int) -> int:
    """Return `value` as an int of at least `minimum`, or raise."""
    try:
        number = operator.index(value)
    except TypeError:
        raise ParameterError(f"{name} must be an integer, got {value!r}") from None
    if number < minimum:
        raise ParameterError(f"{name} must be at least {minimum}, got {number}")
    return number


def number(
    name: str,
    value: Any,
    *,
    above: float | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
) -> float:
    """Return `value` as a finite float within its bounds, or raise."""
    try:
        result = float(value)
    except (TypeError, ValueError):
        raise ParameterError(f"{name} must be a number, got {value!r}") from None
    if not np.isfinite(result):
        raise ParameterError(f"{name} must be finite, got {result}")
    if above is not None and result <= above:
        raise ParameterError(f"{name} must be above {above:g}, got {result:g}")
    if minimum is not None and result < minimum:
        raise ParameterError(f"{name} must be at least {minimum:g}, got {result:g}")
    if maximum is not None and result > maximum:
        raise ParameterError(f"{name} must be at most {maximum:g}, got {result:g}")
    return result


def step(step_ms: float | None, hop_length: float | None) -> tuple[float | None, float | None]:
    """Return both, one of which is None: 10 ms if neither is given; or raise."""
    if hop_length is None:
        return number("step_ms", 10.0 if step_ms is None else step_ms, above=0), None
    if step_ms is not None:
        raise ParameterError(
            f"step_ms and hop_length exclude each other, got {step_ms!r} and {hop_length!r}"
        )
    return None, number("hop_length", hop_length, above=0)


def one_of(name: str, value: T, choices: Collection[object]) -> T:
    """Return `value` if it is among `choices`, or raise."""
    if np.ndim(value) > 0 or value not in choices:  # an array would have no truth value
        listed = ", ".join(repr(c) for c in choices)
        raise ParameterError(f"{name} must be one of {listed}, got {value!r}")
    return value

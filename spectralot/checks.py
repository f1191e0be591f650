"""Argument checks: the one home of shape and dtype rules.

Every message names the argument, the rule, and the value received.
"""

import operator

import numpy as np

from . import backend


class ParameterError(ValueError):
    """An argument breaks a rule; the message names the argument, the rule and the value."""


def float_array(name, value, ndim, *, dtype=None, infinite=False):
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

    Raises
    ------
    ParameterError
        If the array is not real, is empty, has another rank, or holds NaN or infinity.
    """
    allowed = (ndim,) if isinstance(ndim, int) else ndim
    array = value if backend.on_device(value) else real_array(name, value)
    if array.ndim not in allowed:
        wanted = " or ".join(str(n) for n in allowed)
        raise ParameterError(f"{name} must have {wanted} dimension(s), got shape {array.shape}")
    if array.size == 0:
        raise ParameterError(f"{name} must not be empty, got shape {array.shape}")
    if backend.on_device(value):
        return backend.given(name, value, dtype or np.float32)
    if dtype is None:
        dtype = np.float32 if array.dtype == np.float32 else np.float64
    array = np.asarray(array, dtype=dtype, order="C")
    good, rule = (~np.isnan(array), "not be NaN") if infinite else (np.isfinite(array), "be finite")
    if not good.all():
        first = np.unravel_index(int(good.argmin()), array.shape)
        where = ", ".join(str(int(i)) for i in first)
        raise ParameterError(f"{name} must {rule}, got {array[first]} at index ({where})")
    return array


def real_array(name, value):
    """The array of real numbers that this is, or raise."""
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise ParameterError(f"{name} must be an array of real numbers ({error})") from None
    if array.dtype.kind not in "fiub":
        raise ParameterError(f"{name} must hold real numbers, got dtype {array.dtype}")
    return array


def same_shape(name, array, shape):
    """Raise unless `array` has exactly `shape`."""
    if array.shape != tuple(shape):
        raise ParameterError(f"{name} must have shape {tuple(shape)}, got {array.shape}")


def same_place(name, array, other_name, other):
    """Raise if one of two arrays is on a device and the other is not."""
    if backend.on_device(array) != backend.on_device(other):
        where = "on a device" if backend.on_device(other) else "in memory"
        raise ParameterError(f"{name} must be {where}, as {other_name} is, got {type(array)}")


def integer(name, value, minimum):
    """Return `value` as an int of at least `minimum`, or raise."""
    try:
        number = operator.index(value)
    except TypeError:
        raise ParameterError(f"{name} must be an integer, got {value!r}") from None
    if number < minimum:
        raise ParameterError(f"{name} must be at least {minimum}, got {number}")
    return number


def number(name, value, *, above=None, minimum=None, maximum=None):
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


def step(step_ms, hop_length):
    """Return both, one of which is None: 10 ms if neither is given; or raise."""
    if hop_length is None:
        return number("step_ms", 10.0 if step_ms is None else step_ms, above=0), None
    if step_ms is not None:
        raise ParameterError(
            f"step_ms and hop_length exclude each other, got {step_ms!r} and {hop_length!r}"
        )
    return None, number("hop_length", hop_length, above=0)


def one_of(name, value, choices):
    """Return `value` if it is among `choices`, or raise."""
    if np.ndim(value) > 0 or value not in choices:  # an array would have no truth value
        listed = ", ".join(repr(c) for c in choices)
        raise ParameterError(f"{name} must be one of {listed}, got {value!r}")
    return value

"""Where arrays live: in memory, or on a CUDA device; and what follows from that.

A function works where its arrays are, and what it returns stays there. On a device all is float32
but frequencies, places and what transport adds up, and values are not looked at: a check would have
to wait for the device.
"""

from __future__ import annotations

import importlib.util
from importlib import import_module
from types import ModuleType
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

DEVICES = ("auto", "cpu", "cuda")


def on_device(*arrays: object) -> bool:
    """Whether one of these is an array on a CUDA device, by any library."""
    return any(
        hasattr(array, "__cuda_array_interface__") or hasattr(array, "__cuda_ndarray__")
        for array in arrays
    )


def kernels(name: str, like: object) -> ModuleType:
    """The compiled functions of this name, for arrays where `like` lives."""
    return import_module(f"{__package__}.{'cuda' if on_device(like) else 'cpu'}.{name}")


def _device():
    return import_module(f"{__package__}.cuda.arrays")


def empty(shape: int | tuple[int, ...], dtype: DTypeLike, like: object) -> Any:
    """A new array where `like` lives."""
    return _device().empty(shape, dtype) if on_device(like) else np.empty(shape, dtype)


def zeros(shape: int | tuple[int, ...], dtype: DTypeLike, like: object) -> Any:
    """Zeros where `like` lives."""
    if not on_device(like):
        return np.zeros(shape, dtype)
    array = _device().empty(shape, dtype)
    _device().fill(array, 0)
    return array


def constant(array: Any, like: object) -> Any:
    """This array, which nobody changes, where `like` lives; taken there once."""
    return _device().constant(array) if on_device(like) else array


def to_device(array: NDArray[Any]) -> Any:
    """A copy of an array in memory on the device."""
    return _device().cuda.to_device(np.ascontiguousarray(array))


def where(array: NDArray[Any], like: object) -> Any:
    """A copy of an array in memory where `like` lives: itself, or one on the device."""
    return to_device(array) if on_device(like) else array


def given(name: str, array: Any, dtype: DTypeLike) -> Any:
    """An array of the caller's on a device, contiguous and of this dtype."""
    return _device().given(name, array, dtype)


def copy(array: Any) -> Any:
    """The same numbers in a new array, where `array` lives."""
    if not on_device(array):
        return array.copy()
    other = _device().empty(array.shape, array.dtype)
    _device().copy(array, other)
    return other


def add(total: Any, more: Any, factor: float = 1.0) -> Any:
    """total += factor * more, in place; `more` may be used up. A total of None is 0."""
    if total is None:
        return scale(more, factor)
    if on_device(total):
        _device().add(total, more, factor)
    else:
        total += scale(more, factor)
    return total


def scale(array: Any, factor: float) -> Any:
    """array *= factor, in place."""
    if factor != 1:
        if on_device(array):
            _device().scale(array, factor)
        else:
            array *= factor if isinstance(array, float) else array.dtype.type(factor)
    return array


def add_means(total: Any, rows: Any) -> Any:
    """Total, of None or an array (...), plus the means along the last axis of rows (...,T)."""
    if on_device(rows):
        return _device().add_means(total, rows)
    return (0.0 if total is None else total) + rows.mean(axis=-1)


def to_host(array: Any) -> Any:
    """The same numbers in memory."""
    return array.copy_to_host() if on_device(array) else array


def cuda_missing() -> str | None:
    """Why there is no CUDA device to be used, in one line; None if there is one."""
    from numba import config

    if not config.ENABLE_CUDASIM and importlib.util.find_spec("numba_cuda") is None:
        return "numba-cuda is not installed (pip install 'spectralot[cuda]')"
    from numba import cuda

    if cuda.is_available():
        return None
    reason = " ".join(str(cuda.cuda_error() or "no device answers").split())
    return f"no CUDA device is available: {reason}"


def chosen(device: Literal["auto", "cpu", "cuda"]) -> Literal["cpu", "cuda"]:
    """ "cpu" or "cuda", as asked for; "auto" is "cuda" where there is one.

    Raises
    ------
    ParameterError
        If "cuda" was asked for and is missing, or there is no such device.
    """
    from . import checks

    checks.one_of("device", device, DEVICES)
    missing = None if device == "cpu" else cuda_missing()
    if device == "cuda" and missing:
        raise checks.ParameterError(f"device 'cuda' cannot be had: {missing}")
    return "cpu" if device == "cpu" or missing else "cuda"

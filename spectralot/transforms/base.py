"""What all transforms share."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any, NoReturn

import numpy as np

from .. import checks
from ..hints import Array, ArrayLike, Padding
from ..stft import frame_count, frame_times

__all__ = ["Transform"]


class Transform:
    """What the transforms share.

    A subclass stores its arguments and `frequencies_hz` by ``_set`` and gives ``_forward(x)``,
    ``_backward(d_magnitude, saved)`` and ``_frame_length``, in samples.
    """

    frequencies_hz: Array
    sample_rate: float
    hop_length: int
    padding: Padding
    power: int
    _frame_length: int
    _forward: Callable[..., Any]
    _backward: Callable[..., Any]

    def _set(self, **values):
        """Store checked values for good."""
        self.__dict__.update(values)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a {type(self).__name__} cannot be changed: make another one")

    def __repr__(self) -> str:
        arguments = (f"{n}={getattr(self, n)!r}" for n in signature(type(self)).parameters)
        return f"{type(self).__name__}({', '.join(arguments)})"

    def forward(self, x: ArrayLike) -> tuple[Array, Any]:
        """Magnitude of the transform.

        Parameters
        ----------
        x : array_like, shape (N,) or (B, N)
            Signals; float32 stays float32, anything else becomes float64.

        Returns
        -------
        magnitude : ndarray, shape (T, K) or (B, T, K)
            Or its square with power 2; in the dtype of `x`.
        saved
            For `backward`.

        Raises
        ------
        ParameterError
            If `x` is empty, not finite, or with padding "none" shorter than a frame.
        """
        return self._forward(checks.float_array("x", x, (1, 2)))

    def backward(self, d_magnitude: ArrayLike, saved: Any) -> Array:
        """Gradient of a scalar with respect to the signal, given that of the magnitude.

        Parameters
        ----------
        d_magnitude : array_like, shape (T, K) or (B, T, K)
            Gradient with respect to what `forward` returned.
        saved
            From `forward`.

        Returns
        -------
        d_x : ndarray, shape (N,) or (B, N)
            In the dtype of the signal. A bin of magnitude 0 has gradient 0.

        Raises
        ------
        ParameterError
            If `d_magnitude` is not finite or has another shape than the magnitude.
        """
        dtype, shape = saved.magnitude.dtype, saved.magnitude.shape[not saved.batched : -1]
        shape = (*shape, len(self.frequencies_hz))
        d_magnitude = checks.float_array("d_magnitude", d_magnitude, len(shape), dtype=dtype)
        checks.same_shape("d_magnitude", d_magnitude, shape)
        return self._backward(d_magnitude, saved)

    def frame_times(self, n_samples: int) -> Array:
        """Centre of each frame in seconds.

        Parameters
        ----------
        n_samples : int
            Length N of the signal.

        Returns
        -------
        ndarray, shape (T,), float64
            As `spectralot.frame_times` has them.

        Raises
        ------
        ParameterError
            If `n_samples` is not positive, or with padding "none" shorter than a frame.
        """
        options: dict = dict(
            n_fft=self._frame_length, hop_length=self.hop_length, padding=self.padding
        )
        n_frames = frame_count(n_samples, **options)
        return frame_times(n_frames, sample_rate=self.sample_rate, **options)


def _constant(array):
    """The array, write-protected."""
    array = np.array(array)
    array.setflags(write=False)
    return array


def _trimmed(values, share):
    """First index above a share of the largest absolute value, and the values to the last one."""
    size = np.abs(values)
    above = np.flatnonzero(size > share * size.max())
    return (0, values[:0]) if len(above) == 0 else (above[0], values[above[0] : above[-1] + 1])


def _joined(bands):
    """Bands (low, values) as arrays: low, where each band's values begin, all values."""
    begin = np.cumsum([0, *(len(values) for _, values in bands)])
    low = np.array([low for low, _ in bands], np.int64)
    return low, begin, np.concatenate([values for _, values in bands])

"""The short-time Fourier transform as an object."""

from __future__ import annotations

from typing import Literal

import numpy as np

from .. import checks
from ..hints import Padding, Window
from ..stft import PADDINGS, _window, stft_magnitude_backward, stft_magnitude_forward
from .base import Transform, _constant

__all__ = ["STFT"]


class STFT(Transform):
    """Short-time Fourier transform, divided by ``sqrt(n_fft)``.

    Parameters
    ----------
    n_fft : int
        Frame length in samples; any size.
    hop_length : int, optional
        Step between frames in samples; by default ``n_fft // 4``.
    window : str, tuple or array_like, shape (n_fft,)
        As in `spectralot.stft_magnitude_forward`.
    padding : {"end", "center", "none"}
        As in `spectralot.frame_count`.
    power : {1, 2}
        1 for the magnitude, 2 for its square.
    sample_rate : float
        Samples per second.

    Attributes
    ----------
    frequencies_hz : ndarray, shape (K,), float64
        Frequencies of the K = n_fft // 2 + 1 bins.

    Raises
    ------
    ParameterError
        If an argument is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from spectralot.transforms import STFT
    >>> transform = STFT(2048, hop_length=256)
    >>> magnitude, saved = transform.forward(np.sin(np.arange(4096)))
    >>> magnitude.shape, transform.frequencies_hz[-1]
    ((16, 1025), np.float64(8000.0))
    >>> transform.backward(np.ones_like(magnitude), saved).shape
    (4096,)
    """

    n_fft: int
    window: Window

    def __init__(
        self,
        n_fft: int,
        *,
        hop_length: int | None = None,
        window: Window = "hann",
        padding: Padding = "end",
        power: Literal[1, 2] = 1,
        sample_rate: float = 16000,
    ) -> None:
        n_fft = checks.integer("n_fft", n_fft, 2)
        hop_length = max(1, n_fft // 4) if hop_length is None else hop_length
        window = window if isinstance(window, (str, tuple)) else _constant(window)
        _window(window, n_fft, np.float64)  # raises if there is no such window
        sample_rate = checks.number("sample_rate", sample_rate, above=0)
        self._set(
            n_fft=n_fft,
            hop_length=checks.integer("hop_length", hop_length, 1),
            window=window,
            padding=checks.one_of("padding", padding, PADDINGS),
            power=int(checks.one_of("power", power, (1, 2))),
            sample_rate=sample_rate,
            frequencies_hz=_constant(np.arange(n_fft // 2 + 1) * sample_rate / n_fft),
            _frame_length=n_fft,
        )

    def _forward(self, x):
        return stft_magnitude_forward(
            x, n_fft=self.n_fft, hop_length=self.hop_length, window=self.window,
            padding=self.padding, power=self.power,
        )  # fmt: skip

    def _backward(self, d_magnitude, saved):
        return stft_magnitude_backward(d_magnitude, saved)

"""Mel bands."""

from __future__ import annotations

from typing import Literal

import numpy as np

from .. import checks
from ..axes import MEL_CORNER, MEL_SCALE, axis_positions
from ..checks import ParameterError
from ..cpu import mel as cpu
from ..hints import Padding, Window
from .base import Transform, _constant, _joined, _trimmed
from .stft import STFT

__all__ = ["Mel"]


class Mel(Transform):
    """Triangular bands, equally spaced in mel, over an STFT.

    Feet and tips stand at equal steps of the "mel" axis (`spectralot.axes.axis_positions`), tips
    have height 1. Neighbours add up to 1, so between the first and the last tip bands hold the
    mass of the bins, which is what transport wants; bands of area 1 do not.

    Parameters
    ----------
    n_bands : int
        Number K of bands.
    n_fft : int
        Frame length in samples.
    hop_length, window, padding, power
        As in `STFT`. With power 2 the bands are sums of squared magnitudes.
    fmin, fmax : float
        Lower foot of the first and upper foot of the last band, in Hz; `fmax` is by default half
        the sample rate.
    sample_rate : float
        Samples per second.

    Attributes
    ----------
    frequencies_hz : ndarray, shape (K,), float64
        Tips of the bands.

    Raises
    ------
    ParameterError
        If an argument is out of range, or a band contains no bin of the STFT.

    References
    ----------
    Davis, Mermelstein, IEEE Transactions on Acoustics, Speech, and Signal Processing 28(4), 1980
    (triangular bands); O'Shaughnessy, Speech Communication, 1987 (the formula for mel).

    Examples
    --------
    >>> import numpy as np
    >>> from spectralot.transforms import Mel
    >>> magnitude, saved = Mel(80, 2048, power=2).forward(np.sin(np.arange(4096)))
    >>> magnitude.shape
    (8, 80)
    """

    n_bands: int
    n_fft: int
    window: Window
    fmin: float

    def __init__(
        self,
        n_bands: int,
        n_fft: int,
        *,
        hop_length: int | None = None,
        window: Window = "hann",
        padding: Padding = "end",
        power: Literal[1, 2] = 1,
        fmin: float = 0,
        fmax: float | None = None,
        sample_rate: float = 16000,
    ) -> None:
        stft = STFT(
            n_fft, hop_length=hop_length, window=window, padding=padding, power=power,
            sample_rate=sample_rate,
        )  # fmt: skip
        n_bands = checks.integer("n_bands", n_bands, 1)
        nyquist = stft.sample_rate / 2
        fmax = nyquist if fmax is None else checks.number("fmax", fmax, above=0)
        fmin = checks.number("fmin", fmin, minimum=0)
        if fmax > nyquist:
            limit = f"sample_rate / 2 = {nyquist:g} Hz"
            raise ParameterError(f"fmax must be at most {limit}, got {fmax:g}")
        if fmin >= fmax:
            raise ParameterError(f"fmin must be below fmax = {fmax:g} Hz, got {fmin:g}")
        low, high = axis_positions([fmin, fmax], "mel")
        corners = MEL_CORNER * np.expm1(np.linspace(low, high, n_bands + 2) / MEL_SCALE)
        bands = [_triangle(stft.frequencies_hz, corners[m : m + 3]) for m in range(n_bands)]
        for m, (_, weights) in enumerate(bands):
            if len(weights) == 0:
                raise ParameterError(
                    f"n_bands must leave each band a bin of the STFT with n_fft {stft.n_fft}, got "
                    f"{n_bands}: none between {corners[m]:.1f} and {corners[m + 2]:.1f} Hz"
                )
        self.__dict__.update(vars(stft))
        self._set(
            n_bands=n_bands, fmin=fmin, fmax=fmax, frequencies_hz=_constant(corners[1:-1]),
            _stft=stft, _bands=_joined(bands),
        )  # fmt: skip

    def _forward(self, x):
        magnitude, saved = self._stft.forward(x)
        low, begin, weights = self._bands
        rows = magnitude.reshape(-1, magnitude.shape[-1])
        bands = np.empty((len(rows), self.n_bands), rows.dtype)
        cpu.bands_forward(rows, weights.astype(rows.dtype), begin, low, bands)
        return bands.reshape(*magnitude.shape[:-1], -1), saved

    def _backward(self, d_magnitude, saved):
        low, begin, weights = self._bands
        d_bins = np.empty((*d_magnitude.shape[:-1], saved.magnitude.shape[-1]), d_magnitude.dtype)
        cpu.bands_backward(
            d_magnitude.reshape(-1, self.n_bands), weights.astype(d_bins.dtype), begin, low,
            d_bins.reshape(-1, d_bins.shape[-1]),
        )  # fmt: skip
        return self._stft.backward(d_bins, saved)


def _triangle(frequencies_hz, corners):
    """Lowest bin of a band and the weights from there on."""
    left, tip, right = corners
    weights = np.interp(frequencies_hz, [left, tip, right], [0.0, 1.0, 0.0])
    return _trimmed(weights, 0.0)

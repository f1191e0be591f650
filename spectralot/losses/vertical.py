"""Losses that compare magnitudes bin by bin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from .. import backend, checks
from ..axes import a_weighting_db
from ..checks import ParameterError
from ..cpu import vertical as cpu
from ..hints import Padding, Window
from ..stft import (
    _chunk,
    _offset,
    _scratch,
    _window,
    stft_magnitude_backward,
    stft_magnitude_forward,
)
from .base import SpectralLoss

__all__ = ["LIN", "LOG", "MSS", "SIZES"]

SIZES = (2048, 1024, 512, 256, 128, 64)


class _Vertical(SpectralLoss):
    """Magnitudes times gains, compared bin by bin at one or several frame lengths.

    A subclass gives ``_kernel(magnitude, target, gains, weight, values, d_magnitude)``, which
    fills the means over bins of R frames and `weight` times the gradients of their sums.
    """

    def __init__(
        self, n_fft, hop_length, window, padding, weighting, sample_rate, *, overlap=4, gain=1.0
    ):
        sizes = (n_fft,) if np.ndim(n_fft) == 0 else tuple(n_fft)
        if not sizes:
            raise ParameterError(f"n_fft must name at least one size, got {n_fft!r}")
        sizes = [checks.integer("n_fft", n, overlap) for n in sizes]
        super().__init__(
            [
                dict(
                    n_fft=n,
                    hop_length=n // overlap if hop_length is None else hop_length,
                    window=window,
                    padding=padding,
                )
                for n in sizes
            ]
        )
        checks.one_of("weighting", weighting, (None, "A"))
        sample_rate = checks.number("sample_rate", sample_rate, above=0)
        self._gains = {
            n: gain * _curve(np.arange(n // 2 + 1) * (sample_rate / n), weighting) for n in sizes
        }

    def _compare(self, spectrum, estimate, stft, d_estimate):
        """Values of the frames; the gradient of their mean is added to d_estimate."""
        if backend.on_device(estimate):
            raise ParameterError(
                f"estimate must be in memory for {type(self).__name__}, whose kernels are of the "
                "CPU alone, got one on a device"
            )
        magnitude, saved = stft_magnitude_forward(estimate, **stft)
        target = spectrum.astype(magnitude.dtype, copy=False)
        values, slopes = np.empty(magnitude.shape[:-1]), np.empty_like(magnitude)
        rows = (-1, magnitude.shape[-1])
        self._kernel(
            magnitude.reshape(rows), target.reshape(rows), self._gains[stft["n_fft"]],
            1 / magnitude.size, values.reshape(-1), slopes.reshape(rows),
        )  # fmt: skip
        d_estimate += stft_magnitude_backward(slopes, saved)
        return values


def _curve(frequencies_hz, weighting):
    """Gain at each frequency."""
    if weighting is None:
        return np.ones(len(frequencies_hz))
    return 10 ** (a_weighting_db(frequencies_hz) / 20)


class _Absolute(_Vertical):
    """linear * |e - t| + log * |ln e - ln t|, averaged over bins and frames, summed over sizes."""

    def __init__(
        self, n_fft, hop_length, window, padding, weighting, sample_rate, linear, log, floor
    ):
        super().__init__(n_fft, hop_length, window, padding, weighting, sample_rate)
        self._linear, self._log = linear, log
        self._floor = checks.number("floor", floor, above=0)
        self._fused = weighting is None

    def _kernel(self, magnitude, target, gains, weight, values, d_magnitude):
        cpu.absolute(
            magnitude, target, gains, self._linear, self._log, self._floor, weight, values,
            d_magnitude,
        )  # fmt: skip

    def _compare(self, spectrum, estimate, stft, d_estimate):
        """Without weights spectra need not leave the cache."""
        if not self._fused:
            return super()._compare(spectrum, estimate, stft, d_estimate)
        x, d_x = (a.reshape(-1, a.shape[-1]) for a in (estimate, d_estimate))  # views
        if not backend.on_device(x):
            spectrum = spectrum.astype(x.dtype, copy=False)
        target, n_fft = spectrum.reshape(len(x), *spectrum.shape[-2:]), stft["n_fft"]
        B, T, K = target.shape
        values = backend.empty((B, T), np.float64, x)
        frames, spectra = _scratch(x, T, n_fft)
        number = x.dtype.type  # float64 numbers would draw the kernel's arithmetic to float64
        backend.kernels("stft", x).vertical_loss(
            x, target, backend.constant(_window(stft["window"], n_fft, x.dtype), x),
            stft["hop_length"], _offset(n_fft, stft["padding"]), 1 / np.sqrt(n_fft),
            number(self._linear), number(self._log), number(self._floor), number(1 / (B * T * K)),
            _chunk(x.shape, n_fft), frames, spectra, np.empty((len(frames), 3, K), x.dtype),
            values, d_x,
        )  # fmt: skip
        return values.reshape(spectrum.shape[:-1])


class LIN(_Absolute):
    r"""Mean absolute difference of magnitude spectra, bin by bin.

    .. math:: L = \sum_n \frac{1}{BTK} \sum_{b,t,k} \big| |Y| - |X| \big|

    Parameters
    ----------
    n_fft : int or sequence of int
        Frame length, or several, whose values add up.
    hop_length : int, optional
        Step between frames; default ``n_fft // 4``.
    window : str, tuple or array_like
        As in `spectralot.stft_magnitude_forward`.
    padding : {"end", "center", "none"}
        As in `spectralot.frame_count`.
    weighting : {None, "A"}
        "A": both spectra pass the A curve first, so that bins count as the ear hears them.
    sample_rate : float
        In Hz; only the A curve depends on it.

    Raises
    ------
    ParameterError
        If an argument breaks its rule.

    References
    ----------
    Engel et al., DDSP, ICLR 2020, arXiv:2001.04643, section 3 (linear term).

    Examples
    --------
    >>> import numpy as np
    >>> from spectralot import LIN
    >>> value, d_estimate = LIN(512)(np.zeros(4096), np.zeros(4096))
    >>> value
    0.0
    """

    def __init__(
        self,
        n_fft: int | Sequence[int] = SIZES,
        *,
        hop_length: int | None = None,
        window: Window = "hann",
        padding: Padding = "end",
        weighting: Literal["A"] | None = None,
        sample_rate: float = 16000,
    ) -> None:
        super().__init__(
            n_fft, hop_length, window, padding, weighting, sample_rate,
            linear=1.0, log=0.0, floor=1e-5,
        )  # fmt: skip


class LOG(_Absolute):
    r"""Mean absolute difference of log magnitudes, bin by bin.

    .. math:: L = \sum_n \frac{1}{BTK} \sum_{b,t,k}
              \big| \ln \max(|Y|, \epsilon) - \ln \max(|X|, \epsilon) \big|

    Parameters
    ----------
    n_fft : int or sequence of int
        Frame length, or several, whose values add up.
    hop_length : int, optional
        Step between frames; default ``n_fft // 4``.
    window : str, tuple or array_like
        As in `spectralot.stft_magnitude_forward`.
    padding : {"end", "center", "none"}
        As in `spectralot.frame_count`.
    floor : float
        Smallest magnitude that counts; below it the gradient is 0.
    weighting : {None, "A"}
        "A": both spectra pass the A curve first. That cancels in the logarithms, but not in the
        floor: bins that the ear does not hear count nothing.
    sample_rate : float
        In Hz; only the A curve depends on it.

    Raises
    ------
    ParameterError
        If an argument breaks its rule.

    References
    ----------
    Engel et al., DDSP, ICLR 2020, arXiv:2001.04643, section 3 (logarithmic term).

    Examples
    --------
    >>> import numpy as np
    >>> from spectralot import LOG
    >>> value, d_estimate = LOG(512)(np.zeros(4096), np.zeros(4096))
    >>> value
    0.0
    """

    def __init__(
        self,
        n_fft: int | Sequence[int] = SIZES,
        *,
        hop_length: int | None = None,
        window: Window = "hann",
        padding: Padding = "end",
        floor: float = 1e-5,
        weighting: Literal["A"] | None = None,
        sample_rate: float = 16000,
    ) -> None:
        super().__init__(
            n_fft, hop_length, window, padding, weighting, sample_rate,
            linear=0.0, log=1.0, floor=floor,
        )  # fmt: skip


class MSS(_Absolute):
    """Multi-scale spectral loss: `LIN` plus `LOG`, summed over several sizes.

    Parameters
    ----------
    n_fft : int or sequence of int
        Frame lengths, whose values add up.
    hop_length : int, optional
        Step between frames; default a quarter of each size.
    window : str, tuple or array_like
        As in `spectralot.stft_magnitude_forward`.
    padding : {"end", "center", "none"}
        As in `spectralot.frame_count`.
    floor : float
        Smallest magnitude that counts in the logarithm.
    weighting : {None, "A"}
        "A": both spectra pass the A curve first, so that bins count as the ear hears them.
    sample_rate : float
        In Hz; only the A curve depends on it.

    Raises
    ------
    ParameterError
        If an argument breaks its rule.

    References
    ----------
    Engel et al., DDSP, ICLR 2020, arXiv:2001.04643, section 3.

    Examples
    --------
    >>> import numpy as np
    >>> from spectralot import MSS
    >>> value, d_estimate = MSS()(np.zeros(4096), np.zeros(4096))
    >>> value
    0.0
    """

    def __init__(
        self,
        n_fft: int | Sequence[int] = SIZES,
        *,
        hop_length: int | None = None,
        window: Window = "hann",
        padding: Padding = "end",
        floor: float = 1e-5,
        weighting: Literal["A"] | None = None,
        sample_rate: float = 16000,
    ) -> None:
        super().__init__(
            n_fft, hop_length, window, padding, weighting, sample_rate,
            linear=1.0, log=1.0, floor=floor,
        )  # fmt: skip

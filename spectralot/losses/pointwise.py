"""Losses that compare magnitudes bin by bin, other than by absolute differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from .. import checks
from ..cpu import vertical as cpu
from ..hints import Padding, Window
from ..stft import stft_magnitude_backward, stft_magnitude_forward
from .vertical import _Vertical

__all__ = ["PRIMES", "LogCosh", "SmoothMSS", "SpectralConvergence"]

PRIMES = (67, 127, 257, 509, 1021, 2053)
_SILENT = 1e-30  # a target's norm up to which nothing is relative to it; float32 stays finite


class SmoothMSS(_Vertical):
    r"""Smooth multi-scale spectral loss: mean square of the difference of compressed magnitudes.

    .. math:: L = \sum_n \frac{1}{BTK} \sum_{b,t,k}
              \big(\ln(1 + \gamma |Y|) - \ln(1 + \gamma |X|)\big)^2

    Flat-top windows, sizes without common factors and squares leave fewer ripples over f0 than
    `MSS` has, and no kink at the minimum.

    Parameters
    ----------
    n_fft : int or sequence of int
        Frame lengths, of any size from 2, whose values add up.
    hop_length : int, optional
        Step between frames; default half of each size, rounded down.
    window : str, tuple or array_like
        As in `spectralot.stft_magnitude_forward`.
    padding : {"end", "center", "none"}
        As in `spectralot.frame_count`.
    gain : float
        Factor :math:`\gamma` of the magnitudes, which are orthonormal (divided by the root of
        n_fft). Those well below its inverse are compared linearly, those above logarithmically.
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
    Schwär, Müller, "Multi-Scale Spectral Loss Revisited", IEEE Signal Processing Letters 30,
    2023. There the norm of the difference is taken and magnitudes are not normalised; here
    docs/derivations/vertical.md, equations 4 and 5.

    Examples
    --------
    >>> import numpy as np
    >>> from spectralot.losses.pointwise import SmoothMSS
    >>> value, d_estimate = SmoothMSS()(np.zeros(4096), np.zeros(4096))
    >>> value
    0.0
    """

    def __init__(
        self,
        n_fft: int | Sequence[int] = PRIMES,
        *,
        hop_length: int | None = None,
        window: Window = "flattop",
        padding: Padding = "end",
        gain: float = 1.0,
        weighting: Literal["A"] | None = None,
        sample_rate: float = 16000,
    ) -> None:
        gain = checks.number("gain", gain, above=0)
        super().__init__(
            n_fft, hop_length, window, padding, weighting, sample_rate, overlap=2, gain=gain
        )

    def _kernel(self, *arrays):
        cpu.log1p_square(*arrays)


class LogCosh(_Vertical):
    r"""Mean logarithm of the hyperbolic cosine of the difference of magnitudes.

    .. math:: L = \sum_n \frac{1}{BTK} \sum_{b,t,k} \ln \cosh\big(|Y| - |X|\big)

    Half the square of small differences, the size of large ones (from about 1 on) less ln 2: as
    `LIN`, but smooth at the minimum.

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
    Steinmetz, Reiss, "auraloss: Audio-focused loss functions in PyTorch", DMRN+15, 2020.
    docs/derivations/vertical.md, equations 6 and 7.

    Examples
    --------
    >>> import numpy as np
    >>> from spectralot.losses.pointwise import LogCosh
    >>> value, d_estimate = LogCosh(512)(np.zeros(4096), np.zeros(4096))
    >>> value
    0.0
    """

    def __init__(
        self,
        n_fft: int | Sequence[int],
        *,
        hop_length: int | None = None,
        window: Window = "hann",
        padding: Padding = "end",
        weighting: Literal["A"] | None = None,
        sample_rate: float = 16000,
    ) -> None:
        super().__init__(n_fft, hop_length, window, padding, weighting, sample_rate)

    def _kernel(self, *arrays):
        cpu.log_cosh(*arrays)


class SpectralConvergence(_Vertical):
    r"""Distance of two magnitude spectra relative to the size of the target's.

    .. math:: L = \sum_n \frac{1}{B} \sum_b
              \frac{\| |Y_b| - |X_b| \|_F}{\| |X_b| \|_F}

    The Frobenius norms run over all frames and bins of an item. The value does not depend on the
    level, and loud bins decide. `per_frame` gives T times each frame's share of the item's value.

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

    Notes
    -----
    A silent target (norm up to 1e-30) has value 0 and gradient 0, whatever the estimate is: there
    is nothing to be relative to. Where both are equal the distance has a kink; its gradient is 0.

    References
    ----------
    Arik, Jun, Diamos, "Fast Spectrogram Inversion Using Multi-Head Convolutional Neural
    Networks", IEEE Signal Processing Letters 26, 2019, arXiv:1808.06719 (spectral convergence);
    docs/derivations/vertical.md, equations 8 and 9.

    Examples
    --------
    >>> import numpy as np
    >>> from spectralot.losses.pointwise import SpectralConvergence
    >>> target = np.sin(0.3 * np.arange(4096))
    >>> value, d_estimate = SpectralConvergence(512)(target, 0.9 * target)
    >>> round(value, 6)
    0.1
    """

    def __init__(
        self,
        n_fft: int | Sequence[int],
        *,
        hop_length: int | None = None,
        window: Window = "hann",
        padding: Padding = "end",
        weighting: Literal["A"] | None = None,
        sample_rate: float = 16000,
    ) -> None:
        super().__init__(n_fft, hop_length, window, padding, weighting, sample_rate)

    def _compare(self, spectrum, estimate, stft, d_estimate):
        """The item's factor is known only when all frames are: it is put on the way back."""
        magnitude, saved = stft_magnitude_forward(estimate, **stft)
        target = spectrum.astype(magnitude.dtype, copy=False)
        shape, rows = magnitude.shape[:-1], (-1, magnitude.shape[-1])
        apart, size, d_magnitude = np.empty(shape), np.empty(shape), np.empty_like(magnitude)
        cpu.squares(
            magnitude.reshape(rows), target.reshape(rows), self._gains[stft["n_fft"]],
            apart.reshape(-1), size.reshape(-1), d_magnitude.reshape(rows),
        )  # fmt: skip
        distance, norm = (np.sqrt(s.sum(axis=-1, keepdims=True)) for s in (apart, size))
        # an item without distance has zeros to divide
        factor = 1 / np.maximum(distance, 1e-200) / np.maximum(norm, _SILENT)
        factor = np.where(norm > _SILENT, factor, 0.0)
        d_x = stft_magnitude_backward(d_magnitude, saved)
        d_estimate += (d_x * (factor / factor.size)).astype(d_x.dtype, copy=False)
        return apart * factor * shape[-1]

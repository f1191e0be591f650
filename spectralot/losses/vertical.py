"""Losses that compare magnitudes bin by bin."""

import numpy as np

from .. import checks
from ..checks import ParameterError
from ..cpu import stft as cpu
from ..stft import _chunk, _offset, _scratch, _window
from .base import SpectralLoss

__all__ = ["LIN", "LOG", "MSS", "SIZES"]

SIZES = (2048, 1024, 512, 256, 128, 64)


class _Vertical(SpectralLoss):
    """linear * |e - t| + log * |ln e - ln t|, averaged over bins and frames, summed over sizes."""

    def __init__(self, n_fft, hop_length, window, padding, linear, log, floor):
        sizes = (n_fft,) if np.ndim(n_fft) == 0 else tuple(n_fft)
        if not sizes:
            raise ParameterError(f"n_fft must name at least one size, got {n_fft!r}")
        sizes = [checks.integer("n_fft", n, 4) for n in sizes]
        hops = [n // 4 if hop_length is None else hop_length for n in sizes]
        super().__init__(
            [
                dict(n_fft=n, hop_length=h, window=window, padding=padding)
                for n, h in zip(sizes, hops, strict=True)
            ]
        )
        self._linear, self._log = linear, log
        self._floor = checks.number("floor", floor, above=0)

    def _compare(self, spectrum, estimate, stft, d_estimate):
        """Values of the frames; the gradient of their mean is added to d_estimate."""
        x, d_x = np.atleast_2d(estimate), np.atleast_2d(d_estimate)  # views
        target = spectrum.astype(x.dtype, copy=False).reshape(len(x), *spectrum.shape[-2:])
        B, T, K = target.shape
        n_fft, values = stft["n_fft"], np.empty((B, T))
        frames, spectra = _scratch(n_fft, x.dtype)
        number = x.dtype.type  # float64 numbers would draw the kernel's arithmetic to float64
        cpu.vertical_loss(
            x, target, _window(stft["window"], n_fft, x.dtype), stft["hop_length"],
            _offset(n_fft, stft["padding"]), 1 / np.sqrt(n_fft), number(self._linear),
            number(self._log), number(self._floor), number(1 / (B * T * K)),
            _chunk(x.shape, n_fft), frames, spectra, np.empty((len(frames), 3, K), x.dtype),
            values, d_x,
        )  # fmt: skip
        return values.reshape(spectrum.shape[:-1])


class LIN(_Vertical):
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

    def __init__(self, n_fft, *, hop_length=None, window="hann", padding="end"):
        super().__init__(n_fft, hop_length, window, padding, 1.0, 0.0, 1e-5)


class LOG(_Vertical):
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

    def __init__(self, n_fft, *, hop_length=None, window="hann", padding="end", floor=1e-5):
        super().__init__(n_fft, hop_length, window, padding, 0.0, 1.0, floor)


class MSS(_Vertical):
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

    def __init__(self, n_fft=SIZES, *, hop_length=None, window="hann", padding="end", floor=1e-5):
        super().__init__(n_fft, hop_length, window, padding, 1.0, 1.0, floor)

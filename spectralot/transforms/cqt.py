"""The constant-Q transform."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numba
import numpy as np
from numpy.typing import NDArray

from .. import checks
from ..checks import ParameterError
from ..cpu import cqt as cpu
from ..hints import Array, Padding
from ..stft import LARGEST, PADDINGS, _window, frame_count
from .base import Transform, _constant, _joined, _trimmed

__all__ = ["ConstantQ"]

NEGLIGIBLE = 1e-6  # taps below this share of their kernel's largest are left out


@dataclass(frozen=True)
class ConstantQSaved:
    """What `ConstantQ.forward` hands to `ConstantQ.backward`."""

    coefficients: NDArray[np.complexfloating]
    magnitude: Array
    n_samples: int
    batched: bool


class ConstantQ(Transform):
    r"""Constant-Q transform: bins equally spaced in pitch, each with a window of as many periods.

    .. math:: |C[t, k]| = \frac{\sqrt{l_k}}{\sum_i |w_k[i]|}
              \Big| \sum_i w_k[i]\, x[\tau_t + i - \lceil l_k / 2 \rceil]\,
              e^{-2 \pi j f_k (i - \lceil l_k / 2 \rceil) / s} \Big|,\qquad
              l_k = \Big\lceil \frac{s}{f_k (2^{1/b} - 1) + \gamma} \Big\rceil

    A sine of amplitude A on a bin has the magnitude ``A sqrt(l_k) / 2``. With "center" frame t
    is centred on sample tau = ``t * hop_length``; with the other paddings the longest window plays
    the part of the frame. The defaults are the paper's features.

    Parameters
    ----------
    fmin : float
        Frequency of the lowest bin in Hz.
    n_bins : int
        Number K of bins.
    bins_per_octave : int
        Bins b in an octave.
    gamma : float
        Widens all bins, in Hz: low ones then have shorter windows (variable-Q transform).
    hop_length : int
        Step between frames in samples.
    window : str or tuple
        A name (or name and parameters) known to `scipy.signal.get_window`.
    power : {1, 2}
        1 for the magnitude, 2 for its square.
    sample_rate : float
        Samples per second s.
    padding : {"end", "center", "none"}
        As in `spectralot.frame_count`.

    Attributes
    ----------
    frequencies_hz : ndarray, shape (K,), float64
        ``fmin * 2**(k / bins_per_octave)``.
    window_lengths : ndarray, shape (K,), int64
        Samples l_k under the window of each bin.

    Raises
    ------
    ParameterError
        If an argument is out of range, or a bin is not below half the sample rate.

    Notes
    -----
    Windows are multiplied in the frequency domain, where what is below 1e-6 of a bin's largest
    number is left out. `backward` is the exact adjoint of that.

    References
    ----------
    Brown, J. Acoust. Soc. Am. 89(1), 1991, equation 5 (constant Q); Brown, Puckette, J. Acoust.
    Soc. Am. 92(5), 1992 (kernels in the frequency domain); Schörkhuber et al., *A Matlab toolbox
    for efficient perfect reconstruction time-frequency transforms*, AES 53, 2014 (gamma); Torres,
    Peeters, Richard, ICASSP 2024, arXiv:2312.14507 (these features).

    Examples
    --------
    >>> import numpy as np
    >>> from spectralot.transforms import ConstantQ
    >>> transform = ConstantQ()
    >>> x = np.sin(2 * np.pi * 440 * np.arange(4096) / 16000)
    >>> magnitude, saved = transform.forward(x)
    >>> magnitude.shape, transform.frequencies_hz[magnitude[8].argmax()].round(1)
    ((17, 285), np.float64(440.0))
    """

    fmin: float
    n_bins: int
    bins_per_octave: int
    gamma: float
    window: str | tuple[Any, ...]
    window_lengths: NDArray[np.int64]

    def __init__(
        self,
        *,
        fmin: float = 32.7,
        n_bins: int = 285,
        bins_per_octave: int = 36,
        gamma: float = 0.0,
        hop_length: int = 256,
        window: str | tuple[Any, ...] = "hann",
        power: Literal[1, 2] = 1,
        sample_rate: float = 16000,
        padding: Padding = "center",
    ) -> None:
        fmin = checks.number("fmin", fmin, above=0)
        n_bins = checks.integer("n_bins", n_bins, 1)
        bins_per_octave = checks.integer("bins_per_octave", bins_per_octave, 1)
        sample_rate = checks.number("sample_rate", sample_rate, above=0)
        if not isinstance(window, (str, tuple)):
            raise ParameterError(f"window must be a scipy window name, got {window!r}")
        frequencies_hz = fmin * 2 ** (np.arange(n_bins) / bins_per_octave)
        if frequencies_hz[-1] >= sample_rate / 2:
            raise ParameterError(
                f"n_bins must keep the highest bin below sample_rate / 2 = {sample_rate / 2:g} Hz, "
                f"got {n_bins} ({frequencies_hz[-1]:.6g} Hz)"
            )
        gamma = checks.number("gamma", gamma, minimum=0)
        widths_hz = frequencies_hz * (2 ** (1 / bins_per_octave) - 1) + gamma
        lengths = np.ceil(sample_rate / widths_hz).astype(np.int64)
        _window(window, int(lengths[-1]), np.float64)  # raises if there is no such window
        self._set(
            fmin=fmin,
            n_bins=n_bins,
            bins_per_octave=bins_per_octave,
            gamma=gamma,
            hop_length=checks.integer("hop_length", hop_length, 1),
            window=window,
            power=int(checks.one_of("power", power, (1, 2))),
            sample_rate=sample_rate,
            padding=checks.one_of("padding", padding, PADDINGS),
            frequencies_hz=_constant(frequencies_hz),
            window_lengths=_constant(lengths),
            _frame_length=int(lengths[0]),
        )

    def _octaves(self, n_frames, dtype):
        """First bin, tables and the sample where the first block starts, for each octave."""
        centre = 0 if self.padding == "center" else -(-self._frame_length // 2)
        for first in range(0, self.n_bins, self.bins_per_octave):
            part = slice(first, first + self.bins_per_octave)
            lengths = tuple(self.window_lengths[part].tolist())
            turns = tuple((self.frequencies_hz[part] / self.sample_rate).tolist())
            # blocks about twice as long as the window: longer ones leave the cache
            block = min(n_frames, max(32, -(-lengths[0] // self.hop_length)))
            octave = _octave(lengths, turns, self.window, self.hop_length, block, np.dtype(dtype))
            yield first, octave, centre - -(-lengths[0] // 2)

    def _forward(self, x):
        checks.level_array("x", x, (1, 2), largest=LARGEST[self.power])
        batched, x = x.ndim == 2, np.atleast_2d(x)
        T = frame_count(
            x.shape[1], n_fft=self._frame_length, hop_length=self.hop_length, padding=self.padding
        )
        shape = (len(x), T, self.n_bins)
        magnitude = np.empty(shape, x.dtype)
        coefficients = np.empty(shape, np.result_type(x.dtype, np.complex64))
        for first, octave, start in self._octaves(T, x.dtype):
            cpu.octave_forward(
                x, start, self.hop_length, octave.n_frames, self.power, octave.half,
                *octave.bands, *octave.scratch(), first, coefficients, magnitude,
            )  # fmt: skip
        saved = ConstantQSaved(coefficients, magnitude, x.shape[1], batched)
        return (magnitude if batched else magnitude[0]), saved

    def _backward(self, d_magnitude, saved):
        B, T, _ = saved.coefficients.shape
        d_magnitude = d_magnitude.reshape(saved.coefficients.shape)
        d_x = np.zeros((B, saved.n_samples), d_magnitude.dtype)
        for first, octave, start in self._octaves(T, d_x.dtype):
            _, *scratch = octave.scratch()
            d_blocks = np.empty((B * -(-T // octave.n_frames), octave.size), d_x.dtype)
            cpu.octave_backward(
                d_magnitude, saved.coefficients, self.hop_length, octave.n_frames, self.power,
                *octave.bands, *scratch, first, d_blocks,
            )  # fmt: skip
            cpu.add_blocks(d_blocks, start, octave.n_frames * self.hop_length, d_x)
        checks.gradient_fits("d_magnitude", d_x)
        return d_x if saved.batched else d_x[0]


@dataclass(frozen=True)
class _Octave:
    """Kernels of one octave's bins for blocks of `size` samples, as cpu/cqt.py wants them."""

    n_frames: int
    size: int
    folds: tuple  # shape
    half: np.ndarray  # samples from each kernel's centre to its start
    bands: tuple  # taps, begin, low, below
    above: int

    def scratch(self):
        """Samples, spectra and folds for each thread."""
        taps, _, _, below = self.bands
        threads = numba.config.NUMBA_NUM_THREADS
        return (
            np.empty((threads, self.size), taps.real.dtype),
            np.empty((threads, below + self.size // 2 + 1 + self.above), taps.dtype),
            np.empty((threads, *self.folds), taps.dtype),
        )


@lru_cache(maxsize=64)
def _octave(lengths, turns, window, hop, n_frames, dtype):
    """Spectra of the kernels, without what is negligible (eqs. 4, 5); turns are f / rate."""
    from scipy.fft import fft, next_fast_len

    half = -(-np.array(lengths) // 2)
    R = next_fast_len(-(-(2 * half[0] + 1 + (n_frames - 1) * hop) // hop))
    size, bands = hop * R, []
    for length, reach, turn in zip(lengths, half, turns, strict=True):
        values = _window(window, length, np.float64)
        offset = np.arange(length) - reach
        kernel = np.zeros(size, np.complex128)
        kernel[half[0] + offset] = values * np.exp(2j * np.pi * turn * offset)
        gain = np.sqrt(length) / np.sum(np.abs(values)) / size
        lowest = round(turn * size) - size // 2  # the circle of frequencies, around the bin
        low, taps = _trimmed(np.roll(gain * np.conj(fft(kernel)), -lowest), NEGLIGIBLE)
        bands.append((lowest + low, taps))
    low, begin, taps = _joined(bands)
    below = max(0, -int(low.min()))
    above = max(0, int((low + np.diff(begin)).max()) - 1 - size // 2)
    taps = taps.astype(np.result_type(dtype, np.complex64))
    return _Octave(n_frames, size, (len(lengths), R), half, (taps, begin, low, below), above)

"""Pitch salience: how strongly each candidate f0 speaks out of a spectrum, with exact gradient.

`SOT` can transport it: spectra are then compared by the pitch that they have and not by where their
energy lies. Derivation: docs/derivations/salience.md.

Names: B batch, T frames, K bins, M candidates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import checks
from ..checks import ParameterError
from ..cpu import salience as cpu
from ..hints import Array, ArrayLike, Padding, Window
from ..stft import StftSaved
from ._lobes import banded, harmonic_lobes, of_unit_norm
from .stft import STFT

__all__ = ["PitchSalience"]

PRIMES = (1, 2, 3, 5, 7)
DECAY = 0.7


@dataclass(frozen=True)
class SalienceSaved:
    """What `PitchSalience.forward` hands to `PitchSalience.backward`."""

    stft: StftSaved
    rectified: Array
    norm: Array


@dataclass(frozen=True, init=False, eq=False, repr=False)
class PitchSalience:
    r"""Salience of candidate f0 over the frames of a signal.

    .. math:: S[t, m] = \Big[ \sum_k \kappa\big(f_k / f_m\big)
              \frac{|X[t, k]|}{\|X[t]\|} \Big]_+^{\,sharpness}

    The kernel rewards energy at a candidate's harmonics 1, 2, 3, 5 and 7 and charges for energy
    half way between harmonics: a subharmonic of the true f0 meets energy at few of its primes, a
    multiple meets it where it is charged. Level and timbre matter little, and a missing
    fundamental does not matter.

    Parameters
    ----------
    n_fft : int, optional
        Frame length; it should hold at least four periods of the lowest f0 that occurs. Default:
        the power of two from 128 ms on.
    hop_length : int, optional
        Step between frames in samples; default an eighth of the frame.
    window : str, tuple or array_like
        As in `spectralot.stft_magnitude_forward`. The sum over a partial's bins ripples with its
        place between them: under "hann" enough to turn some slopes, under "blackman" not.
    padding : {"end", "center", "none"}
        As in `spectralot.frame_count`.
    fmin, fmax : float, optional
        Lowest and highest candidate in Hz; leave an octave below what is expected. The default
        of fmin is 27.5, or two bins of the STFT if that is higher: lobes must hold bins. That
        of fmax is 3500, or a quarter of the sample rate if that is lower.
    bins_per_octave : int
        Candidates per octave.
    highest : float
        Energy above this frequency in Hz is not looked at.
    sharpness : int
        Power of the rectified salience: high values leave the best candidate alone.
    sample_rate : float
        Samples per second.

    Raises
    ------
    ParameterError
        If an argument breaks its rule.

    References
    ----------
    Camacho and Harris, *A sawtooth waveform inspired pitch estimator for speech and music*,
    J. Acoust. Soc. Am. 124(3), 2008 (kernel of decaying cosine lobes at the prime harmonics;
    here on the magnitudes of one linear STFT, and sharpened).

    Examples
    --------
    >>> import numpy as np
    >>> from spectralot import PitchSalience
    >>> t = np.arange(4096) / 16000
    >>> x = sum(np.sin(2 * np.pi * h * 220 * t) for h in (2, 3, 4, 5))  # no fundamental
    >>> transform = PitchSalience()
    >>> salience, saved = transform.forward(x)
    >>> float(transform.frequencies_hz[salience[0].argmax()].round())
    220.0
    """

    power = None  # salience has no level
    n_fft: int
    sample_rate: float
    sharpness: int
    frequencies_hz: Array
    _stft: STFT
    _highest: float
    _kernels: dict[Any, Any]

    def __init__(
        self,
        n_fft: int | None = None,
        *,
        hop_length: int | None = None,
        window: Window = "blackman",
        padding: Padding = "none",
        fmin: float | None = None,
        fmax: float | None = None,
        bins_per_octave: int = 20,
        highest: float = 4000.0,
        sharpness: int = 14,
        sample_rate: float = 16000,
    ) -> None:
        sample_rate = checks.number("sample_rate", sample_rate, above=0)
        if n_fft is None:
            n_fft = 1 << max(4, int(np.ceil(np.log2(0.128 * sample_rate) - 1e-9)))
        n_fft = checks.integer("n_fft", n_fft, 8)
        hop_length = n_fft // 8 if hop_length is None else hop_length
        stft = STFT(
            n_fft, hop_length=hop_length, window=window, padding=padding, sample_rate=sample_rate
        )
        sharpness = checks.integer("sharpness", sharpness, 1)
        if sharpness > 30:  # powers of what is below 1 must stay numbers in float32
            raise ParameterError(f"sharpness must be at most 30, got {sharpness}")
        bins_per_octave = checks.integer("bins_per_octave", bins_per_octave, 1)
        highest = checks.number("highest", highest, above=0)
        bins_hz = stft.frequencies_hz[stft.frequencies_hz <= highest]
        candidates_hz = _candidates(fmin, fmax, bins_per_octave, bins_hz, sample_rate)
        kernel = _kernel(bins_hz, candidates_hz)
        kernels = {
            dtype: [banded(matrix.astype(dtype)) for matrix in (kernel, kernel.T)]
            for dtype in (np.dtype(np.float32), np.dtype(np.float64))
        }
        vars(self).update(
            n_fft=n_fft, sample_rate=sample_rate, sharpness=sharpness,
            frequencies_hz=candidates_hz, _stft=stft, _highest=highest, _kernels=kernels,
        )  # fmt: skip

    def __repr__(self) -> str:
        low, high = self.frequencies_hz[[0, -1]]
        return (
            f"PitchSalience({self._stft!r}, {len(self.frequencies_hz)} candidates from {low:g} "
            f"to {high:g} Hz, highest {self._highest:g} Hz, sharpness {self.sharpness})"
        )

    def forward(self, x: ArrayLike) -> tuple[Array, SalienceSaved]:
        """Salience of the candidates.

        Parameters
        ----------
        x : array_like, shape (N,) or (B, N)
            Signals; float32 stays float32, anything else becomes float64.

        Returns
        -------
        salience : ndarray, shape (T, M) or (B, T, M)
            From 0 to 1; it does not depend on the level. 0 in silence.
        saved : SalienceSaved
            For `backward`.

        Raises
        ------
        ParameterError
            As for `spectralot.stft_magnitude_forward`.
        """
        magnitude, stft = self._stft.forward(x)
        rows = magnitude.reshape(-1, magnitude.shape[-1])
        kernel, _ = self._kernels[rows.dtype]
        rectified = np.empty((len(rows), len(self.frequencies_hz)), rows.dtype)
        salience, norm = np.empty_like(rectified), np.empty(len(rows))
        cpu.salience_forward(rows, *kernel, self.sharpness, rectified, norm, salience)
        shape = (*magnitude.shape[:-1], -1)
        return salience.reshape(shape), SalienceSaved(stft, rectified, norm)

    def backward(self, d_salience: ArrayLike, saved: SalienceSaved) -> Array:
        """Gradient with respect to the signal.

        Parameters
        ----------
        d_salience : array_like, shape of the salience
            Gradient of a scalar with respect to what `forward` returned.
        saved : SalienceSaved
            From `forward`.

        Returns
        -------
        ndarray, shape (N,) or (B, N)
            With the dtype of the signal.

        Raises
        ------
        ParameterError
            If `d_salience` is not finite or has another shape than the salience.
        """
        magnitude = saved.stft.magnitude if saved.stft.batched else saved.stft.magnitude[0]
        rows = magnitude.reshape(-1, magnitude.shape[-1])
        shape = (*magnitude.shape[:-1], saved.rectified.shape[1])
        d_salience = checks.float_array("d_salience", d_salience, len(shape), dtype=rows.dtype)
        checks.same_shape("d_salience", d_salience, shape)
        _, transposed = self._kernels[rows.dtype]
        slopes, d_magnitude = np.empty_like(saved.rectified), np.empty_like(rows)
        cpu.salience_backward(
            d_salience.reshape(slopes.shape), rows, *transposed, self.sharpness, saved.rectified,
            saved.norm, slopes, d_magnitude,
        )  # fmt: skip
        return self._stft.backward(d_magnitude.reshape(magnitude.shape), saved.stft)

    def frame_times(self, n_samples: int) -> Array:
        """Centre of each frame in seconds.

        Parameters
        ----------
        n_samples : int
            Length of the signal.

        Returns
        -------
        ndarray, shape (T,), float64
        """
        return self._stft.frame_times(n_samples)


def _candidates(fmin, fmax, bins_per_octave, bins_hz, sample_rate):
    """Candidates in equal steps of pitch, where lobes hold bins."""
    lowest = 2 * bins_hz[1] if len(bins_hz) > 1 else np.inf
    fmin = max(27.5, lowest) if fmin is None else checks.number("fmin", fmin, above=0)
    fmax = min(3500.0, 0.25 * sample_rate) if fmax is None else fmax
    fmax = checks.number("fmax", fmax, above=0)
    if fmin < lowest:
        raise ParameterError(f"fmin must be at least two bins, {lowest:g} Hz, got {fmin:g}")
    if not fmin < fmax <= bins_hz[-1]:
        raise ParameterError(
            f"fmin and fmax must be 0 < fmin < fmax <= {bins_hz[-1]:g} Hz (highest, and half "
            f"the sample rate), got {fmin:g}, {fmax:g}"
        )
    n_candidates = 1 + int(np.log2(fmax / fmin) * bins_per_octave + 1e-9)
    candidates_hz = fmin * 2 ** (np.arange(n_candidates) / bins_per_octave)
    candidates_hz.setflags(write=False)
    return candidates_hz


def _kernel(bins_hz, candidates_hz):
    """Cosine lobes of each candidate (columns) over the bins (rows), eq. 1."""
    q = bins_hz[:, None] / candidates_hz
    # nothing lies below q = 0.25
    return of_unit_norm(harmonic_lobes(q, PRIMES) / np.maximum(q, 0.1) ** DECAY)

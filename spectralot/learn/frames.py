"""What encoders see: frames of a constant-Q transform that reads a sine as its amplitude."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import checks
from ..hints import Array, ArrayLike
from ..transforms import ConstantQ

__all__ = ["Frames"]


class Frames:
    """Constant-Q magnitudes, one row for each frame.

    Parameters
    ----------
    sample_rate : float
        Samples per second, in Hz.
    hop_length : int
        Samples between frames; frame t is centred on sample ``t * hop_length``.
    fmin : float
        Frequency of the lowest bin in Hz.
    n_bins, bins_per_octave : int
        Bins in all and in an octave.
    gamma : float
        As in `spectralot.ConstantQ`.
    calibrated : bool
        Scale each bin so that a steady sine on it reads as its amplitude. The paper's encoder
        takes the transform as it is.

    Raises
    ------
    ParameterError
        If an argument breaks its rule.

    Examples
    --------
    >>> import numpy as np
    >>> from spectralot.learn import Frames
    >>> frames = Frames()(np.sin(2 * np.pi * 440 * np.arange(16000) / 16000))
    >>> frames.shape, round(float(frames[31].max()), 3)
    ((63, 285), 1.0)
    """

    def __init__(
        self,
        *,
        sample_rate: float = 16000,
        hop_length: int = 256,
        fmin: float = 32.7,
        n_bins: int = 285,
        bins_per_octave: int = 36,
        gamma: float = 0.0,
        calibrated: bool = True,
    ) -> None:
        self.transform = ConstantQ(
            fmin=fmin,
            n_bins=n_bins,
            bins_per_octave=bins_per_octave,
            gamma=gamma,
            hop_length=hop_length,
            sample_rate=sample_rate,
        )
        self.calibrated = bool(checks.one_of("calibrated", calibrated, (True, False)))

    @property
    def grid(self) -> dict[str, Any]:
        """Where frames stand, as `spectralot.harmonic_forward` takes it.

        Returns
        -------
        dict
            "sample_rate" in Hz and "hop_length" in samples.
        """
        transform = self.transform
        return {"sample_rate": transform.sample_rate, "hop_length": transform.hop_length}

    def __call__(self, audio: ArrayLike, n_frames: int | None = None) -> Array:
        """Frames of one or several sounds.

        Parameters
        ----------
        audio : array_like, shape (N,) or (B, N)
            Samples.
        n_frames : int, optional
            Keep only the first so many.

        Returns
        -------
        ndarray, shape (T, K) or (B, T, K), float32

        Raises
        ------
        ParameterError
            If the audio is empty or not finite.
        """
        audio = checks.level_array("audio", audio, (1, 2), dtype=np.float32)
        magnitude = self.transform.forward(audio)[0][..., :n_frames, :]
        if self.calibrated:
            gains = 2 / np.sqrt(self.transform.window_lengths)
            magnitude = magnitude * gains.astype(np.float32)
        return np.ascontiguousarray(magnitude)

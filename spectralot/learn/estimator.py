"""ModelEstimator: f0 and harmonics of any recording by a trained network.

Names: N samples, T frames, K bins, H harmonics.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files
from typing import Any, Literal

import numpy as np

from .. import checks
from .._version import __version__
from ..audio import resample
from ..hints import ArrayLike, PathLike
from ..tracks import HarmonicTracks
from ._heads import SPREAD
from .frames import Frames
from .model import HarmonicModel

__all__ = ["ModelEstimator"]

SHIPPED = "model.npz"
HALF_SURE = 0.6  # share of a frame's energy in its harmonics at which voiced or not is even
LOUD_PERCENTILE = 95.0  # of the level: how loud the recording is
_ROWS = 2048  # frames at once


class ModelEstimator:
    """Estimate f0 and every harmonic of recordings by a network that was trained without labels.

    Parameters
    ----------
    model : HarmonicModel, str or path-like, optional
        A trained model or its file; by default the one that is shipped, which was trained on
        synthetic sounds.
    step_ms : float, optional
        Time between frames in ms; default 10. Either this or `hop_length`.
    hop_length : float, optional
        Time between frames in samples, not necessarily whole.
    n_harmonics : int or "auto"
        Harmonics that are returned, at most the model's; 0: f0 and voicing only.
    voicing_threshold : float
        Confidence from which a frame is voiced, from 0 to 1.
    silence_db : float
        Frames that lie this far below the loud ones (95th percentile of the level) have no pitch.

    Raises
    ------
    ParameterError
        If an argument breaks its rule, or the model cannot be read.

    Notes
    -----
    Each frame decides alone. Confidence grows with the share of a frame's energy that lies in the
    harmonics found. The network knows no phases: those of the result are 0, and its residual says
    nothing.

    Examples
    --------
    >>> import numpy as np
    >>> from spectralot.learn import ModelEstimator
    >>> t = np.arange(16000) / 16000
    >>> audio = sum(np.sin(2 * np.pi * h * 220.5 * t) / h for h in range(1, 6))
    >>> tracks = ModelEstimator().estimate(audio, 16000)
    >>> abs(float(np.median(tracks.f0_hz)) - 220.5) < 2
    True
    """

    def __init__(
        self,
        model: HarmonicModel | PathLike | None = None,
        *,
        step_ms: float | None = None,
        hop_length: float | None = None,
        n_harmonics: int | Literal["auto"] = "auto",
        voicing_threshold: float = 0.5,
        silence_db: float = -60.0,
    ) -> None:
        self.step_ms, self.hop_length = checks.step(step_ms, hop_length)
        if not isinstance(model, HarmonicModel):
            file: Any = files(__package__) / SHIPPED if model is None else model
            model = HarmonicModel.load(file)
        self.model = model
        self.n_harmonics = model.encoder.n_harmonics
        if n_harmonics != "auto":
            wanted = checks.integer("n_harmonics", n_harmonics, 0)
            self.n_harmonics = min(self.n_harmonics, wanted)
        self.voicing_threshold = checks.number(
            "voicing_threshold", voicing_threshold, minimum=0, maximum=1
        )
        self.silence_db = checks.number("silence_db", silence_db)

    def estimate(self, audio: ArrayLike, sample_rate: float) -> HarmonicTracks:
        """Estimate f0, voicing and harmonics of one recording.

        Parameters
        ----------
        audio : array_like, shape (N,)
            Samples; worked on as float32.
        sample_rate : float
            Samples per second, in Hz.

        Returns
        -------
        HarmonicTracks
            T = 1 + floor(N / hop) frames.

        Raises
        ------
        ParameterError
            If the audio is empty or not finite.
        """
        audio = checks.level_array("audio", audio, 1, dtype=np.float32)
        sample_rate = checks.number("sample_rate", sample_rate, above=0)
        hop = self.hop_length
        hop = sample_rate * self.step_ms / 1000 if hop is None else hop  # type: ignore[operator]
        time_s = np.arange(1 + int(len(audio) / hop)) * hop / sample_rate
        transform = self.model.frames.transform
        step = max(1, round(hop * transform.sample_rate / sample_rate))
        sound = audio
        if sample_rate != transform.sample_rate:
            sound = resample(audio, sample_rate, transform.sample_rate)
        f0, amplitudes, share, power = self._measure(sound, step)
        at = time_s * transform.sample_rate / step
        f0 = np.exp(_between(np.log(f0), at))
        amplitudes, share, power = (_between(x, at) for x in (amplitudes, share, power))
        f0 = np.minimum(f0, 0.499 * sample_rate)
        confidence = share**2 / (share**2 + HALF_SURE**2)
        loud = np.percentile(power, LOUD_PERCENTILE)
        confidence[power <= loud * 10 ** (self.silence_db / 10)] = 0.0
        voiced = confidence >= self.voicing_threshold
        voiced &= confidence > 0
        amplitudes = amplitudes[:, : self.n_harmonics] * voiced[:, None]
        orders = np.arange(1, amplitudes.shape[1] + 1)
        amplitudes[orders * f0[:, None] >= 0.5 * sample_rate] = 0.0
        return HarmonicTracks(
            time_s=time_s,
            f0_hz=f0,
            confidence=confidence,
            voiced=voiced,
            amplitudes=amplitudes if self.n_harmonics else None,
            phases=np.zeros_like(amplitudes) if self.n_harmonics else None,
            sample_rate=sample_rate,
            n_samples=len(audio),
            settings=dict(
                version=__version__, method="model", hop_length=float(hop),
                n_harmonics=self.n_harmonics, voicing_threshold=self.voicing_threshold,
                silence_db=self.silence_db,
            ),
        )  # fmt: skip

    def estimate_blocks(self, blocks: Iterable[ArrayLike], sample_rate: float) -> HarmonicTracks:
        """Estimate one recording that arrives in blocks; it is held as a whole.

        Parameters
        ----------
        blocks : iterable of array_like, shape (n,)
            Consecutive stretches of the samples.
        sample_rate : float
            Samples per second, in Hz.

        Returns
        -------
        HarmonicTracks
            As of the whole in one piece.

        Raises
        ------
        ParameterError
            If the audio is empty or not finite.
        """
        blocks = [np.asarray(block, np.float32) for block in blocks]
        return self.estimate(np.concatenate(blocks) if blocks else np.zeros(0), sample_rate)

    def _measure(self, sound, step):
        """f0, amplitudes, share of energy explained and power of frames `step` samples apart."""
        frames = Frames(**(self.model.settings["frames"] | {"hop_length": step}))
        weights = _weights(frames.transform)
        n_frames = 2 + len(sound) // step  # one more, to read between the last two
        around = -(-int(frames.transform.window_lengths[0]) // (2 * step))
        parts = []
        for first in range(0, n_frames, _ROWS):
            last = min(first + _ROWS, n_frames)
            start, stop = (first - around) * step, (last + around) * step
            piece = np.pad(sound[max(0, start) : stop], (max(0, -start), max(0, stop - len(sound))))
            features = frames(piece)[around : around + last - first]
            f0, amplitudes = self.model.encode(features)
            power = np.square(features) @ weights
            share = np.minimum(np.square(amplitudes).sum(axis=1) / np.maximum(power, 1e-20), 1.0)
            parts.append((f0, amplitudes, share, power))
        return [np.concatenate(part) for part in zip(*parts, strict=True)]


def _weights(transform):
    """What squared bins weigh, so that those of a steady sine add up to its squared amplitude."""
    spacing_hz = transform.frequencies_hz * (2 ** (1 / transform.bins_per_octave) - 1)
    per_window = spacing_hz * transform.window_lengths / transform.sample_rate
    return (per_window / SPREAD).astype(np.float32)


def _between(values, at):
    """Rows read at fractional indices, linearly."""
    low = np.minimum(at.astype(np.int64), len(values) - 2)
    part = (at - low).astype(values.dtype)
    part = part.reshape(-1, *[1] * (values.ndim - 1))
    return values[low] * (1 - part) + values[low + 1] * part

"""HarmonicEstimator: f0, voicing, amplitudes and their errors, of any recording.

Names: N samples, T frames, H harmonics.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np

from .. import checks
from ..checks import ParameterError
from ..hints import ArrayLike
from ..tracks import HarmonicTracks
from ._candidates import Candidates
from ._result import tracks_of
from ._stream import Stream

__all__ = ["HarmonicEstimator"]

LOWEST_RATE = 14000.0  # to which the sound is decimated before f0 is looked for
BLOCK = 1 << 19


class HarmonicEstimator:
    """Estimate f0 and every harmonic of recordings.

    Parameters
    ----------
    step_ms : float, optional
        Time between frames in ms; default 10. Either this or `hop_length`.
    hop_length : float, optional
        Time between frames in samples, not necessarily whole.
    fmin, fmax : float, optional
        Lowest and highest f0 in Hz. Default 20 to 5000, or 0.45 times the sample rate if that is
        lower; any `fmax` up to there may be asked for.
    n_harmonics : int or "auto"
        Harmonics whose amplitudes are measured; 0: f0 and voicing only. "auto": as many as lie
        below half the sample rate, at most 40.
    viterbi : bool
        Find the best track through all frames; else each frame decides alone.
    voicing_threshold : float
        Confidence from which a frame is voiced, from 0 to 1.
    silence_db : float
        Frames that lie this far below the loud ones (95th percentile of the level) have no pitch.
    center : bool
        Frame i is centred at i steps. If false, it is measured 32 ms later, as if a window of
        64 ms began there; only frames whose window fits are given, without amplitudes.

    Raises
    ------
    ParameterError
        If an argument breaks its rule.

    Notes
    -----
    Candidates: a SWIPE'-like sum over harmonics [1]_ on windows that adapt to the candidate, less
    noise, times the normalised autocorrelation; an exact Viterbi search over f0 whose costs do not
    depend on the step; octaves settled over whole notes; then instantaneous frequencies of ten
    partials along the track itself, until it lies where they are. Derivation and what each part
    is worth: docs/derivations/estimator.md.

    References
    ----------
    .. [1] Camacho and Harris, *A sawtooth waveform inspired pitch estimator for speech and music*,
       J. Acoust. Soc. Am. 124(3), 2008.

    Examples
    --------
    >>> import numpy as np
    >>> from spectralot import HarmonicEstimator
    >>> t = np.arange(16000) / 16000
    >>> audio = sum(np.sin(2 * np.pi * h * 220.5 * t) / h for h in range(1, 6))
    >>> tracks = HarmonicEstimator().estimate(audio, 16000)
    >>> round(float(np.median(tracks.f0_hz)), 2)
    220.5
    """

    def __init__(
        self,
        *,
        step_ms: float | None = None,
        hop_length: float | None = None,
        fmin: float = 20.0,
        fmax: float | None = None,
        n_harmonics: int | Literal["auto"] = "auto",
        viterbi: bool = True,
        voicing_threshold: float = 0.5,
        silence_db: float = -60.0,
        center: bool = True,
    ) -> None:
        self.step_ms, self.hop_length = checks.step(step_ms, hop_length)
        self.fmin = checks.number("fmin", fmin, minimum=10)
        self.fmax = None if fmax is None else checks.number("fmax", fmax, above=0)
        if self.fmax is not None and self.fmax <= self.fmin:
            raise ParameterError(f"fmin must be below fmax, got {self.fmin:g} and {self.fmax:g}")
        self.n_harmonics = n_harmonics
        if n_harmonics != "auto":
            self.n_harmonics = checks.integer("n_harmonics", n_harmonics, 0)
        self.viterbi = bool(checks.one_of("viterbi", viterbi, (True, False)))
        self.center = bool(checks.one_of("center", center, (True, False)))
        self.voicing_threshold = checks.number(
            "voicing_threshold", voicing_threshold, minimum=0, maximum=1
        )
        self.silence_db = checks.number("silence_db", silence_db)
        self._candidates: dict[float, tuple[int, Candidates]] = {}

    def __repr__(self) -> str:
        fields = {name: value for name, value in vars(self).items() if name[0] != "_"}
        return f"HarmonicEstimator({', '.join(f'{n}={v!r}' for n, v in fields.items())})"

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
            T = 1 + floor(N / hop) frames. The best guess of f0 stands in every frame;
            amplitudes are 0 where there is no pitch.

        Raises
        ------
        ParameterError
            If the audio is empty or not finite, or the sample rate breaks its rule.
        """
        audio = checks.float_array("audio", audio, 1)
        blocks = (audio[start : start + BLOCK] for start in range(0, len(audio), BLOCK))
        return self.estimate_blocks(blocks, sample_rate)

    def estimate_blocks(self, blocks: Iterable[ArrayLike], sample_rate: float) -> HarmonicTracks:
        """Estimate one recording that arrives in blocks, in memory that does not grow with it.

        Parameters
        ----------
        blocks : iterable of array_like, shape (n,)
            Consecutive stretches of the samples, of any lengths.
        sample_rate : float
            Samples per second, in Hz.

        Returns
        -------
        HarmonicTracks
            The same numbers as of the whole in one piece.

        Raises
        ------
        ParameterError
            If the audio is empty or not finite, or the sample rate breaks its rule.
        """
        sample_rate = checks.number("sample_rate", sample_rate, above=0)
        stream = self._stream(blocks, sample_rate)
        return tracks_of(stream)

    def _stream(self, blocks, sample_rate):
        """All chunks of a recording, measured but not judged."""
        stream = Stream(self, *self._prepared(sample_rate), sample_rate)
        for block in blocks:
            if len(block):
                stream.push(checks.level_array("audio", block, 1, dtype=np.float32))
        stream.finish()
        return stream

    def _prepared(self, sample_rate):
        """Candidates for a sample rate, kept for the next recording."""
        fmax = min(5000.0, 0.45 * sample_rate) if self.fmax is None else self.fmax
        if not self.fmin < fmax <= 0.45 * sample_rate:
            raise ParameterError(
                f"fmin and fmax must be fmin < fmax <= {0.45 * sample_rate:g} Hz (0.45 times the "
                f"sample rate), got {self.fmin:g} and {fmax:g}"
            )
        if sample_rate not in self._candidates:
            factor = max(1, int(sample_rate / max(LOWEST_RATE, 2.4 * fmax)))
            candidates = Candidates(sample_rate / factor, self.fmin, fmax)
            self._candidates[sample_rate] = factor, candidates
        return self._candidates[sample_rate]

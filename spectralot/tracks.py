"""HarmonicTracks: f0 and harmonic amplitudes over time, the result of every estimator.

Names: T frames, N samples, H harmonics.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .checks import (
    LARGEST_AMPLITUDE,
    ParameterError,
    float_array,
    integer,
    level_array,
    number,
    same_shape,
)
from .hints import Array, ArrayLike, PathLike, Unvoiced
from .synth import harmonic_forward

SURE = 0.5  # confidence from which a frame is voiced, unless the estimator says otherwise

_T, _TH, _OCTAVES = "T", "TH", "T4"
# name: (shape, infinities allowed, rule, test)
_ARRAYS = {
    "time_s": (_T, False, None, None),
    "f0_hz": (_T, False, "above 0", lambda x: x > 0),
    "confidence": (_T, False, "from 0 to 1", lambda x: (x >= 0) & (x <= 1)),
    "amplitudes": (_TH, False, "at least 0", lambda x: x >= 0),
    "phases": (_TH, False, None, None),
    "f0_std_cents": (_T, True, "at least 0", lambda x: x >= 0),
    "amplitudes_std": (_TH, False, "at least 0", lambda x: x >= 0),
    "inharmonicity": (_T, False, "at least 0", lambda x: x >= 0),
    "noise_db": (_T, True, "below infinity", lambda x: x < np.inf),
    "snr_db": (_T, True, None, None),
    "octave_costs": (_OCTAVES, True, "above -infinity", lambda x: x > -np.inf),
    "octave_margin": (_T, True, None, None),
}
_REQUIRED = ("time_s", "f0_hz", "confidence")
_BLOCK = 1 << 20  # samples rendered at once


@dataclass(frozen=True, eq=False, repr=False)
class HarmonicTracks:
    """Harmonics of one sound, frame by frame.

    Attributes
    ----------
    time_s : array_like, shape (T,)
        Time of each frame in seconds, from 0 in equal steps. A single frame holds throughout.
    f0_hz : array_like, shape (T,)
        Fundamental frequency in Hz, above 0 and below half the sample rate.
    confidence : array_like, shape (T,)
        From 0 (no pitch) to 1.
    amplitudes : array_like, shape (T, H), or None
        Linear peak amplitude of harmonics 1..H, not negative. None, as are then the phases,
        where only f0 was asked for.
    phases : array_like, shape (T, H), or None
        Phase in radians of each harmonic relative to h times the running phase of f0.
    sample_rate : float
        Samples per second of the sound that was analysed, in Hz.
    n_samples : int
        Its length N.
    loss_history : dict of str to array_like
        Loss by iteration for each stage of the fit.
    residual_db : float, optional
        Level of what the harmonics leave unexplained relative to the sound, in dB.
    voiced : array_like of bool, shape (T,)
        Where there is a pitch; f0 is the best guess elsewhere. If not given: where the
        confidence is at least 0.5.
    f0_std_cents : array_like, shape (T,), optional
        Standard error of f0 in cents; infinite where there is no pitch. This and all that
        follows is None where an estimator does not give it.
    amplitudes_std : array_like, shape (T, H), optional
        Standard error of each amplitude, linear.
    inharmonicity : array_like, shape (T,), optional
        B of ``f_h = h * f0 * sqrt(1 + B * h**2)``, not negative.
    noise_db : array_like, shape (T,), optional
        Level of the noise in the band of the harmonics in dB re an rms of 1; -inf: none.
    snr_db : array_like, shape (T,), optional
        Level of the harmonics over that of the noise in dB; may be infinite.
    octave_costs : array_like, shape (T, 4), optional
        Cost of f0 / 2, f0, 2 f0 and 3 f0: the lower, the better; infinite where ruled out.
    octave_margin : array_like, shape (T,), optional
        The lowest cost of the other three less that of f0: above 0, f0 wins.
    settings : dict of str to str, float, int, bool or None, optional
        How it was made.

    Raises
    ------
    ParameterError
        If an argument breaks its rule.

    Examples
    --------
    >>> tracks = HarmonicTracks(
    ...     time_s=[0.0, 0.5], f0_hz=[220.0, 220.0], confidence=[1.0, 1.0],
    ...     amplitudes=[[0.5], [0.5]], phases=[[0.0], [0.0]], sample_rate=8000, n_samples=8000,
    ... )
    >>> tracks
    HarmonicTracks(T=2, H=1, 1.000 s at 8000 Hz, f0 220.000 to 220.000 Hz)
    >>> tracks.resynthesize().shape
    (8000,)
    """

    time_s: Array
    f0_hz: Array
    confidence: Array
    amplitudes: Array | None
    phases: Array | None
    sample_rate: float
    n_samples: int
    loss_history: dict[str, Array] = None  # type: ignore[assignment]
    residual_db: float | None = None
    voiced: NDArray[np.bool_] = None  # type: ignore[assignment]
    f0_std_cents: Array | None = None
    amplitudes_std: Array | None = None
    inharmonicity: Array | None = None
    noise_db: Array | None = None
    snr_db: Array | None = None
    octave_costs: Array | None = None
    octave_margin: Array | None = None
    settings: dict[str, Any] | None = None

    if TYPE_CHECKING:  # what is taken is wider than what is held

        def __init__(
            self,
            time_s: ArrayLike,
            f0_hz: ArrayLike,
            confidence: ArrayLike,
            amplitudes: ArrayLike | None,
            phases: ArrayLike | None,
            sample_rate: float,
            n_samples: int,
            loss_history: Mapping[str, ArrayLike] | None = None,
            residual_db: float | None = None,
            voiced: ArrayLike | None = None,
            f0_std_cents: ArrayLike | None = None,
            amplitudes_std: ArrayLike | None = None,
            inharmonicity: ArrayLike | None = None,
            noise_db: ArrayLike | None = None,
            snr_db: ArrayLike | None = None,
            octave_costs: ArrayLike | None = None,
            octave_margin: ArrayLike | None = None,
            settings: dict[str, Any] | None = None,
        ) -> None: ...

    def __post_init__(self) -> None:
        """Check every field and make the arrays contiguous."""
        if (self.amplitudes is None) != (self.phases is None):
            given = "amplitudes" if self.phases is None else "phases"
            raise ParameterError(f"amplitudes and phases must come together, got only {given}")
        fixed = self._checked_arrays()
        fixed["sample_rate"] = rate = number("sample_rate", self.sample_rate, above=0)
        if rate.is_integer():
            fixed["sample_rate"] = int(rate)
        fixed["n_samples"] = integer("n_samples", self.n_samples, 1)
        if self.residual_db is not None:
            fixed["residual_db"] = level = float(self.residual_db)
            if np.isnan(level):  # minus infinity is a perfect fit
                raise ParameterError(f"residual_db must be a number, got {level}")
        fixed["loss_history"] = {
            stage: float_array(f"loss_history[{stage!r}]", losses, 1)
            for stage, losses in (self.loss_history or {}).items()
        }
        below = fixed["f0_hz"] < 0.5 * rate
        _check_range("f0_hz", fixed["f0_hz"], f"below sample_rate / 2 = {0.5 * rate:g} Hz", below)
        _check_times(fixed["time_s"])
        fixed["voiced"] = _checked_voiced(self.voiced, fixed["confidence"])
        fixed["settings"] = _checked_settings(self.settings)
        for name, value in fixed.items():
            object.__setattr__(self, name, value)

    def _checked_arrays(self):
        fixed = {}
        for name, (shape, infinite, _, _) in _ARRAYS.items():
            value = getattr(self, name)
            if name == "amplitudes" and value is not None:
                value = level_array(name, value, len(shape), largest=LARGEST_AMPLITUDE)
            elif value is not None or name in _REQUIRED:
                value = float_array(name, value, len(shape), infinite=infinite)
            fixed[name] = value
        first = "time_s" if fixed["amplitudes"] is None else "amplitudes"
        sizes = {"T": len(fixed[first]), "4": 4}
        if fixed["amplitudes"] is not None:
            sizes["H"] = fixed["amplitudes"].shape[1]
        elif fixed["amplitudes_std"] is not None:
            raise ParameterError("amplitudes_std must not be given without amplitudes")
        for name, array in fixed.items():
            shape, _, rule, good = _ARRAYS[name]
            if array is not None:
                same_shape(name, array, tuple(sizes[axis] for axis in shape))
                if rule is not None:
                    _check_range(name, array, rule, good(array))
        return fixed

    def __repr__(self) -> str:
        """Say in one line what is inside."""
        n_harmonics = 0 if self.amplitudes is None else self.amplitudes.shape[1]
        return (
            f"HarmonicTracks(T={len(self.time_s)}, H={n_harmonics}, "
            f"{self.n_samples / self.sample_rate:.3f} s at {self.sample_rate:g} Hz, "
            f"f0 {self.f0_hz.min():.3f} to {self.f0_hz.max():.3f} Hz)"
        )

    @property
    def step_s(self) -> float:
        """Time from frame to frame.

        Returns
        -------
        float
            In seconds; the whole length where there is one frame.
        """
        n_steps = len(self.time_s) - 1
        return float(self.time_s[-1] / n_steps if n_steps else self.n_samples / self.sample_rate)

    def resynthesize(self) -> Array:
        """Render the harmonics, amplitudes and phases as measured.

        Returns
        -------
        ndarray, shape (N,)
            float32 if amplitudes and phases are, else float64.

        Raises
        ------
        ParameterError
            If there are no amplitudes.

        Notes
        -----
        With Phi the running phase of f0, harmonic h is a sin(h Phi + phi) =
        a cos(phi) sin(h Phi) + a sin(phi) cos(h Phi). Interpolating these two products from frame
        to frame instead of a and phi keeps clear of the wraps of phi. Besides the result, the
        memory used does not grow with the length. Harmonics stand at whole multiples of f0:
        `inharmonicity` shows in the phases, and in the sound only as far as those keep up.

        Examples
        --------
        >>> tracks = HarmonicTracks([0.0], [1000.0], [1.0], [[0.5]], [[np.pi / 2]], 4000, 4)
        >>> tracks.resynthesize().round(6) + 0.0
        array([ 0. , -0.5,  0. ,  0.5])
        """
        if self.amplitudes is None or self.phases is None:
            raise ParameterError("tracks must hold amplitudes and phases to be heard, got f0 alone")
        n_samples, n_frames = self.n_samples, len(self.time_s)
        hop = min(self.step_s * self.sample_rate, n_samples)
        audio = np.empty(n_samples, np.result_type(self.amplitudes, self.phases))
        turns = np.zeros(self.amplitudes.shape[1])  # h times the running phase of f0
        for start in range(0, n_samples, _BLOCK):
            stop = min(start + _BLOCK, n_samples)
            first = min(int(start / hop), n_frames - 1)
            frames = slice(first, int(stop / hop) + 2)
            f0_hz, a, phi = self.f0_hz[frames], self.amplitudes[frames], self.phases[frames]
            grid: dict = {
                "n_samples": n_samples, "sample_rate": self.sample_rate, "hop_length": hop,
                "block": (start, stop), "first_frame": first,
            }  # fmt: skip
            quarter = turns + np.pi / 2
            audio[start:stop], _ = harmonic_forward(
                f0_hz, a * np.sin(phi), start_phase=quarter, **grid
            )
            sines, saved = harmonic_forward(
                f0_hz, a * np.cos(phi), start_phase=turns if start else None, **grid
            )
            audio[start:stop] += sines
            turns = saved.end_phase
        return audio

    def residual(self, audio: ArrayLike) -> Array:
        """Return what the harmonics leave of the sound: ``audio - resynthesize()``.

        Parameters
        ----------
        audio : array_like, shape (N,)
            The sound that was analysed.

        Returns
        -------
        ndarray, shape (N,)
            The difference.

        Raises
        ------
        ParameterError
            If `audio` does not have N finite samples.

        Examples
        --------
        >>> tracks = HarmonicTracks([0.0], [1000.0], [1.0], [[0.5]], [[0.0]], 8000, 800)
        >>> float(np.abs(tracks.residual(tracks.resynthesize())).max())
        0.0
        """
        audio = float_array("audio", audio, 1)
        same_shape("audio", audio, (self.n_samples,))
        return audio - self.resynthesize()

    def save_csv(
        self, path: PathLike, *, unvoiced: Unvoiced = "keep", overwrite: bool = False
    ) -> None:
        """Write the lines ``time,frequency,confidence`` of each frame, as CREPE does.

        Parameters
        ----------
        path : str or path-like
            The file to write: seconds with 3 decimals (6 where frames do not fall on whole
            milliseconds), Hz with 3, confidence with 6.
        unvoiced : {"keep", "zero", "nan", "negative"}
            The frequency of frames that are not voiced: the best guess, which leaves it to the
            confidence to tell, or 0, or nan, or minus the best guess.
        overwrite : bool
            Replace a file that is already there.

        Raises
        ------
        ParameterError
            If the file exists and `overwrite` is false, or if it cannot be written.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> tracks = HarmonicTracks([0.0], [1000.0], [1.0], [[0.5]], [[0.0]], 8000, 800)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     tracks.save_csv(f"{folder}/a.f0.csv")
        ...     Path(folder, "a.f0.csv").read_text().splitlines()
        ['time,frequency,confidence', '0.000,1000.000,1.000000']
        """
        from .export import write_csv

        write_csv(self, path, unvoiced=unvoiced, overwrite=overwrite)

    def save_json(
        self, path: PathLike, *, unvoiced: Unvoiced = "keep", overwrite: bool = False
    ) -> None:
        """Write one JSON object: a list for each field there is, and how it was made.

        Parameters
        ----------
        path : str or path-like
            The file to write. Numbers are rounded: seconds to 6 decimals, Hz and radians to 4,
            dB to 3, amplitudes to 6 digits that count, standard errors to 4. What is infinite or
            no number is null.
        unvoiced : {"keep", "zero", "nan", "negative"}
            As in `save_csv`.
        overwrite : bool
            Replace a file that is already there.

        Raises
        ------
        ParameterError
            If the file exists and `overwrite` is false, or if it cannot be written.

        Examples
        --------
        >>> import json, tempfile
        >>> tracks = HarmonicTracks([0.0], [1000.0], [1.0], None, None, 8000, 800)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     tracks.save_json(f"{folder}/a.json")
        ...     with open(f"{folder}/a.json") as file:
        ...         json.load(file)["f0_hz"]
        [1000.0]
        """
        from .export import write_json

        write_json(self, path, unvoiced=unvoiced, overwrite=overwrite)

    def save_npz(self, path: PathLike, *, overwrite: bool = False) -> None:
        """Write everything into one NumPy archive, for `load_npz`.

        Parameters
        ----------
        path : str or path-like
            The file to write; no suffix is added. Each field that is not None is an array of its
            own name, the settings JSON in one, and each stage of the loss history an array named
            ``loss_history/STAGE``.
        overwrite : bool
            Replace a file that is already there.

        Raises
        ------
        ParameterError
            If the file exists and `overwrite` is false, or if it cannot be written.

        Examples
        --------
        >>> import tempfile
        >>> tracks = HarmonicTracks([0.0], [1000.0], [1.0], [[0.5]], [[0.0]], 8000, 800)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     tracks.save_npz(f"{folder}/a.npz")
        ...     HarmonicTracks.load_npz(f"{folder}/a.npz")
        HarmonicTracks(T=1, H=1, 0.100 s at 8000 Hz, f0 1000.000 to 1000.000 Hz)
        """
        from .export import write_npz

        write_npz(self, path, overwrite=overwrite)

    @classmethod
    def load_npz(cls, path: PathLike) -> HarmonicTracks:
        """Read what `save_npz` wrote.

        Parameters
        ----------
        path : str or path-like
            The file to read. Nothing in it is executed.

        Returns
        -------
        HarmonicTracks
            The same tracks, dtypes included.

        Raises
        ------
        ParameterError
            If the file is missing, is no NumPy archive, is damaged, lacks a field, or holds a
            field that breaks its rule; the one-line message names the file.

        Examples
        --------
        >>> HarmonicTracks.load_npz("missing.npz")
        Traceback (most recent call last):
            ...
        spectralot.checks.ParameterError: cannot load missing.npz: No such file or directory
        """
        from .export import read_npz

        return read_npz(path, cls)


def _checked_voiced(voiced, confidence):
    if voiced is None:
        return confidence >= SURE
    voiced = np.asarray(voiced)
    if voiced.dtype != bool:
        raise ParameterError(f"voiced must hold True and False, got dtype {voiced.dtype}")
    same_shape("voiced", voiced, confidence.shape)
    return np.ascontiguousarray(voiced)


def _checked_settings(settings):
    if settings is None:
        return None
    if not isinstance(settings, dict):
        raise ParameterError(f"settings must be a dict, got {type(settings).__name__}")
    plain = {}
    for name, value in settings.items():
        plain[name] = value = value.item() if isinstance(value, np.generic) else value
        if not isinstance(name, str) or not isinstance(value, str | float | int | None):
            raise ParameterError(
                f"settings must map names to text, numbers, True, False or None, got {name!r}: "
                f"{type(value).__name__}"
            )
    return plain


def _check_range(name, array, rule, good):
    if not good.all():
        first = np.unravel_index(int(good.argmin()), array.shape)
        where = ", ".join(str(int(i)) for i in first)
        raise ParameterError(f"{name} must be {rule}, got {array[first]:g} at index ({where})")


def _check_times(time_s):
    if time_s[0] != 0:
        raise ParameterError(f"time_s must start at 0, got {time_s[0]:g}")
    steps = np.diff(time_s.astype(np.float64))
    if steps.size == 0:
        return
    mean = time_s[-1] / len(steps)
    tolerance = 1e-6 * abs(mean) + 2 * np.finfo(time_s.dtype).eps * abs(time_s[-1])
    if mean <= 0 or np.abs(steps - mean).max() > tolerance:
        raise ParameterError(
            f"time_s must rise in equal steps, got steps from {steps.min():g} to {steps.max():g} s"
        )

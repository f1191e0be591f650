"""HarmonicTracks: f0 and harmonic amplitudes over time, the result of every estimator.

Names: T frames, N samples, H harmonics.
"""

import io
import zipfile
import zlib
from dataclasses import dataclass

import numpy as np

from .checks import ParameterError, float_array, integer, number, same_shape
from .files import writing
from .synth import harmonic_forward

_ARRAYS = ("time_s", "f0_hz", "confidence", "amplitudes", "phases")
_NUMBERS = ("sample_rate", "n_samples", "residual_db")
_HISTORY = "loss_history/"


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
    amplitudes : array_like, shape (T, H)
        Linear peak amplitude of harmonics 1..H, not negative.
    phases : array_like, shape (T, H)
        Phase in radians of each harmonic relative to h times the running phase of f0.
    sample_rate : float
        Samples per second of the sound that was analysed, in Hz.
    n_samples : int
        Its length N.
    loss_history : dict of str to array_like
        Loss by iteration for each stage of the fit.
    residual_db : float
        Level of what the harmonics leave unexplained relative to the sound, in dB.

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

    time_s: np.ndarray
    f0_hz: np.ndarray
    confidence: np.ndarray
    amplitudes: np.ndarray
    phases: np.ndarray
    sample_rate: float
    n_samples: int
    loss_history: dict | None = None
    residual_db: float = 0.0

    def __post_init__(self):
        """Check every field and make the arrays contiguous."""
        fixed = {
            name: float_array(name, getattr(self, name), 2 if name in _ARRAYS[3:] else 1)
            for name in _ARRAYS
        }
        n_frames, n_harmonics = fixed["amplitudes"].shape
        for name in _ARRAYS:
            shape = (n_frames, n_harmonics)[: fixed[name].ndim]
            same_shape(name, fixed[name], shape)
        fixed["sample_rate"] = rate = number("sample_rate", self.sample_rate, above=0)
        if rate.is_integer():
            fixed["sample_rate"] = int(rate)
        fixed["n_samples"] = integer("n_samples", self.n_samples, 1)
        fixed["residual_db"] = level = float(self.residual_db)
        if np.isnan(level):  # minus infinity is a perfect fit
            raise ParameterError(f"residual_db must be a number, got {level}")
        fixed["loss_history"] = {
            stage: float_array(f"loss_history[{stage!r}]", losses, 1)
            for stage, losses in (self.loss_history or {}).items()
        }
        _check_range("f0_hz", fixed["f0_hz"], "above 0", fixed["f0_hz"] > 0)
        below = fixed["f0_hz"] < 0.5 * rate
        _check_range("f0_hz", fixed["f0_hz"], f"below sample_rate / 2 = {0.5 * rate:g} Hz", below)
        confidence = fixed["confidence"]
        within = (confidence >= 0) & (confidence <= 1)
        _check_range("confidence", confidence, "from 0 to 1", within)
        _check_range("amplitudes", fixed["amplitudes"], "at least 0", fixed["amplitudes"] >= 0)
        _check_times(fixed["time_s"])
        for name, value in fixed.items():
            object.__setattr__(self, name, value)

    def __repr__(self):
        """Say in one line what is inside."""
        n_frames, n_harmonics = self.amplitudes.shape
        return (
            f"HarmonicTracks(T={n_frames}, H={n_harmonics}, "
            f"{self.n_samples / self.sample_rate:.3f} s at {self.sample_rate:g} Hz, "
            f"f0 {self.f0_hz.min():.3f} to {self.f0_hz.max():.3f} Hz)"
        )

    def resynthesize(self):
        """Render the harmonics, amplitudes and phases as measured.

        Returns
        -------
        ndarray, shape (N,)
            float32 if f0, amplitudes and phases all are, else float64.

        Notes
        -----
        With Phi the running phase of f0, harmonic h is a sin(h Phi + phi) =
        a cos(phi) sin(h Phi) + a sin(phi) cos(h Phi). Interpolating these two products from frame
        to frame instead of a and phi keeps clear of the wraps of phi.

        Examples
        --------
        >>> tracks = HarmonicTracks([0.0], [1000.0], [1.0], [[0.5]], [[np.pi / 2]], 4000, 4)
        >>> tracks.resynthesize().round(6) + 0.0
        array([ 0. , -0.5,  0. ,  0.5])
        """
        times = self.time_s
        step_s = (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else np.inf
        sine = self.amplitudes * np.cos(self.phases)
        cosine = self.amplitudes * np.sin(self.phases)
        quarter = np.full(self.amplitudes.shape[1], np.pi / 2)
        grid = {
            "n_samples": self.n_samples,
            "sample_rate": self.sample_rate,
            "hop_length": min(step_s * self.sample_rate, self.n_samples),
            "interpolation": "hann",
        }
        audio, _ = harmonic_forward(self.f0_hz, sine, **grid)
        return audio + harmonic_forward(self.f0_hz, cosine, start_phase=quarter, **grid)[0]

    def residual(self, audio):
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

    def save_csv(self, path, *, overwrite=False):
        """Write the lines ``time,frequency,confidence`` of each frame, as CREPE does.

        Parameters
        ----------
        path : str or path-like
            The file to write: seconds with 3 decimals (6 where frames do not fall on whole
            milliseconds), Hz with 3, confidence with 6.
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
        milliseconds = 1000 * self.time_s.astype(np.float64)
        whole = np.allclose(milliseconds, milliseconds.round(), rtol=0, atol=1e-3)
        text = io.StringIO()
        text.write("time,frequency,confidence\n")
        np.savetxt(
            text,
            np.column_stack([self.time_s, self.f0_hz, self.confidence]),
            fmt=["%.3f" if whole else "%.6f", "%.3f", "%.6f"],
            delimiter=",",
        )
        with writing(path, overwrite=overwrite) as part:
            part.write_text(text.getvalue(), encoding="ascii", newline="\n")

    def save_npz(self, path, *, overwrite=False):
        """Write everything into one NumPy archive, for `load_npz`.

        Parameters
        ----------
        path : str or path-like
            The file to write; no suffix is added. Each field is an array of its own name, and
            each stage of the loss history one named ``loss_history/STAGE``.
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
        fields = {name: getattr(self, name) for name in (*_ARRAYS, *_NUMBERS)}
        history = {_HISTORY + stage: losses for stage, losses in self.loss_history.items()}
        with writing(path, overwrite=overwrite) as part, open(part, "wb") as file:
            np.savez(file, **fields, **history)

    @classmethod
    def load_npz(cls, path):
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
        try:
            with open(path, "rb") as file:
                if not zipfile.is_zipfile(file):
                    raise ParameterError("it is no NumPy archive, or is cut short")
                with np.load(file, allow_pickle=False) as archive:
                    stored = {name: archive[name] for name in archive.files}
            for name in (*_ARRAYS, *_NUMBERS):
                if name not in stored:
                    raise ParameterError(f"it lacks {name}")
            fields = {name: stored[name] for name in _ARRAYS}
            for name in _NUMBERS:
                if stored[name].ndim:
                    raise ParameterError(
                        f"{name} must be a single number, got shape {stored[name].shape}"
                    )
                fields[name] = stored[name].item()
            history = {
                name.removeprefix(_HISTORY): losses
                for name, losses in stored.items()
                if name.startswith(_HISTORY)
            }
            return cls(**fields, loss_history=history)
        except OSError as error:
            raise ParameterError(f"cannot load {path}: {error.strerror or error}") from None
        except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise ParameterError(f"cannot load {path}: {error}") from None


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

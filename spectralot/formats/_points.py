"""From the frames of a file, wherever they stand, to tracks in equal steps from 0.

Names: T points of the file, and frames of the tracks; H harmonics.
"""

import json
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from ..checks import ParameterError, number
from ..files import refuse_device
from ..metrics import _read_pitch
from ..tracks import SURE, HarmonicTracks

_RATE = 44100  # where neither the file nor the caller says
_STEP_S = 0.01  # of a single point
_ROUNDING = 0.25  # of a step: further away from whole steps, times are uneven, not rounded
_ON_GRID = 0.05  # of a step: further off, the first frame does not stand at whole steps from 0
_REACH = 0.55  # of a step, of a point: all frames have one where points stand half way between
_NO_F0_HZ = 100.0  # the guess in a file without a single f0
_SHORTEST_S, _LONGEST_S = 1e-7, 1e9  # steps and times beyond are damage


class Points(NamedTuple):
    """What a file says, as it stands there. Times rise; f0 is 0 or NaN where there is none."""

    time_s: np.ndarray
    f0_hz: np.ndarray  # below 0: a guess where there is no voice
    confidence: np.ndarray | None = None
    voiced: np.ndarray | None = None
    amplitudes: np.ndarray | None = None  # (T, H), where times are whole steps from 0
    sample_rate: float | None = None
    duration_s: float | None = None
    n_samples: int | None = None
    sparse: bool = False  # unvoiced frames are left out


@contextmanager
def reading(path):
    """Say in one line which file cannot be read, and why."""
    try:
        refuse_device(path)
        yield
    except OSError as error:
        raise ParameterError(f"cannot read {path}: {error.strerror or error}") from None
    except MemoryError:
        raise ParameterError(f"cannot read {path}: not enough memory") from None
    except UnicodeDecodeError:
        raise ParameterError(f"cannot read {path}: it is no text") from None
    except ParameterError as error:
        if str(error).startswith("cannot load"):  # it names the file
            raise
        raise ParameterError(f"cannot read {path}: {error}") from None


def loaded_json(path):
    """What the file holds."""
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except json.JSONDecodeError as error:
        raise ParameterError(f"line {error.lineno}: it is no JSON: {error.msg}") from None
    except UnicodeDecodeError:
        raise
    except (ValueError, RecursionError):  # a number of thousands of digits
        raise ParameterError("it is no JSON of tracks: a number or nesting has no end") from None


def as_number(text, name, where, *, nan=False):
    """The number that a text is, or a line that says what it is instead."""
    try:
        value = float(text)
    except (TypeError, ValueError, OverflowError):
        raise ParameterError(f"{where}: {name} must be a number, got {short(text)}") from None
    if np.isfinite(value) or (nan and np.isnan(value)):
        return value
    raise ParameterError(f"{where}: {name} must be finite, got {value}")


def short(value):
    """A text of the file, for a message."""
    text = ascii(value)
    return text if len(text) <= 50 else f"{text[:46]} ..."


def rising(times, where):
    """Times as an array, at least 0; `where(i)` says which place in the file is wrong."""
    if not len(times):
        raise ParameterError("it holds no frames")
    times = np.asarray(times, np.float64)
    if times[0] < 0:
        raise ParameterError(f"{where(0)}: time must be at least 0, got {times[0]:g}")
    falls = np.diff(times) < _SHORTEST_S
    if falls.any():
        i = int(falls.argmax()) + 1
        raise ParameterError(
            f"{where(i)}: time must rise, got {times[i]:.9g} after {times[i - 1]:.9g}"
        )
    if times[-1] > _LONGEST_S:
        raise ParameterError(f"{where(len(times) - 1)}: time must be seconds, got {times[-1]:g}")
    return times


def signed_f0(points):
    """f0, minus the guess where there is no voice, 0 where there is none."""
    size = np.abs(np.nan_to_num(points.f0_hz))
    return np.where(_voiced(points), size, -size)


def _voiced(points):
    marked = ~(points.f0_hz > 0)
    if points.voiced is not None:
        return points.voiced & ~(np.nan_to_num(points.f0_hz) == 0)
    if points.confidence is None or marked.any():
        return ~marked
    return points.confidence >= SURE


def filled_f0(f0_hz):
    """A guess wherever f0 is 0: log-linear in time between what there is."""
    there = np.flatnonzero(f0_hz)
    if not len(there):
        return np.full(len(f0_hz), _NO_F0_HZ)
    between = 2 ** np.interp(np.arange(len(f0_hz)), there, np.log2(f0_hz[there]))
    return np.where(f0_hz > 0, f0_hz, between)


def step_of(time_s):
    """The step of most frames, and how many of them each point stands after the first."""
    if len(time_s) == 1:
        return _STEP_S, np.zeros(1)
    steps = np.diff(time_s)
    step_s = steps[steps < 1.5 * np.median(steps)].mean()  # of many rounded times: fine enough
    frame = np.r_[0.0, np.maximum(np.rint(steps / step_s), 1).cumsum()]
    line = np.polyfit(frame, time_s, 1)[0]
    if np.abs(time_s - time_s.mean() - line * (frame - frame.mean())).max() < _ROUNDING * line:
        step_s = line
    return float(f"{step_s:.12g}"), frame


def check_size(n_frames, n_points):
    """Refuse a file whose gaps would fill the memory."""
    if n_frames > 1000 * n_points + 1_000_000:
        raise ParameterError(
            f"times must be about even, got {n_points} in a span of {n_frames:.3g} of their steps"
        )


def tracks_of(points, sample_rate=None):
    """Tracks that say what the points say."""
    rate = points.sample_rate or sample_rate or _RATE
    rate = number("sample_rate", rate, above=0)
    step_s, frame = step_of(points.time_s)
    first = points.time_s[0] / step_s
    off_s = np.abs(points.time_s - (frame + np.rint(first)) * step_s).max()
    even = off_s < _ROUNDING * step_s and abs(first - np.rint(first)) < _ON_GRID
    last = max(points.time_s[-1], points.duration_s or 0.0) / step_s
    n_frames = 1 + max(np.floor(last + _ON_GRID), frame[-1] + np.rint(first) if even else 0)
    check_size(n_frames, len(frame))
    n_frames = int(n_frames)
    given, signed = points.confidence, signed_f0(points)
    f0_hz, confidence, voiced = np.zeros(n_frames), np.zeros(n_frames), np.zeros(n_frames, bool)
    if even:
        at = (frame + np.rint(first)).astype(int)
        f0_hz[at], voiced[at] = np.abs(signed), signed > 0
        confidence[at] = voiced[at] if given is None else given
    else:
        time_s = step_s * np.arange(n_frames)
        f0_hz, voiced = _read_pitch(
            time_s, points.time_s, np.abs(signed), signed > 0, _REACH * step_s
        )
        confidence[:] = voiced
        if given is not None:
            reached = f0_hz > 0
            confidence[reached] = np.interp(time_s, points.time_s, given)[reached]
    phases = None if points.amplitudes is None else np.zeros_like(points.amplitudes)
    n_samples = points.n_samples or max(1, round(last * step_s * rate))
    return HarmonicTracks(
        time_s=step_s * np.arange(n_frames), f0_hz=filled_f0(f0_hz), confidence=confidence,
        amplitudes=points.amplitudes, phases=phases, sample_rate=rate, n_samples=n_samples,
        voiced=voiced,
    )  # fmt: skip

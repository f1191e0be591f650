"""Notes out of f0: the steps that describe it best.

Names: T frames, K levels of pitch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..checks import number

if TYPE_CHECKING:
    from ..tracks import HarmonicTracks

__all__ = ["Note", "segment_notes"]

_GRID = 0.1  # semitones from level to level


class Note(NamedTuple):
    """One note.

    Attributes
    ----------
    onset_s : float
        Its start, in seconds.
    duration_s : float
        Up to the end of its last frame, in seconds.
    pitch : float
        Median pitch as a MIDI number: 69 is 440 Hz, 1 a semitone.
    frames : slice
        Its frames in the tracks.
    """

    onset_s: float
    duration_s: float
    pitch: float
    frames: slice


def segment_notes(
    tracks: HarmonicTracks, *, tolerance_cents: float = 50.0, minimum_s: float = 0.06
) -> list[Note]:
    """Cut f0 into notes.

    Parameters
    ----------
    tracks : HarmonicTracks
        What an estimator gave.
    tolerance_cents : float
        Half the least interval between two notes that follow each other without a rest. A vibrato
        that goes as far up and down, 5 times a second, stays whole.
    minimum_s : float
        What is shorter is no note, in seconds.

    Returns
    -------
    list of Note
        By onset; they do not overlap.

    Raises
    ------
    ParameterError
        If a parameter is not above 0.

    Notes
    -----
    In each stretch that is voiced without a gap, pitch is described by steps. A frame costs its
    distance from its level, at most twice the tolerance, and a step as much as frames a tolerance
    away for `minimum_s`; the cheapest steps are found by dynamic programming. So an excursion
    makes no note of its own, however far, if it is shorter than `minimum_s`. Frames at the ends of
    a note that are further than twice the tolerance from its median, such as those of a glide, are
    cut off, and what is then shorter than `minimum_s` is left out.

    Examples
    --------
    >>> from spectralot import HarmonicTracks
    >>> f0_hz = [440.0] * 10 + [880.0] + [440.0] * 9 + [493.9] * 10
    >>> tracks = HarmonicTracks(0.01 * np.arange(30), f0_hz, [1.0] * 30, None, None, 8000, 2400)
    >>> for note in segment_notes(tracks):
    ...     print(f"{note.onset_s:.2f} s, {note.duration_s:.2f} s long: {note.pitch:.2f}")
    0.00 s, 0.20 s long: 69.00
    0.20 s, 0.10 s long: 71.00
    """
    tolerance = number("tolerance_cents", tolerance_cents, above=0) / 100
    shortest = number("minimum_s", minimum_s, above=0) / tracks.step_s
    pitch = 69 + 12 * np.log2(tracks.f0_hz.astype(np.float64) / 440)
    edges = np.flatnonzero(np.diff(np.r_[False, tracks.voiced, False].astype(int)))
    notes = []
    for first, stop in edges.reshape(-1, 2).tolist():
        level = _steps(pitch[first:stop], 2 * tolerance, tolerance * max(shortest - 0.5, 0.5))
        cuts = first + np.flatnonzero(np.diff(level)) + 1
        for start, end in zip([first, *cuts.tolist()], [*cuts.tolist(), stop], strict=True):
            off = np.abs(pitch[start:end] - np.median(pitch[start:end]))
            near = start + np.flatnonzero(off <= 2 * tolerance)
            frames = slice(int(near[0]), int(near[-1]) + 1)
            n_frames = frames.stop - frames.start
            if n_frames >= shortest - 1e-6:
                median = float(np.median(pitch[frames]))
                onset_s = float(tracks.time_s[frames.start])
                notes.append(Note(onset_s, n_frames * tracks.step_s, median, frames))
    return notes


def _steps(pitch, most, price):
    """The level of each frame; `most` is what a frame can cost, `price` what a step does."""
    levels = np.arange(np.floor(pitch.min()), np.ceil(pitch.max()) + _GRID, _GRID)
    stays = np.empty((len(pitch), len(levels)), bool)
    before = np.empty(len(pitch), int)
    total = np.zeros(len(levels))
    for i, value in enumerate(pitch):
        before[i] = total.argmin()
        step = total[before[i]] + price
        stays[i] = total <= step
        total = np.minimum(total, step) + np.minimum(np.abs(levels - value), most)
    at = np.empty(len(pitch), int)
    at[-1] = total.argmin()
    for i in range(len(pitch) - 1, 0, -1):
        at[i - 1] = at[i] if stays[i, at[i]] else before[i]
    return levels[at]

"""From a recording to its page on disk: what a job of `spectralot report` is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..audio import read_blocks
from ..checks import ParameterError
from ..corpus import Job, Options, Summary, estimate_blocks
from ..files import writing
from ..tracks import HarmonicTracks
from .page import report_page


@dataclass(frozen=True)
class Pages(Options):
    """What is wanted of every file: its page, in place of all that `Options` name.

    Attributes
    ----------
    plot : bool
        Always true: a page shows the sound, so it is read whole.
    tracks : str, optional
        An estimate that was made before, instead of a new one.

    Examples
    --------
    >>> Pages().suffixes
    ('.html',)
    """

    plot: bool = True
    tracks: str | None = None

    @property
    def suffixes(self) -> tuple[str, ...]:
        """What the name of the result ends in.

        Returns
        -------
        tuple of str
            One suffix.
        """
        return (".html",)


def report_file(job: Job) -> Summary:
    """Read one recording, estimate or load its tracks, and write its page.

    Parameters
    ----------
    job : Job
        The recording and the page's name; its options are `Pages`.

    Returns
    -------
    Summary
        What became of it.

    Raises
    ------
    ParameterError
        If the recording or the tracks cannot be read or do not belong together, it cannot be
        estimated, or the page cannot be written; none is left then.

    Examples
    --------
    >>> from spectralot.corpus import Job
    >>> report_file(Job("gone.wav", "gone", Pages()))
    Traceback (most recent call last):
        ...
    spectralot.checks.ParameterError: cannot read gone.wav: No such file or directory
    """
    blocks, (path,) = read_blocks(job.file), job.outputs
    options: Any = job.options
    folder = os.path.dirname(path)
    try:
        os.makedirs(folder or ".", exist_ok=True)
    except OSError as error:
        raise ParameterError(f"cannot make the folder {folder}: {error.strerror}") from None
    with writing(path, overwrite=job.options.overwrite) as part:
        if options.tracks is None:
            tracks, audio = estimate_blocks(blocks, options)
        else:
            tracks, audio = _loaded(options.tracks, blocks)
        name = "standard input" if job.file == "-" else os.path.basename(job.file)
        page = report_page(audio, tracks, name)  # type: ignore[arg-type]
        # whatever bytes the file's name has
        part.write_text(page, encoding="utf-8", errors="replace", newline="\n")
    voiced_hz = tracks.f0_hz[tracks.voiced]
    return Summary(
        outputs=job.outputs,
        voiced_share=len(voiced_hz) / len(tracks.f0_hz),
        median_hz=float(np.median(voiced_hz)) if len(voiced_hz) else None,
    )


def _loaded(path, blocks):
    tracks, audio = HarmonicTracks.load_npz(path), np.concatenate(list(blocks))
    made_of, given = (tracks.n_samples, tracks.sample_rate), (len(audio), blocks.sample_rate)
    if made_of != given:
        raise ParameterError(
            f"{path} must be of this recording, {given[0]} samples at {given[1]:g} Hz, "
            f"got {made_of[0]} samples at {made_of[1]:g} Hz"
        )
    return tracks, audio

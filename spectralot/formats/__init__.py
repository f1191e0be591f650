"""Tracks in the files of other programs: a table of formats, one way in, one way out.

Each format is one function that reads and one that writes, imported on first use.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:  # the command line asks for names of formats alone
    from ..hints import Array, PathLike
    from ..tracks import HarmonicTracks

__all__ = ["FORMATS", "Format", "find_format", "read_pitch", "read_tracks", "write_tracks"]


class Format(NamedTuple):
    """How one kind of file is read and written.

    Attributes
    ----------
    suffix : str
        What names of such files end in.
    reader, writer : str
        Module and function of this package.
    options : tuple of str
        What else the writer can be told.
    what : str
        One line about it.
    """

    suffix: str
    reader: str
    writer: str
    options: tuple[str, ...]
    what: str


_CSV = Format(
    ".csv", "_columns.read_csv", "_columns.write_csv", ("unvoiced",),
    "time, frequency, confidence: CREPE's columns",
)  # fmt: skip
FORMATS = {
    "csv": _CSV,
    "crepe": _CSV,
    "json": Format(
        ".json", "_own.read_json", "_own.write_json", ("unvoiced",), "every field, rounded",
    ),
    "npz": Format(".npz", "_own.read_npz", "_own.write_npz", (), "every field, exact"),
    "mir_eval": Format(
        ".txt", "_columns.read_text", "_columns.write_mir_eval", ("unvoiced",),
        "time and f0, 0 where unvoiced",
    ),
    "mirex": Format(
        ".txt", "_columns.read_text", "_columns.write_mirex", ("unvoiced",),
        "time and f0, minus the guess where unvoiced",
    ),
    "pitchtier": Format(
        ".PitchTier", "_praat.read", "_praat.write", (), "Praat, voiced frames",
    ),
    "jams": Format(".jams", "_jams.read", "_jams.write", (), "JAMS, pitch_contour"),
    "svl": Format(
        ".svl", "_svl.read", "_svl.write", (), "Sonic Visualiser, time values of voiced frames",
    ),
    "spear": Format(
        ".spear.txt", "_spear.read", "_spear.write", (), "SPEAR, harmonics with amplitudes",
    ),
    "midi": Format(
        ".mid", "_midi.read", "_midi.write", ("tolerance_cents", "minimum_s"),
        "notes with pitch bend; needs mido",
    ),
}  # fmt: skip


def find_format(path: PathLike, format: str | None = None) -> str:
    """Name the format of a file.

    Parameters
    ----------
    path : str or path-like
        The file, which need not exist.
    format : str, optional
        A name in `FORMATS`; else the longest suffix that fits decides, in any case of letters.
        ".txt" is "mir_eval", which reads "mirex" too.

    Returns
    -------
    str
        A name in `FORMATS`.

    Raises
    ------
    ParameterError
        If there is no such format, or none has the suffix.

    Examples
    --------
    >>> find_format("take.f0.csv"), find_format("take.Spear.TXT"), find_format("a.txt", "mirex")
    ('csv', 'spear', 'mirex')
    """
    from ..checks import ParameterError, one_of

    if format is not None:
        return one_of("format", format, tuple(FORMATS))
    name = Path(path).name.lower()
    fit = [key for key, form in FORMATS.items() if name.endswith(form.suffix.lower())]
    if not fit:
        suffixes = dict.fromkeys(form.suffix for form in FORMATS.values())
        raise ParameterError(
            f"format must be given for {path}, which ends in none of {', '.join(suffixes)}"
        )
    return max(fit, key=lambda key: len(FORMATS[key].suffix))  # the first of equals


def read_tracks(
    path: PathLike, format: str | None = None, *, sample_rate: float | None = None
) -> HarmonicTracks:
    r"""Read tracks from a file of another program, or one's own.

    Parameters
    ----------
    path : str or path-like
        The file to read.
    format : str, optional
        A name in `FORMATS`; else the suffix decides, as in `find_format`.
    sample_rate : float, optional
        Samples per second of the sound, in Hz, for formats that do not say; 44100 if left out.

    Returns
    -------
    HarmonicTracks
        Fields that the format lacks are None; phases are 0 where there are amplitudes alone.

    Raises
    ------
    ParameterError
        If the file is missing, is of another format, or breaks its rules; one line names the file
        and, where it has lines, the line.

    Notes
    -----
    Tracks count time from 0 in equal steps. Where a file's times do so but for rounding, or leave
    frames out, every value is taken as it stands. Where they do not, the step is that of most of
    its frames, and f0 is read at whole steps: log-linearly between frames less than a semitone
    apart, else from the nearer one, up to about half a step away.

    A frame that the file leaves out, or gives 0, NaN or a negative f0, is not voiced. Where no
    frame is marked so, confidence of at least 0.5 decides. Confidence is 1 and 0 where the file
    has none. Where it has no f0 either, f0 is interpolated over log frequency. `n_samples` is the
    file's duration, if it has one, else the time of the last frame.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.txt")
    ...     _ = path.write_text("0.01 220.0\n0.02 220.0\n0.03 0\n0.04 -55")
    ...     tracks = read_tracks(path, sample_rate=16000)
    >>> tracks.f0_hz.round(3).tolist(), tracks.voiced.tolist()
    ([220.0, 220.0, 220.0, 110.0, 55.0], [False, True, True, False, False])
    """
    from ._points import Points, reading, tracks_of

    read = _function(FORMATS[find_format(path, format)].reader)
    with reading(path):
        found = read(path)
        if isinstance(found, Points):
            found = tracks_of(found, sample_rate)
    return found


def read_pitch(path: PathLike, format: str | None = None) -> tuple[Array, Array]:
    r"""Read f0 over time as it stands in a file, for `melody_scores` and mir_eval.

    Parameters
    ----------
    path : str or path-like
        The file to read.
    format : str, optional
        A name in `FORMATS`; else the suffix decides, as in `find_format`.

    Returns
    -------
    time_s : ndarray, shape (T,)
        Times of its frames. They need not begin at 0 or be in equal steps, but for formats that
        leave unvoiced frames out: these give what `read_tracks` does.
    f0_hz : ndarray, shape (T,)
        In Hz; minus the best guess where unvoiced, 0 where there is none.

    Raises
    ------
    ParameterError
        As `read_tracks`.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.csv")
    ...     _ = path.write_text("time,frequency,confidence\n0.005,220,0.9\n0.02,110,0.2")
    ...     read_pitch(path)
    (array([0.005, 0.02 ]), array([ 220., -110.]))
    """
    from ..export import unvoiced_f0
    from ._points import Points, reading, signed_f0, tracks_of

    read = _function(FORMATS[find_format(path, format)].reader)
    with reading(path):
        found = read(path)
        if isinstance(found, Points) and not found.sparse:
            return found.time_s, signed_f0(found)
        if isinstance(found, Points):
            found = tracks_of(found)
    return found.time_s, unvoiced_f0(found, "negative")


def write_tracks(
    tracks: HarmonicTracks,
    path: PathLike,
    format: str | None = None,
    *,
    overwrite: bool = False,
    **options: Any,
) -> None:
    r"""Write tracks for another program.

    Parameters
    ----------
    tracks : HarmonicTracks
        What an estimator gave, or `read_tracks`.
    path : str or path-like
        The file to write, whole or not at all.
    format : str, optional
        A name in `FORMATS`; else the suffix decides, as in `find_format`.
    overwrite : bool
        Replace a file that is already there.
    **options
        What `FORMATS` lists for the format. `unvoiced`, one of "keep", "zero", "nan", "negative":
        the frequency of frames that are not voiced; "keep" for csv and json, "zero" for mir_eval,
        "negative" for mirex if left out. `tolerance_cents`, `minimum_s`: as in
        `notes.segment_notes`, for midi.

    Raises
    ------
    ParameterError
        If the format is unknown or knows no such option, if the tracks lack what it needs, if the
        file exists and `overwrite` is false, or if it cannot be written.

    Notes
    -----
    What each format keeps and loses: docs/formats.md.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from spectralot import HarmonicTracks
    >>> tracks = HarmonicTracks([0.0, 0.1], [100.0, 90.0], [1.0, 0.0], None, None, 8000, 1600)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_tracks(tracks, f"{folder}/a.txt", "mirex")
    ...     Path(folder, "a.txt").read_text().splitlines()
    ['0.000\t100.000', '0.100\t-90.000']
    """
    from ..checks import ParameterError

    name = find_format(path, format)
    for option, value in options.items():
        if option not in FORMATS[name].options:
            raise ParameterError(f"{option} must be left out for {name}, got {value!r}")
    _function(FORMATS[name].writer)(tracks, path, overwrite=overwrite, **options)


def _function(home):
    module, name = home.split(".")
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)

"""Many recordings: which files are meant, what each writes, and all that is done to one of them.

Where the work is done is the business of `runners`.
"""

from __future__ import annotations

import glob
import os
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .audio import AudioBlocks, read_blocks, write_wav
from .checks import ParameterError
from .files import writing
from .hints import Array, Unvoiced

if TYPE_CHECKING:  # Numba is not to be loaded yet
    from .tracks import HarmonicTracks

SUFFIXES = frozenset(
    ".aif .aifc .aiff .au .caf .flac .mp3 .oga .ogg .opus .rf64 .snd .w64 .wav .wave".split()
)
FORMATS = {"csv": ".f0.csv", "npz": ".npz", "json": ".json"}
_SOUNDS = (".model.wav", ".residual.wav")


@dataclass(frozen=True)
class Options:
    """What is wanted of every file.

    Attributes
    ----------
    method : {"signal", "fit", "model"}
        `HarmonicEstimator`, `fit_note` on the whole file, or `ModelEstimator`.
    settings : dict
        Keyword arguments for it; what is left out has its own default.
    unvoiced : {"keep", "zero", "nan", "negative"}
        What CSV and JSON say of f0 where there is no voice.
    formats : tuple of str
        Some of "csv", "npz", "json"; CSV is always written.
    plot : bool
        Also draw NAME.png.
    resynth : bool
        Also write NAME.model.wav and NAME.residual.wav.
    overwrite : bool
        Replace results that exist.
    skip_existing : bool
        Leave a file alone whose results all exist; finish what was killed before its CSV was there.

    Examples
    --------
    >>> Options(formats=("csv", "json"), plot=True).suffixes
    ('.f0.csv', '.json', '.png')
    """

    method: Literal["signal", "fit", "model"] = "signal"
    settings: dict[str, Any] = field(default_factory=dict)
    unvoiced: Unvoiced = "keep"
    formats: tuple[str, ...] = ("csv", "npz")
    plot: bool = False
    resynth: bool = False
    overwrite: bool = False
    skip_existing: bool = False

    @property
    def suffixes(self) -> tuple[str, ...]:
        """What the names of the results end in, CSV first.

        Returns
        -------
        tuple of str
            Suffixes.
        """
        chosen = [suffix for name, suffix in FORMATS.items() if name in ("csv", *self.formats)]
        return (*chosen, *[".png"] * self.plot, *_SOUNDS[: 2 * self.resynth])

    @property
    def f0_only(self) -> bool:
        """Whether no result has room for amplitudes.

        Returns
        -------
        bool
            Then none need be measured.
        """
        return not self.plot and not self.resynth and set(self.formats) <= {"csv"}


@dataclass(frozen=True)
class Job:
    """One file and where its results go; can be pickled.

    Attributes
    ----------
    file : str
        The recording; "-" is standard input.
    stem : str or None
        Path of the results less their suffixes; None: the CSV comes back as text, nothing is
        written.
    options : Options
        What is wanted.
    """

    file: str
    stem: str | None
    options: Options = Options()

    @property
    def outputs(self) -> tuple[str, ...]:
        """Paths of the results.

        Returns
        -------
        tuple of str
            CSV first.
        """
        return () if self.stem is None else tuple(self.stem + end for end in self.options.suffixes)


@dataclass(frozen=True)
class Summary:
    """What became of a file.

    Attributes
    ----------
    outputs : tuple of str
        What was written, or was there.
    skipped : bool
        All of it was there, and nothing was done.
    voiced_share : float
        Share of voiced frames, 0..1.
    median_hz : float or None
        Median f0 of the voiced frames, in Hz.
    csv : str or None
        The CSV file's text where nothing is written.
    """

    outputs: tuple[str, ...] = ()
    skipped: bool = False
    voiced_share: float = 0.0
    median_hz: float | None = None
    csv: str | None = None


def find_recordings(inputs: Iterable[str]) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Say which recordings the words of a command line mean.

    Parameters
    ----------
    inputs : iterable of str
        Files; folders, searched through all levels for names that end as sound files do; patterns
        such as "takes/**/*.wav"; "-" for standard input.

    Returns
    -------
    recordings : list of (str, str)
        Each file, and its place: the path of its results less their suffixes below an output
        folder. What was found in a folder or by a pattern keeps its place below its fixed part.
    failures : list of (str, str)
        Words that mean no file, and why.

    Notes
    -----
    Folders and patterns leave out hidden files and results (NAME.model.wav, NAME.residual.wav).
    A file that is named itself is taken as it is, whether it exists or not. Order: as named, by
    name within a folder.

    Examples
    --------
    >>> recordings, failures = find_recordings(["examples", "gone.wav", "no*.wav"])
    >>> recordings[0], recordings[-1]
    (('examples/notes/cello_D2.wav', 'notes/cello_D2'), ('gone.wav', 'gone'))
    >>> failures
    [('no*.wav', 'no recording matches no*.wav')]
    """
    recordings, failures = [], []
    for word in inputs:
        if word == "-":
            recordings.append((word, "stdin"))
        elif os.path.isdir(word):
            found = _in_folder(word)
            if not found:
                failures.append((word, f"no recording in the folder {word}"))
            recordings += found
        elif glob.has_magic(word) and not os.path.lexists(word):
            found = _matching(word)
            if not found:
                failures.append((word, f"no recording matches {word}"))
            recordings += found
        else:
            recordings.append((word, Path(word).stem))
    return recordings, failures


def _in_folder(folder):
    found = []
    for path, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            (file := _join(path, name), _place(file, folder))
            for name in sorted(names)
            if os.path.splitext(name)[1].lower() in SUFFIXES and _is_source(name)
        ]
    return found


def _matching(pattern):
    parts = Path(pattern).parts
    fixed = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    root = os.path.join("", *parts[:fixed])
    found = []
    for path in sorted(glob.glob(pattern, recursive=True)):
        if os.path.isfile(path) and _is_source(os.path.basename(path)):
            found.append((path, _place(path, root or ".")))
    return found


def _join(path, name):
    return name if path == "." else os.path.join(path, name).removeprefix("./")


def _is_source(name):
    return not name.startswith(".") and not name.lower().endswith(_SOUNDS)


def _place(file, root):
    return os.path.splitext(os.path.relpath(file, root))[0]


def plan_jobs(
    recordings: list[tuple[str, str]],
    options: Options,
    folder: str | None = None,
    *,
    to_text: bool = False,
) -> list[Job]:
    """Pair recordings with the names of their results, of which no two may coincide.

    Parameters
    ----------
    recordings : list of (str, str)
        From `find_recordings`.
    options : Options
        What is wanted of each.
    folder : str, optional
        Where results go; beside each recording if left out.
    to_text : bool
        Write nothing; standard input without a folder is so in any case.

    Returns
    -------
    list of Job
        In the order of the recordings.

    Raises
    ------
    ParameterError
        If two recordings would write one file, or a result would be written over a recording.

    Examples
    --------
    >>> plan_jobs([("a/x.wav", "x")], Options(), "out")[0].outputs
    ('out/x.f0.csv', 'out/x.npz')
    """
    jobs: list[Job] = []
    taken: dict[str, Job] = {}
    sources = {os.path.realpath(file) for file, _ in recordings if file != "-"}
    for file, place in recordings:
        if to_text or (file == "-" and folder is None):
            jobs.append(Job(file, None, options))
            continue
        stem = os.path.splitext(file)[0] if folder is None else os.path.join(folder, place)
        job = Job(file, stem, options)
        path = os.path.join(os.path.realpath(os.path.dirname(stem)), os.path.basename(stem))
        other = taken.setdefault(path, job)
        if other is not job:
            raise ParameterError(f"{other.file} and {file} would both write {job.outputs[0]}")
        for suffix in options.suffixes:
            if path + suffix in sources:
                raise ParameterError(f"{file} would write over the recording {stem}{suffix}")
        jobs.append(job)
    return jobs


def estimate_file(job: Job) -> Summary:
    """Read one recording, estimate, and write every result, all of them or none.

    Parameters
    ----------
    job : Job
        The recording, the names and what is wanted.

    Returns
    -------
    Summary
        What became of it.

    Raises
    ------
    ParameterError
        If the recording cannot be read or estimated, or a result cannot be written; none is left
        then.

    Notes
    -----
    The recording is read block by block. A figure, sounds and the method "fit" need it whole.
    The CSV file appears last: where it is, the rest is.

    Examples
    --------
    >>> estimate_file(Job("gone.wav", None))
    Traceback (most recent call last):
        ...
    spectralot.checks.ParameterError: cannot read gone.wav: No such file or directory
    """
    options = job.options
    if options.skip_existing and job.outputs and all(map(os.path.lexists, job.outputs)):
        return Summary(job.outputs, skipped=True)

    blocks = read_blocks(job.file)
    with ExitStack() as stack:
        parts = _claim(job, stack)  # before the work begins, lest it be done in vain
        tracks, audio = estimate_blocks(blocks, options)
        model = tracks.resynthesize() if options.resynth else None
        for suffix, part in parts.items():
            _write(suffix, part, options, tracks, audio, model)
    voiced_hz = tracks.f0_hz[tracks.voiced]
    return Summary(
        outputs=job.outputs,
        voiced_share=len(voiced_hz) / len(tracks.f0_hz),
        median_hz=float(np.median(voiced_hz)) if len(voiced_hz) else None,
        csv=_csv_text(tracks, options) if job.stem is None else None,
    )


def _claim(job, stack):
    """Return, by suffix, where each result is to be written; the stack will rename them."""
    if job.stem is None:
        return {}
    parent = os.path.dirname(job.stem) or "."
    try:
        os.makedirs(parent, exist_ok=True)
    except OSError as error:
        raise ParameterError(f"cannot make the folder {parent}: {error.strerror}") from None
    left = {}
    if job.options.skip_existing and not os.path.lexists(job.outputs[0]):
        # what is there without its CSV is from a process that was killed while it renamed
        left = {path: _finding(path) for path in filter(os.path.lexists, job.outputs)}
    parts = {
        path: stack.enter_context(writing(path, overwrite=job.options.overwrite))
        for path in job.outputs
        if path not in left
    }
    parts |= {path: stack.enter_context(found) for path, found in left.items()}  # these end first
    return {suffix: parts[job.stem + suffix] for suffix in job.options.suffixes}


@contextmanager
def _finding(path):
    """Yield a temporary path; what is written there must be what `path` holds already."""
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder, "part")
        yield part
        if part.read_bytes() != Path(path).read_bytes():
            rule = "it exists already; set overwrite to replace it"
            raise ParameterError(f"cannot write {path}: {rule}")


def estimate_blocks(blocks: AudioBlocks, options: Options) -> tuple[HarmonicTracks, Array | None]:
    """Estimate a recording as the options say.

    Parameters
    ----------
    blocks : AudioBlocks
        The recording, from `audio.read_blocks`.
    options : Options
        What is wanted of it.

    Returns
    -------
    tracks : HarmonicTracks
        What was found.
    audio : ndarray, shape (N,), or None
        The whole sound, where something else than the estimate needs it.

    Raises
    ------
    ParameterError
        If the recording cannot be read to its end or estimated.

    Examples
    --------
    >>> from spectralot.audio import read_blocks
    >>> options = Options(method="model", plot=True)
    >>> tracks, audio = estimate_blocks(read_blocks("examples/notes/clarinet_F4.wav"), options)
    >>> len(tracks.f0_hz), audio.shape
    (151, (66150,))
    """
    settings, audio = dict(options.settings), None
    if options.plot or options.resynth or options.method == "fit":
        audio = np.concatenate(list(blocks))
    if options.method == "fit":
        from .estimate.fit import fit_note

        return fit_note(audio, blocks.sample_rate, **settings), audio  # type: ignore[arg-type]
    if options.f0_only:
        settings["n_harmonics"] = 0
    sound = blocks if audio is None else [audio]
    estimator = _estimator(options.method, tuple(sorted(settings.items())))
    return estimator.estimate_blocks(sound, blocks.sample_rate), audio


@lru_cache(maxsize=1)
def _estimator(method, settings):
    """The same one for file after file: it keeps what it prepared or read."""
    if method == "model":
        from .learn.estimator import ModelEstimator

        return ModelEstimator(**dict(settings))
    from .estimate.estimator import HarmonicEstimator

    return HarmonicEstimator(**dict(settings))


def _write(suffix, part, options, tracks, audio, model):
    match suffix:
        case ".f0.csv":
            tracks.save_csv(part, unvoiced=options.unvoiced)
        case ".npz":
            tracks.save_npz(part)
        case ".json":
            tracks.save_json(part, unvoiced=options.unvoiced)
        case ".png":
            from .plot import figure_of_tracks

            figure_of_tracks(audio, tracks).savefig(part, format="png", dpi=120)
        case ".model.wav":
            write_wav(part, model, tracks.sample_rate)
        case ".residual.wav":
            write_wav(part, audio - model, tracks.sample_rate)


def _csv_text(tracks, options):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "f0.csv")
        tracks.save_csv(path, unvoiced=options.unvoiced)
        return path.read_text(encoding="ascii")

"""Command line: parse, call, print.

Everything heavy is imported inside the commands, so that ``--help`` answers at once.
"""

import os
import sys
from contextlib import contextmanager
from pathlib import Path

import click

from . import __version__


class _Refused(click.ClickException):
    """The command as given makes no sense; nothing has been done."""

    exit_code = 2


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="spectralot")
def main():
    """Read f0 and harmonic amplitudes out of recordings."""
    # threads that spin while they wait take the processor from others; read as Numba starts
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


@main.command()
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the results; made if missing.  [default: beside each FILE]",
)
@click.option(
    "--fmin", type=click.FloatRange(0, min_open=True), help="Lowest f0 looked for, in Hz."
)
@click.option(
    "--fmax", type=click.FloatRange(0, min_open=True), help="Highest f0 looked for, in Hz."
)
@click.option("--overwrite", is_flag=True, help="Replace results that exist already.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def estimate(files, folder, fmin, fmax, overwrite, quiet):
    """Fit the one note in each FILE, any format and rate that libsndfile reads.

    Writes NAME.f0.csv (time, frequency, confidence) and NAME.npz (everything). Several channels
    are mixed down. Exit status: 0 all went well, 1 some FILE failed, 2 wrong usage.
    """
    limits = {name: hz for name, hz in (("fmin", fmin), ("fmax", fmax)) if hz is not None}
    if len(limits) == 2 and fmin >= fmax:
        raise _Refused(f"--fmin must be below --fmax, got {fmin:g} and {fmax:g}")
    jobs = _jobs(files, folder)

    from .checks import ParameterError

    n_failed = 0
    with _progress(len(jobs), quiet) as advance:
        for file, stem in jobs:
            try:
                tracks = _estimate_one(file, stem, overwrite, limits)
            except (ParameterError, MemoryError) as error:
                n_failed += 1
                named = str(file) in str(error)
                click.echo(str(error) if named else f"{file}: {error}", err=True)
            else:
                if not quiet:
                    level = f"residual {tracks.residual_db:.1f} dB"
                    click.echo(f"{file} -> {stem}.f0.csv, {stem}.npz ({level})")
            advance()
    sys.exit(1 if n_failed else 0)


def _jobs(files, folder):
    """Pair each input with the path of its outputs less their suffixes; no two may coincide."""
    taken = {}
    for file in files:
        stem = (folder or file.parent) / file.stem
        other = taken.setdefault(stem.resolve(), (file, stem))
        if other[0] is not file:
            raise _Refused(f"{other[0]} and {file} would both write {stem}.f0.csv")
    return list(taken.values())


def _estimate_one(file, stem, overwrite, limits):
    from .audio import read_audio
    from .checks import ParameterError
    from .estimate.fit import fit_note
    from .files import writing

    audio, sample_rate = read_audio(file)
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ParameterError(f"cannot make the folder {stem.parent}: {error.strerror}") from None
    csv, npz = Path(f"{stem}.f0.csv"), Path(f"{stem}.npz")
    # both names are claimed before the work begins, and renamed only when both files are whole
    with writing(csv, overwrite=overwrite) as csv_part, writing(npz, overwrite=overwrite) as part:
        tracks = fit_note(audio, sample_rate, **limits)
        tracks.save_csv(csv_part)
        tracks.save_npz(part)
    return tracks


@contextmanager
def _progress(n_files, quiet):
    """Give a function to call after each file; draws a bar, on a terminal only."""
    if quiet or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeElapsedColumn())
    # results must not leave a pipe that stdout may be
    with Progress(
        *columns, console=console, transient=True, redirect_stdout=sys.stdout.isatty()
    ) as bar:
        task = bar.add_task("fitting", total=n_files)
        yield lambda: bar.advance(task)

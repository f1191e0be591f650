"""Command line: parse, call, print.

Everything heavy is imported inside the commands, so that ``--help`` answers at once.
"""

import json
import math
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
    """Read f0 and harmonic amplitudes out of recordings; compare spectra by transport."""
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
                click.echo(_with_name(file, error), err=True)
            else:
                if not quiet:
                    level = f"residual {tracks.residual_db:.1f} dB"
                    click.echo(f"{file} -> {stem}.f0.csv, {stem}.npz ({level})")
            advance()
    sys.exit(1 if n_failed else 0)


def _with_name(file, error):
    """The error's line, with the file's name if it does not say it."""
    return str(error) if file is None or str(file) in str(error) else f"{file}: {error}"


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


def _check_figure(context, option, path):
    if path is not None and path.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise click.BadParameter(f"must end in .png, .pdf or .svg, got {path}")
    return path


def _with_figure(command):
    """Options that every command with a table and a figure has."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON and nothing else."),
        click.option("--overwrite", is_flag=True, help="Replace a figure that exists already."),
        click.option(
            "-o", "--output", "figure", metavar="FIGURE", callback=_check_figure,
            type=click.Path(dir_okay=False, path_type=Path), help="Draw it: PNG, PDF or SVG.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


@contextmanager
def _axes(path, overwrite):
    """Yield axes whose figure is written when the block ends well; None where none is wanted."""
    if path is None:
        yield None
        return
    from matplotlib.figure import Figure

    from .files import writing

    figure = Figure(figsize=(9, 5), layout="constrained")
    with writing(path, overwrite=overwrite) as part:
        yield figure.subplots()
        figure.savefig(part, format=path.suffix[1:].lower(), dpi=120)


@contextmanager
def _one_line_on_failure(file=None):
    from .checks import ParameterError

    try:
        yield
    except (ParameterError, MemoryError) as error:
        click.echo(_with_name(file, error), err=True)
        sys.exit(1)


@main.command()
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@_with_figure
def compare(a, b, figure, overwrite, as_json):
    """Compare recordings A and B: spectral transport, MSS, LSD and level in one table.

    The figure shows both mean spectra, and between them which energy goes where. Different rates:
    both are brought to the lower one. Different lengths: the end of the longer one is left out.
    Exit status: 0 all went well, 1 it failed, 2 wrong usage.
    """
    with _one_line_on_failure():
        from .checks import ParameterError
        from .compare import METRICS, mean_power, read_pair
        from .compare import compare as compare_sounds

        with _axes(figure, overwrite) as ax:
            *sounds, rate, rates = read_pair(a, b)
            found = compare_sounds(*sounds, rate)
            if ax is not None:
                from .plot import plot_transport

                n_samples = min(map(len, sounds))
                for file, sound in zip((a, b), sounds, strict=True):
                    if not sound[:n_samples].any():
                        raise ParameterError(f"cannot draw {file}: it is silent")
                (frequencies_hz, u), (_, v) = (mean_power(s[:n_samples], rate) for s in sounds)
                plot_transport(ax, frequencies_hz, u, v, labels=(f"A: {a.name}", f"B: {b.name}"))
                moved = f"energy moves by {found['sot_cents']:.0f} cents, frame by frame"
                ax.set_title(moved, loc="left")
    durations_s = found["duration_a_s"], found["duration_b_s"]
    if as_json:
        sides = (
            dict(file=str(file), sample_rate=own, duration_s=seconds)
            for file, own, seconds in zip((a, b), rates, durations_s, strict=True)
        )
        compared = dict(sample_rate=rate, duration_s=found["duration_s"])
        metrics = {key: found[key] for key in METRICS}
        report = dict(zip("ab", sides, strict=True), compared=compared, metrics=metrics)
        click.echo(json.dumps(report, indent=2))
        return
    for letter, file, own, seconds in zip("AB", (a, b), rates, durations_s, strict=True):
        resampled = "" if own == rate else f", resampled to {rate} Hz"
        click.echo(f"{letter}: {file}, {seconds:.3f} s at {own} Hz{resampled}")
    if durations_s[0] != durations_s[1]:
        click.echo(f"compared over the common length, the first {found['duration_s']:.3f} s")
    click.echo()
    for key, (name, unit) in METRICS.items():
        value = "n/a" if found[key] is None else f"{found[key]:.5g}"
        click.echo(f"{name:<20}{value:>12}  {'' if found[key] is None else unit}".rstrip())
    if figure is not None:
        click.echo(f"\nfigure: {figure}")


TIMBRES = click.Choice(["1/k", "uniform"])


@main.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "--f0",
    default=220.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Of the tone, in Hz.",
)
@click.option(
    "--harmonics",
    default=8,
    show_default=True,
    type=click.IntRange(1),
    help="Of the tone, how many.",
)
@click.option(
    "--timbre",
    default="1/k",
    show_default=True,
    type=TIMBRES,
    help="Amplitudes of the tone's harmonics.",
)
@click.option(
    "--candidates",
    type=TIMBRES,
    help="Amplitudes of the candidates' harmonics.  [default: as the tone's]",
)
@click.option(
    "--noise",
    default="none",
    show_default=True,
    type=click.Choice(["none", "white", "pink"]),
    help="Added to the tone.",
)
@click.option(
    "--snr-db",
    default=20.0,
    show_default=True,
    type=click.FloatRange(-100, 200),
    help="Tone over noise, in dB.",
)
@click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="Of the tone's phases and of the noise.",
)
@click.option(
    "--losses",
    metavar="NAME,...",
    help="Losses to show; a wrong NAME lists them.  [default: the presets]",
)
@click.option(
    "--range",
    "range_",
    default=1200.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Largest offset of f0, in cents.",
)
@click.option(
    "--step",
    default=25.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Between offsets, in cents.",
)
@_with_figure
@click.pass_context
def landscape(context, file, losses, range_, step, figure, overwrite, as_json, **tone):
    """Show what losses see while f0 alone is wrong, and how well their slopes lead.

    The target is half a second of FILE, whose note is fitted first, or of a synthetic tone.
    Exit status: 0 all went well, 1 it failed, 2 wrong usage.
    """
    given = [name for name in tone if context.get_parameter_source(name).name == "COMMANDLINE"]
    if file is not None and given:
        raise _Refused(f"--{given[0].replace('_', '-')} is for the tone: leave it out with a FILE")
    if not (math.isfinite(step) and math.isfinite(range_)):
        raise _Refused(f"--range and --step must be finite, got {range_:g} and {step:g}")
    if step > range_:
        raise _Refused(f"--step must not be above --range, got {step:g} and {range_:g}")
    with _one_line_on_failure(file):
        import numpy as np

        from .landscape import minimum_error, slope_accuracy

        n_steps = int(range_ / step + 1e-9)
        cents = step * np.arange(-n_steps, n_steps + 1)
        compared = _named(losses)
        with _axes(figure, overwrite) as ax:
            if file is None:
                what, curves = _landscape_of_tone(compared, cents, **tone)
            else:
                what, curves = _landscape_of_file(compared, cents, file, losses)
            if ax is not None:
                from .plot import plot_landscape

                plot_landscape(ax, cents, curves)
                ax.set_title(what, loc="left")
    scores = {
        name: dict(
            slope_accuracy=slope_accuracy(cents, slopes), minimum_cents=minimum_error(cents, values)
        )
        for name, (values, slopes) in curves.items()
    }
    if as_json:
        for name, (values, slopes) in curves.items():
            scores[name].update(values=values.tolist(), slopes=slopes.tolist())
        click.echo(json.dumps(dict(target=what, cents=cents.tolist(), losses=scores)))
        return
    click.echo(f"{what}\n{len(cents)} offsets of f0, {cents[0]:g} to {cents[-1]:g} cents\n")
    width = 2 + max(map(len, scores))
    click.echo(f"{'loss':<{width}}{'right slopes / %':>18}{'global minimum / cents':>26}")
    for name, score in scores.items():
        share, lowest = 100 * score["slope_accuracy"], score["minimum_cents"]
        click.echo(f"{name:<{width}}{share:>18.1f}{lowest:>26g}")
    if figure is not None:
        click.echo(f"\nfigure: {figure}")


def _named(names):
    from .losses import FAMILY, PRESETS, named_loss

    names = PRESETS if names is None else [name.strip() for name in names.split(",")]
    for name in names:
        if name not in FAMILY:
            raise _Refused(f"--losses must name some of {', '.join(FAMILY)}, got {name!r}")
    return {name: named_loss(name) for name in names}


def _landscape_of_tone(losses, cents, *, f0, harmonics, timbre, candidates, noise, snr_db, seed):
    """What it is of, and its curves."""
    from .checks import ParameterError
    from .landscape import landscape, noisy_tone
    from .landscape import timbre as amplitudes

    own = amplitudes(timbre, harmonics)
    try:
        target = noisy_tone(f0, own, noise=noise, snr_db=snr_db, seed=seed)
        held = own if candidates is None else amplitudes(candidates, harmonics)
        _, curves = landscape(target, f0, held, losses, cents=cents)
    except ParameterError as error:
        raise _Refused(str(error)) from None
    what = f"tone of {f0:g} Hz, {harmonics} harmonics {timbre}"
    if candidates not in (None, timbre):
        what += f", candidates {candidates}"
    return (what if noise == "none" else f"{what}, {noise} noise at {snr_db:g} dB"), curves


def _landscape_of_file(losses, cents, file, chosen):
    import numpy as np

    from .audio import read_audio
    from .estimate.fit import fit_note
    from .landscape import landscape_of_tracks

    audio, sample_rate = read_audio(file)
    tracks = fit_note(audio, sample_rate)
    if chosen is None and len(audio) < 0.13 * sample_rate:
        click.echo("SOT-Pitch is left out: it needs 128 ms", err=True)
        losses = {name: loss for name, loss in losses.items() if name != "SOT-Pitch"}
    _, curves = landscape_of_tracks(audio, tracks, losses=losses, cents=cents)
    return f"{file.name}, fitted at {np.median(tracks.f0_hz):.2f} Hz", curves

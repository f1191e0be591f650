"""``spectralot landscape``: what losses see while f0 is wrong."""

import json
import math
from pathlib import Path

import click

from .common import Refused, figure_axes, one_line_on_failure, with_figure

TIMBRES = click.Choice(["1/k", "uniform"])


@click.command()
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
@with_figure
@click.pass_context
def landscape(context, file, losses, range_, step, figure, overwrite, as_json, **tone):
    """Show what losses see while f0 alone is wrong, and how well their slopes lead.

    The target is half a second of FILE, whose note is fitted first, or of a synthetic tone.
    Exit status: 0 all went well, 1 it failed, 2 wrong usage.
    """
    given = [name for name in tone if context.get_parameter_source(name).name == "COMMANDLINE"]
    if file is not None and given:
        raise Refused(f"--{given[0].replace('_', '-')} is for the tone: leave it out with a FILE")
    if not (math.isfinite(step) and math.isfinite(range_)):
        raise Refused(f"--range and --step must be finite, got {range_:g} and {step:g}")
    if step > range_:
        raise Refused(f"--step must not be above --range, got {step:g} and {range_:g}")
    with one_line_on_failure(file):
        import numpy as np

        from ..landscape import minimum_error, slope_accuracy

        n_steps = int(range_ / step + 1e-9)
        cents = step * np.arange(-n_steps, n_steps + 1)
        compared = _named(losses)
        with figure_axes(figure, overwrite) as ax:
            if file is None:
                what, curves = _landscape_of_tone(compared, cents, **tone)
            else:
                what, curves = _landscape_of_file(compared, cents, file, losses)
            if ax is not None:
                from ..plot import plot_landscape

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
    from ..losses import FAMILY, PRESETS, named_loss

    names = PRESETS if names is None else [name.strip() for name in names.split(",")]
    for name in names:
        if name not in FAMILY:
            raise Refused(f"--losses must name some of {', '.join(FAMILY)}, got {name!r}")
    return {name: named_loss(name) for name in names}


def _landscape_of_tone(losses, cents, *, f0, harmonics, timbre, candidates, noise, snr_db, seed):
    """What it is of, and its curves."""
    from ..checks import ParameterError
    from ..landscape import landscape, noisy_tone
    from ..landscape import timbre as amplitudes

    own = amplitudes(timbre, harmonics)
    try:
        target = noisy_tone(f0, own, noise=noise, snr_db=snr_db, seed=seed)
        held = own if candidates is None else amplitudes(candidates, harmonics)
        _, curves = landscape(target, f0, held, losses, cents=cents)
    except ParameterError as error:
        raise Refused(str(error)) from None
    what = f"tone of {f0:g} Hz, {harmonics} harmonics {timbre}"
    if candidates not in (None, timbre):
        what += f", candidates {candidates}"
    return (what if noise == "none" else f"{what}, {noise} noise at {snr_db:g} dB"), curves


def _landscape_of_file(losses, cents, file, chosen):
    import numpy as np

    from ..audio import read_audio
    from ..estimate.fit import fit_note
    from ..landscape import landscape_of_tracks

    audio, sample_rate = read_audio(file)
    tracks = fit_note(audio, sample_rate)
    if chosen is None and len(audio) < 0.13 * sample_rate:
        click.echo("SOT-Pitch is left out: it needs 128 ms", err=True)
        losses = {name: loss for name, loss in losses.items() if name != "SOT-Pitch"}
    _, curves = landscape_of_tracks(audio, tracks, losses=losses, cents=cents)
    return f"{file.name}, fitted at {np.median(tracks.f0_hz):.2f} Hz", curves

"""``spectralot compare``: two recordings, five numbers."""

import json
from pathlib import Path

import click

from .common import figure_axes, one_line_on_failure, with_figure


@click.command()
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@with_figure
def compare(a, b, figure, overwrite, as_json):
    """Compare recordings A and B: spectral transport, MSS, LSD and level in one table.

    The figure shows both mean spectra, and between them which energy goes where. Different rates:
    both are brought to the lower one. Different lengths: the end of the longer one is left out.
    Exit status: 0 all went well, 1 it failed, 2 wrong usage.
    """
    with one_line_on_failure():
        from ..checks import ParameterError
        from ..compare import METRICS, mean_power, read_pair
        from ..compare import compare as compare_sounds

        with figure_axes(figure, overwrite) as ax:
            *sounds, rate, rates = read_pair(a, b)
            found = compare_sounds(*sounds, rate)
            if ax is not None:
                from ..plot import plot_transport

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

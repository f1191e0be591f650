"""``spectralot reproduce``: the paper's table trained again, run by run."""

from pathlib import Path

import click

from .common import Refused, interrupted, one_line_on_failure, say

ROWS = (
    "LIN", "MSS", "SOT-2048", "SOT-512", "SOT-512-LogF", "SOT-NoCut", "SOT-2048-SS", "guided",
    "guided-20dB",
)  # fmt: skip
MARKS = ("<!-- training -->\n", "<!-- end of training -->")


@click.command()
@click.option(
    "--row", "names", multiple=True, type=click.Choice(ROWS),
    help="Loss to train with; may be given several times.  [default: all]",
)  # fmt: skip
@click.option(
    "--seeds", default=5, show_default=True, type=click.IntRange(1), help="Runs of each row."
)
@click.option("--steps", type=click.IntRange(1), help="Instead of the row's own number.")
@click.option(
    "--sounds", "n_sounds", default=4000, show_default=True, type=click.IntRange(10),
    help="Of all three parts together.",
)  # fmt: skip
@click.option(
    "--encoder", default="shared", show_default=True,
    type=click.Choice(["shared", "paper", "dense"]), help="For the rows of the paper's table.",
)  # fmt: skip
@click.option(
    "-o", "--output", "results", default="training.json", show_default=True, metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="JSON file to which every run is added as it ends; runs that are in it are not repeated.",
)  # fmt: skip
@click.option(
    "--page", type=click.Path(dir_okay=False, exists=True, path_type=Path), metavar="FILE",
    help="Markdown page whose table, between two marks, is written anew.",
)  # fmt: skip
@click.option(
    "--figure", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Draw accuracy over steps: PNG, PDF or SVG; replaced if it exists.",
)  # fmt: skip
@click.option(
    "-j", "--jobs", "n_processes", default=1, show_default=True, type=click.IntRange(1),
    metavar="N", help="Runs at once, of one thread each.",
)  # fmt: skip
@click.option(
    "--device", default="auto", show_default=True, type=click.Choice(["auto", "cpu", "cuda"]),
    help="\"cuda\" trains all rows of the table side by side; \"auto\": where there is a device.",
)  # fmt: skip
def reproduce(names, seeds, steps, n_sounds, encoder, results, page, figure, n_processes, device):
    """Train the rows of the paper's table, and the recipe "guided".

    Checkpoints lie in FILE.runs: after an interruption, the same command goes on.
    """
    from .. import backend
    from ..learn import experiments

    if device == "cuda" and (missing := backend.cuda_missing()):
        raise Refused(f"--device cuda cannot be had: {missing}")
    with one_line_on_failure():
        try:
            for run in experiments.reproduce(
                names or ROWS, seeds, results, encoder=encoder, steps=steps,
                n_sounds=n_sounds, n_processes=n_processes, scratch=f"{results}.runs",
                device=device,
            ):  # fmt: skip
                test = run["test"]
                say(
                    f"{run['row']} ({run['encoder']}), seed {run['seed']}: LSD {test['lsd']:.1f}, "
                    f"RPA {test['rpa']:.1f} %, RCA {test['rca']:.1f} %, {run['seconds']:.0f} s"
                )
        except KeyboardInterrupt:
            interrupted("interrupted: run the same command again to go on")
        runs = experiments.load_results(results)
        text = experiments.table(runs)
        say(text)
        if page is not None:
            _fill(page, text)
        if figure is not None:
            _draw(figure, runs)


def _fill(page, text):
    """Put the table between the page's two marks."""
    from ..checks import ParameterError
    from ..files import writing

    before = page.read_text(encoding="utf-8")
    if any(before.count(mark) != 1 for mark in MARKS):
        raise ParameterError(f"{page} must hold the marks {MARKS[0].strip()} and {MARKS[1]} once")
    head, rest = before.split(MARKS[0])
    with writing(page, overwrite=True) as part:
        part.write_text(f"{head}{''.join(MARKS[:1])}{text}\n{MARKS[1]}{rest.split(MARKS[1])[1]}")


def _draw(path, runs):
    from matplotlib.figure import Figure

    from ..files import writing
    from ..plot import plot_convergence

    groups = {}
    for run in runs:
        if run["encoder"] == "shared":
            groups.setdefault(run["row"], []).append(run)
    rows = max(1, -(-len(groups) // 3))
    sheet = Figure(figsize=(10, 2.4 * rows), layout="constrained")
    panels = sheet.subplots(rows, 3, sharex=True, sharey=True, squeeze=False).ravel()
    for ax, (name, members) in zip(panels, groups.items(), strict=False):
        plot_convergence(ax, members)
        ax.set(title=name, ylim=(-4, 104))
        ax.title.set_size(10)
    for ax in panels[len(groups) :]:
        ax.set_visible(False)
    if groups:
        panels[0].legend(fontsize=8)
        sheet.supxlabel("step", size=10)
    with writing(path, overwrite=True) as part:
        sheet.savefig(part, format=path.suffix[1:].lower(), dpi=110)

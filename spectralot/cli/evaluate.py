"""``spectralot evaluate``: how good models are, on sounds that they did not learn from."""

import json
import sys
from pathlib import Path

import click

from .common import SCORES, ChosenSounds, progress_bar, say, with_name, with_synthetic_sounds


@click.command()
@click.argument(
    "models", metavar="MODEL...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "--recordings", metavar="FOLDER", multiple=True,
    help="Recordings, as for train; can be given several times. Their f0 is unknown: LSD only.",
)  # fmt: skip
@with_synthetic_sounds
@click.option("--json", "as_json", is_flag=True, help="Print JSON and nothing else.")
def evaluate(models, recordings, synthetic, n_sounds, snr_db, as_json):
    """Score models on sounds that they did not learn from.

    MODEL is a model.npz of train. The sounds are the tenth that train leaves out for tests when it
    is told to take the same sounds. LSD: log-spectral distance, with --snr-db also to the sounds
    without noise. RPA: share of frames with f0 within 50 cents; RCA: but for octaves. octaves: mean
    error of f0. cents: its median size.

    A MODEL that fails costs one line. Exit status: 0 all went well, 1 some MODEL or recording
    failed, 2 wrong usage.
    """
    chosen = ChosenSounds(recordings, synthetic, n_sounds, snr_db)

    from ..checks import ParameterError
    from ..learn import HarmonicModel, scores

    failed, found, tests, what = False, [], {}, None
    with progress_bar(len(models)) as show:
        for done, file in enumerate(models):
            show(done, "evaluating")
            try:
                model = HarmonicModel.load(file)
                transform = model.frames.transform
                grid = transform.sample_rate, transform.hop_length
                if grid not in tests:
                    what, (*_, tests[grid]) = chosen.split(*grid, quiet=True)
                found.append((str(file), scores(model, tests[grid])))
            except ParameterError as error:
                failed = True
                say(with_name(file, error), err=True)
    if found and as_json:
        rows = [dict(model=file) | {name: row.get(name) for name in SCORES} for file, row in found]
        click.echo(json.dumps(dict(sounds=f"a tenth of {what}", models=rows), indent=2))
    elif found:
        say(f"a tenth of {what}\n")
        _table(found)
    sys.exit(1 if failed or chosen.failed else 0)


def _table(found):
    """One row for each model; all have the same scores, because all met the same sounds."""
    names = [name for name in SCORES if name in found[0][1]]
    heads = [" / ".join(filter(None, SCORES[name][:2])) for name in names]
    width = 2 + max(len("model"), *(len(file) for file, _ in found))
    widths = [2 + max(len(head), 8) for head in heads]
    rows = [[f"{row[name]:{SCORES[name][2]}}" for name in names] for _, row in found]
    for file, row in zip(["model", *(file for file, _ in found)], [heads, *rows], strict=True):
        cells = (f"{cell:>{n}}" for cell, n in zip(row, widths, strict=True))
        say(f"{file:<{width}}" + "".join(cells))

"""``spectralot train``: f0 and amplitudes learned from sounds alone."""

import os
import sys

import click

from .common import (
    ChosenSounds,
    Finite,
    Refused,
    interrupted,
    one_line_on_failure,
    progress_bar,
    say,
    with_synthetic_sounds,
    with_units,
)


@click.command()
@click.argument("inputs", metavar="[FOLDER]...", nargs=-1)
@click.option(
    "-o", "--output", "folder", metavar="RUN", required=True, type=click.Path(file_okay=False),
    help="Folder for checkpoint.npz, log.csv and model.npz; made if missing.",
)  # fmt: skip
@with_synthetic_sounds
@click.option(
    "--objective", metavar="NAME",
    help="guided always converges; the name of a loss trains as the paper does, and a wrong NAME "
    "lists them.  [default: guided]",
)  # fmt: skip
@click.option(
    "--encoder", default="shared", show_default=True,
    type=click.Choice(["shared", "dense", "paper"]),
    help="The network: one that hears transposed sounds alike, a plain one, the paper's.",
)  # fmt: skip
@click.option(
    "--seed", type=click.IntRange(0), metavar="N",
    help="Of the first parameters and the order of the sounds; which sounds these are does not "
    "depend on it.  [default: 0]",
)  # fmt: skip
@click.option(
    "--steps", type=click.IntRange(1), metavar="N", help="Batches in all.  [default: 1000]"
)
@click.option(
    "--batch-size", type=click.IntRange(1), metavar="N", help="Sounds in a batch.  [default: 32]"
)
@click.option(
    "--learning-rate", type=Finite(0, min_open=True), metavar="X",
    help="Of Adam, at its highest.  [default: 0.002]",
)  # fmt: skip
@click.option(
    "--validate-every", type=click.IntRange(1), metavar="N",
    help="Steps from one validation and checkpoint to the next.  [default: 100]",
)  # fmt: skip
@click.option(
    "--patience", type=click.IntRange(0), metavar="N",
    help="Stop after so many validations without a better one; 0: never.  [default: 0]",
)  # fmt: skip
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def train(inputs, folder, synthetic, n_sounds, snr_db, encoder, quiet, **wanted):
    """Learn f0 and amplitudes from sounds alone.

    FOLDER is a folder of recordings, a file or a pattern in quotes, as for estimate: they are cut
    into slices of 4096 samples at 16 kHz. Without any, synthetic sounds are made. Of all sounds
    70 % are learned from, 20 % choose the best parameters, and 10 % test them.

    The same command given again goes on from RUN's checkpoint, and ends as if it had never been
    interrupted; a RUN of other settings or sounds is refused. A file that cannot be read, or is
    silent, costs one line. Exit status: 0 all went well, 1 it or some file failed, 2 wrong usage,
    130 interrupted.
    """
    chosen, tell = ChosenSounds(inputs, synthetic, n_sounds, snr_db), _silent if quiet else say
    note = _Note(tell)
    try:
        with one_line_on_failure():
            from ..learn import scores
            from ..learn import train as learn

            config = _config(encoder, chosen.various, wanted)
            what, (training, validation, test) = chosen.split(quiet=quiet)
            tell(
                f"{what}: {len(training)} to learn from, {len(validation)} to validate, "
                f"{len(test)} to test"
            )
            with progress_bar(config.steps, quiet) as show:
                note.begin(config.steps, show)
                result = learn(config, training, validation, folder=folder, progress=note)
            if not result.finished:
                raise KeyboardInterrupt
            if result.step < config.steps:
                tell(
                    f"stopped at step {result.step} of {config.steps}: "
                    f"none of the last {config.patience} validations was better"
                )
            if not quiet:
                tell(f"test: {with_units(scores(result.model, test))}")
            tell(f"model: {os.path.join(folder, 'model.npz')}")
    except FloatingPointError as error:
        say(f"{error}: try a lower --learning-rate in another RUN", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        interrupted(f"interrupted {note.where}: run the same command again to go on")
    sys.exit(1 if chosen.failed else 0)


def _silent(line):
    pass


def _config(encoder, various, wanted):
    """The training that is asked for; what is left out has its own default."""
    from ..learn import OBJECTIVES, TrainConfig

    if wanted["objective"] not in (None, *OBJECTIVES):
        names = ", ".join(OBJECTIVES)
        raise Refused(f"--objective must be one of {names}, got {wanted['objective']!r}")
    given = {name: value for name, value in wanted.items() if value is not None}
    network, frames = {"kind": encoder}, {}
    if encoder == "paper":
        frames["calibrated"] = False  # it takes the transform as it is
    if various:
        # real sounds have more harmonics, and at low pitches do not last a window of constant Q;
        # being sure too early costs more where their pitch is less clear
        network |= {"n_harmonics": 30, "temperature": 0.1}
        frames["gamma"] = 5.0
    return TrainConfig(encoder=network, frames=frames, refine=not various, **given)


class _Note:
    """Tells of each validation, moves the bar, and knows where training is."""

    def __init__(self, tell):
        self._tell, self._n_steps, self._step, self._heard = tell, 0, None, "training"

    @property
    def where(self):
        if self._step is None:
            return "before the first step"
        return f"at step {self._step} of {self._n_steps}"

    def begin(self, n_steps, show):
        self._n_steps, self._show = n_steps, show
        show(0, "preparing")

    def __call__(self, step, row):
        if self._step is None and step > 1:
            self._tell(f"going on from step {step - 1}")
        self._step = step
        if row is not None:
            self._heard = f"loss {row['loss']:.4g}, {with_units(row, ('lsd', 'rpa'))}"
            self._tell(f"step {step} of {self._n_steps}: {self._heard}")
        self._show(step, self._heard)

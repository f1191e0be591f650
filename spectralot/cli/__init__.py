"""Command line: parse, call, print.

Everything heavy is imported inside the commands, so that ``--help`` answers at once.
"""

import os

import click

from .. import __version__
from .common import heed_signals, interrupted
from .compare import compare
from .convert import convert
from .estimate import estimate
from .eval import evaluate_pitch
from .evaluate import evaluate
from .info import info
from .landscape import landscape
from .report import report
from .reproduce import reproduce
from .resynth import resynth
from .train import train
from .warmup import warmup


class _Commands(click.Group):
    def invoke(self, context):
        """Run the command; where it has nothing to say about an interrupt, say that."""
        try:
            return super().invoke(context)
        except KeyboardInterrupt:
            interrupted("interrupted")


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="spectralot")
def main():
    """Read f0 and harmonic amplitudes out of recordings; compare spectra by transport."""
    # threads that spin while they wait take the processor from others; read as Numba starts
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    heed_signals()


for command in (
    estimate, convert, evaluate_pitch, compare, landscape, train, evaluate, reproduce, resynth,
    info, warmup, report,
):  # fmt: skip
    main.add_command(command)

"""``spectralot convert``: tracks from one format to another."""

from pathlib import Path

import click

from ..formats import FORMATS, find_format
from .common import Finite, Refused, one_line_on_failure, say

FORMAT = click.Choice(list(FORMATS))
_TABLE = "\b\nFormats:\n" + "\n".join(
    f"  {name:<11}{form.suffix:<12}{form.what}" for name, form in FORMATS.items()
)


def format_of(option, path, name):
    """The format of a file; refuse one that cannot be told."""
    if name is not None:
        return name

    from ..checks import ParameterError

    try:
        return find_format(path)
    except ParameterError as error:
        raise Refused(str(error).replace("format must", f"{option} must", 1)) from None


def counted(n_frames, voiced_share):
    """Say how many frames there are and how many have a pitch."""
    return f"{n_frames} frames, {100 * voiced_share:.0f} % voiced"


@click.command(epilog=_TABLE)
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--from", "source_format", type=FORMAT, help="Of IN.  [default: by its suffix]")
@click.option("--to", "target_format", type=FORMAT, help="Of OUT.  [default: by its suffix]")
@click.option(
    "--unvoiced", type=click.Choice(["keep", "zero", "nan", "negative"]),
    help="The frequency of an unvoiced frame in csv, json, mir_eval and mirex: the best guess, 0, "
    "nan, or minus the best guess.  [default: keep, keep, zero, negative]",
)  # fmt: skip
@click.option(
    "--sample-rate", type=Finite(0, min_open=True), metavar="HZ",
    help="Of the sound, where IN does not say.  [default: 44100]",
)  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace OUT if it exists already.")
def convert(source, target, source_format, target_format, unvoiced, sample_rate, overwrite):
    """Convert f0 and harmonics from one format to another.

    Exit status: 0 all went well, 1 it failed, 2 wrong usage.
    """
    source_format = format_of("--from", source, source_format)
    target_format = format_of("--to", target, target_format)
    options = {} if unvoiced is None else {"unvoiced": unvoiced}
    if options and "unvoiced" not in FORMATS[target_format].options:
        raise Refused(f"--unvoiced is not for {target_format}: leave it out")
    with one_line_on_failure():
        from ..formats import read_tracks, write_tracks

        tracks = read_tracks(source, source_format, sample_rate=sample_rate)
        write_tracks(tracks, target, target_format, overwrite=overwrite, **options)
    found = counted(len(tracks.f0_hz), tracks.voiced.mean())
    say(f"{source} ({source_format}) -> {target} ({target_format}): {found}")

"""What several commands share: refusals, messages, figures."""

import math
import sys
from contextlib import contextmanager
from pathlib import Path

import click


class Refused(click.ClickException):
    """The command as given makes no sense; nothing has been done."""

    exit_code = 2


class Finite(click.FloatRange):
    """A number in a range, which neither NaN nor infinity is."""

    def convert(self, value, param, ctx):
        """Refuse what is not finite, else as a range does."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not finite", param, ctx)
        return number


def say(line, *, err=False):
    """Print a line, whatever bytes the names of files in it have."""
    click.echo(line.encode("utf-8", "replace").decode(), err=err)


def with_name(file, error):
    """The error's line, with the file's name if it does not say it."""
    return str(error) if file is None or str(file) in str(error) else f"{file}: {error}"


def _check_figure(context, option, path):
    if path is not None and path.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise click.BadParameter(f"must end in .png, .pdf or .svg, got {path}")
    return path


def with_figure(command):
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
def figure_axes(path, overwrite):
    """Yield axes whose figure is written when the block ends well; None where none is wanted."""
    if path is None:
        yield None
        return
    from matplotlib.figure import Figure

    from ..files import writing

    figure = Figure(figsize=(9, 5), layout="constrained")
    with writing(path, overwrite=overwrite) as part:
        yield figure.subplots()
        figure.savefig(part, format=path.suffix[1:].lower(), dpi=120)


@contextmanager
def one_line_on_failure(file=None):
    from ..checks import ParameterError

    try:
        yield
    except (ParameterError, MemoryError) as error:
        click.echo(with_name(file, error), err=True)
        sys.exit(1)

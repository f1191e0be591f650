"""What several commands share: refusals, messages, bars, figures, sounds to learn from."""

import math
import signal
import sys
from contextlib import contextmanager, suppress
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
    from ..checks import CONTROLS

    text = line.rstrip("\n")
    line = text.translate(CONTROLS) + line[len(text) :]
    click.echo(line.encode("utf-8", "replace").decode(), err=err)


_signals = [signal.SIGINT]


def heed_signals():
    """Let SIGTERM do what Ctrl-C does, but for the exit status; neither says more than one line."""

    def interrupt(number, frame):
        # objects that it leaves half made would complain as they are thrown away
        sys.unraisablehook = lambda _: None
        signal.default_int_handler(number, frame)

    def end(number, frame):
        _signals.append(number)
        handler = signal.getsignal(signal.SIGINT)  # training has its own; in scripts it is ignored
        (handler if callable(handler) else interrupt)(number, frame)

    with suppress(ValueError):  # not the main thread: its owner decides
        signal.signal(signal.SIGTERM, end)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, interrupt)


def interrupted(line):
    """Say so, and leave with the status that shells give: 130 after Ctrl-C, 143 after SIGTERM."""
    say(line, err=True)
    sys.exit(128 + _signals[-1])


def with_name(file, error):
    """The error's line, with the file's name if it does not say it."""
    return str(error) if file is None or str(file) in str(error) else f"{file}: {error}"


def pitch_found(summary):
    """Say what an estimate found in a file."""
    if summary.median_hz is None:
        return "nothing voiced"
    return f"{100 * summary.voiced_share:.0f} % voiced, median {summary.median_hz:.1f} Hz"


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
        say(with_name(file, error), err=True)
        sys.exit(1)


@contextmanager
def progress_bar(total, quiet=False):
    """Give a function to call as ``show(done, text)``; draws a bar, on a terminal only."""
    if quiet or not sys.stderr.isatty():
        yield lambda done, text: None
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn())
    columns += (TimeElapsedColumn(), TimeRemainingColumn())
    # results must not leave a pipe that stdout may be
    with Progress(
        *columns, console=console, transient=True, redirect_stdout=sys.stdout.isatty()
    ) as bar:
        task = bar.add_task("", total=total)
        yield lambda done, text: bar.update(task, completed=done, description=text)


SCORES = {  # heading, unit and format
    "lsd": ("LSD", "dB^2", ".2f"),
    "lsd_clean": ("LSD to clean", "dB^2", ".2f"),
    "rpa": ("RPA", "%", ".1f"),
    "rca": ("RCA", "%", ".1f"),
    "octaves": ("octaves", "", ".3f"),
    "cents": ("cents", "", ".1f"),
}


def with_units(row, names=tuple(SCORES)):
    """Say the scores of a model in words, those that are known."""
    known = [(row[name], *SCORES[name]) for name in names if name in row]
    return ", ".join(f"{head} {value:{form}} {unit}".strip() for value, head, unit, form in known)


def with_synthetic_sounds(command):
    """Options of the sounds that models learn from, or are judged on, without recordings."""
    for option in (
        click.option(
            "--snr-db", type=Finite(-100, 200), metavar="DB",
            help="Add white noise this far below each of the paper's sounds.",
        ),
        click.option(
            "--sounds", "n_sounds", type=click.IntRange(10), metavar="N",
            help="Synthetic sounds, all three parts together.  [default: 4000]",
        ),
        click.option(
            "--synthetic", type=click.Choice(["paper", "varied"]),
            help="The paper's sounds, or such as are as various as recordings.  [default: paper]",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


class ChosenSounds:
    """What a command line says to learn from or to be judged on; refuses what makes no sense."""

    def __init__(self, words, synthetic, n_sounds, snr_db):
        given = {"--synthetic": synthetic, "--sounds": n_sounds, "--snr-db": snr_db}
        for option, value in given.items():
            if words and value is not None:
                raise Refused(f"{option} is for synthetic sounds: leave it out with recordings")
        if synthetic == "varied" and snr_db is not None:
            raise Refused("--snr-db is for the paper's sounds: leave it out with varied ones")
        self._words, self._varied, self._snr_db = words, synthetic == "varied", snr_db
        self.various = bool(words) or self._varied
        self._n_sounds = n_sounds or 4000
        self.failed = False

    def split(self, sample_rate=16000, hop_length=256, *, quiet=False):
        """Say what they are, and give the parts to learn from, to validate with and to test."""
        from ..checks import ParameterError
        from ..learn import paper_sounds, varied_sounds

        n_sounds, n_frames = self._n_sounds, max(1, 4096 // hop_length)
        if self._words:
            sounds, what = self._slices(sample_rate, quiet)
        elif self._varied:
            what = f"{n_sounds} varied sounds"
            sounds = varied_sounds(
                n_sounds, n_samples=n_frames * hop_length, sample_rate=sample_rate,
                n_frames=n_frames,
            )  # fmt: skip
        elif sample_rate != 16000:
            raise ParameterError(f"the paper's sounds have 16000 Hz, the model {sample_rate:g} Hz")
        else:
            noise = "" if self._snr_db is None else f", noise {self._snr_db:g} dB below"
            what = f"{n_sounds} of the paper's sounds{noise}"
            sounds = paper_sounds(n_sounds, snr_db=self._snr_db, n_frames=n_frames)
        return what, sounds.split()

    def _slices(self, sample_rate, quiet):
        """Slices of recordings. One that fails costs a line; too few slices end the command."""
        import numpy as np

        from ..checks import ParameterError
        from ..corpus import find_recordings
        from ..learn import Sounds, recorded_sounds

        recordings, failures = find_recordings(self._words)
        self.failed, slices = bool(failures), []
        for _, line in failures:
            say(line, err=True)
        with progress_bar(len(recordings), quiet) as show:
            for done, (file, _) in enumerate(recordings):
                show(done, "reading")
                try:
                    slices.append(recorded_sounds([file], sample_rate=sample_rate).audio)
                except ParameterError as error:
                    self.failed = True
                    say(with_name(file, error), err=True)
            show(len(recordings), "reading")
        n_files = len(slices)
        recording = np.repeat(np.arange(n_files), [len(cut) for cut in slices])
        slices = np.concatenate(slices) if slices else ()
        if len(slices) < 10:
            if n_files:
                rule = f"recordings must hold 10 slices of 4096 samples at {sample_rate:g} Hz"
                say(f"{rule} that are not silent, got {len(slices)}", err=True)
            sys.exit(1)
        sounds = Sounds(slices, recording=recording)
        return sounds, f"{len(slices)} slices of {n_files} recording(s)"

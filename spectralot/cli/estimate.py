"""``spectralot estimate``: f0, voicing and harmonics of any number of recordings."""

import sys
from contextlib import closing, contextmanager
from dataclasses import replace

import click

from .common import Finite, Refused, interrupted, pitch_found, progress_bar, say, with_name

_NOT_FOR = {
    "signal": (),
    "fit": (
        "step_ms", "hop", "harmonics", "no_viterbi", "voicing_threshold", "silence_db", "no_center",
    ),
    "model": ("fmin", "fmax", "no_viterbi", "no_center", "resynth"),
}  # fmt: skip


class _Harmonics(click.ParamType):
    name = "auto|N"

    def convert(self, value, param, ctx):
        """Return "auto" or a number from 0."""
        if value == "auto":
            return value
        return click.IntRange(0).convert(value, param, ctx)


def _split_formats(context, option, text):
    chosen = tuple(name.strip() for name in text.split(","))
    for name in chosen:
        if name not in ("csv", "npz", "json"):
            raise click.BadParameter(f"must name some of csv, npz, json, got {name!r}")
    return chosen


@click.command()
@click.argument("inputs", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "-o", "--output", "folder", metavar="DIR", type=click.Path(file_okay=False),
    help="Folder for the results; made if missing. - writes the CSV of one FILE to standard "
    "output.  [default: beside each FILE]",
)  # fmt: skip
@click.option(
    "-s", "--step-ms", type=Finite(0, min_open=True), metavar="MS",
    help="From frame to frame, in milliseconds.  [default: 10]",
)  # fmt: skip
@click.option("--hop", type=click.IntRange(1), metavar="N", help="The same in samples.")
@click.option(
    "--fmin", type=Finite(0, min_open=True), metavar="HZ", help="Lowest f0 looked for, in Hz."
)
@click.option(
    "--fmax", type=Finite(0, min_open=True), metavar="HZ", help="Highest f0 looked for, in Hz."
)
@click.option(
    "--harmonics", type=_Harmonics(),
    help="How many to measure; 0: f0 only.  [default: auto, all below Nyquist, at most 40]",
)  # fmt: skip
@click.option(
    "--method", default="signal", show_default=True, type=click.Choice(["signal", "fit", "model"]),
    help="signal: any recording. fit: one single note, by descent of spectral losses. model: any "
    "recording, by a trained network.",
)  # fmt: skip
@click.option(
    "--model", "model_file", metavar="MODEL", type=click.Path(exists=True, dir_okay=False),
    help="What spectralot train wrote, for --method model, which need not be said then.  "
    "[default: the model that is shipped]",
)  # fmt: skip
@click.option("--no-viterbi", is_flag=True, help="Each frame for itself: no path through time.")
@click.option(
    "--voicing-threshold", type=Finite(0, 1), metavar="X",
    help="Confidence from which a frame is voiced, 0..1.  [default: 0.5]",
)  # fmt: skip
@click.option(
    "--silence-db", type=Finite(max=0), metavar="DB",
    help="Frames this far below the loud ones have no pitch.  [default: -60]",
)  # fmt: skip
@click.option(
    "--unvoiced", default="keep", show_default=True,
    type=click.Choice(["keep", "zero", "nan", "negative"]),
    help="What CSV and JSON give as frequency of an unvoiced frame: the best guess, 0, nan, or "
    "minus the best guess.",
)  # fmt: skip
@click.option(
    "--format", "formats", default="csv,npz", show_default=True, metavar="NAME,...",
    callback=_split_formats, help="Some of csv, npz, json; csv is always written.",
)  # fmt: skip
@click.option("-p", "--plot", is_flag=True, help="Also draw NAME.png.")
@click.option("--resynth", is_flag=True, help="Also write NAME.model.wav and NAME.residual.wav.")
@click.option(
    "--no-center",
    is_flag=True,
    help="Frames begin at their time instead of being centred there; no amplitudes.",
)
@click.option(
    "-j", "--jobs", "n_processes", default=1, show_default=True, type=click.IntRange(0),
    metavar="N", help="Files done at once, each in a process; 0: as many as cores.",
)  # fmt: skip
@click.option(
    "--dask", "address", metavar="ADDRESS",
    help="Hand the files to a dask cluster that sees the same folders, such as tcp://host:8786; "
    "implies --skip-existing.",
)  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace results that exist already.")
@click.option("--skip-existing", is_flag=True, help="Skip a FILE whose results all exist.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
@click.pass_context
def estimate(context, inputs, folder, n_processes, address, quiet, **wanted):
    """Estimate f0, voicing and harmonics of each FILE.

    FILE is a recording in any format and rate that libsndfile reads (several channels are mixed
    down), a folder of them, a pattern in quotes such as "takes/**/*.wav", or - for standard
    input, whose CSV goes to standard output unless there is -o DIR.

    Writes NAME.f0.csv (time, frequency, confidence) and what --format, --plot and --resynth name.
    A file that fails costs one line. Exit status: 0 all went well, 1 some FILE failed, 2 wrong
    usage, 130 interrupted (SIGTERM: 143).
    """
    to_text = folder == "-" or (folder is None and "-" in inputs)
    options = _options(context, wanted, to_text)
    if address is not None and n_processes != 1:
        raise Refused("--jobs and --dask exclude each other")
    n_failed, n_skipped, n_done, jobs = 0, 0, 0, []
    try:
        jobs, failures = _plan(inputs, options, folder, to_text)
        for _, line in failures:
            n_failed += 1
            say(line, err=True)
        with (
            _results(jobs, n_processes, address) as results,
            progress_bar(len(jobs), quiet) as show,
        ):
            for job, outcome in results:
                n_done += 1
                if isinstance(outcome, str):
                    n_failed += 1
                    say(with_name(job.file, outcome), err=True)
                elif outcome.csv is not None:
                    click.echo(outcome.csv, nl=False)
                elif outcome.skipped:
                    n_skipped += 1
                elif not quiet:
                    say(f"{job.file} -> {', '.join(outcome.outputs)} ({pitch_found(outcome)})")
                show(n_done, "estimating")
    except KeyboardInterrupt:
        interrupted(f"interrupted: {n_done} of {len(jobs)} files done")
    if n_skipped and not quiet:
        say(f"skipped: {n_skipped} of {len(jobs)} files, whose results exist")
    sys.exit(1 if n_failed else 0)


def _options(context, wanted, to_text):
    """Return what is asked of every file, or refuse what makes no sense together."""

    def given(name):
        return context.get_parameter_source(name).name == "COMMANDLINE"

    model_file = wanted.pop("model_file")
    if model_file is not None:
        if given("method") and wanted["method"] != "model":
            raise Refused(f"--model is for --method model, got --method {wanted['method']}")
        wanted["method"] = "model"
    for name in _NOT_FOR[wanted["method"]]:
        if given(name):
            option = f"--{name.replace('_', '-')}"
            raise Refused(f"{option} is not for --method {wanted['method']}: leave it out")
    for one, other in (("step_ms", "hop"), ("overwrite", "skip_existing")):
        if given(one) and given(other):
            pair = f"--{one} and --{other}".replace("_", "-")
            raise Refused(f"{pair} exclude each other")
    fmin, fmax = wanted["fmin"], wanted["fmax"]
    if fmin is not None and fmax is not None and fmin >= fmax:
        raise Refused(f"--fmin must be below --fmax, got {fmin:g} and {fmax:g}")
    if wanted["resynth"] and wanted["harmonics"] == 0:
        raise Refused("--resynth needs harmonics, got --harmonics 0")
    if wanted["resynth"] and wanted["no_center"]:
        raise Refused("--resynth needs harmonics, which --no-center leaves out")
    files_only = wanted["plot"] or wanted["resynth"]
    if to_text and (files_only or (given("formats") and set(wanted["formats"]) != {"csv"})):
        raise Refused("standard output takes CSV only: name a folder with -o")

    from ..corpus import Options

    settings = dict(
        step_ms=wanted["step_ms"],
        hop_length=wanted["hop"],
        fmin=fmin,
        fmax=fmax,
        n_harmonics=wanted["harmonics"],
        viterbi=False if wanted["no_viterbi"] else None,
        voicing_threshold=wanted["voicing_threshold"],
        silence_db=wanted["silence_db"],
        center=False if wanted["no_center"] else None,
        model=model_file,
    )
    same = ("method", "unvoiced", "formats", "plot", "resynth", "overwrite", "skip_existing")
    options = Options(
        settings={name: value for name, value in settings.items() if value is not None},
        **{name: wanted[name] for name in same},
    )
    return replace(options, formats=("csv",)) if to_text else options


def _plan(inputs, options, folder, to_text):
    from ..checks import ParameterError
    from ..corpus import find_recordings, plan_jobs

    recordings, failures = find_recordings(inputs)
    try:
        jobs = plan_jobs(recordings, options, None if folder == "-" else folder, to_text=to_text)
    except ParameterError as error:
        raise Refused(str(error)) from None
    if to_text and len(jobs) + len(failures) > 1:
        raise Refused(f"standard output takes one file, got {len(jobs)}: name a folder with -o")
    return jobs, failures


@contextmanager
def _results(jobs, n_processes, address):
    from ..checks import ParameterError
    from ..runners import n_cores, run_jobs

    with closing(run_jobs(jobs, n_processes=n_processes or n_cores(), address=address)) as results:
        try:
            yield results
        except ParameterError as error:  # no cluster
            say(str(error), err=True)
            sys.exit(1)

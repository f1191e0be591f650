"""``spectralot report``: a page to see, hear and trust for each recording."""

import sys
from contextlib import closing

import click

from .common import Refused, interrupted, pitch_found, progress_bar, say, with_name


@click.command()
@click.argument("inputs", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "-o", "--output", metavar="OUT.html|DIR", type=click.Path(),
    help="The page, of one FILE, or a folder for pages; made if missing.  [default: beside each "
    "FILE]",
)  # fmt: skip
@click.option(
    "--method", default="signal", show_default=True, type=click.Choice(["signal", "fit", "model"]),
    help="As for spectralot estimate.",
)  # fmt: skip
@click.option(
    "--model", "model_file", metavar="MODEL", type=click.Path(exists=True, dir_okay=False),
    help="What spectralot train wrote, for --method model, which need not be said then.",
)  # fmt: skip
@click.option(
    "--tracks", metavar="TRACKS.npz", type=click.Path(exists=True, dir_okay=False),
    help="Show this estimate of the one FILE, made before.",
)  # fmt: skip
@click.option(
    "-j", "--jobs", "n_processes", default=1, show_default=True, type=click.IntRange(0),
    metavar="N", help="Pages made at once, each in a process; 0: as many as cores.",
)  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace pages that exist already.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
@click.pass_context
def report(context, inputs, output, method, model_file, tracks, n_processes, overwrite, quiet):
    """Write a page about each FILE: pictures, sound, model, residual, numbers.

    FILE is a recording, a folder of them, a pattern in quotes, or - for standard input, as for
    spectralot estimate. NAME.html needs no network and nothing beside it. Up to 5 minutes are
    heard on it. A file that fails costs one line. Exit status: 0 all went well, 1 some FILE
    failed, 2 wrong usage, 130 interrupted.
    """
    given = context.get_parameter_source("method").name == "COMMANDLINE"
    if model_file is not None:
        if given and method != "model":
            raise Refused(f"--model is for --method model, got --method {method}")
        method = "model"
    if tracks is not None and (given or model_file is not None):
        raise Refused("--tracks excludes --method and --model")

    from ..report import Pages, report_file
    from ..runners import n_cores, run_jobs

    settings = {} if model_file is None else {"model": model_file}
    options = Pages(method=method, settings=settings, tracks=tracks, overwrite=overwrite)
    jobs, n_failed, n_done = [], 0, 0
    try:
        jobs, n_failed = _plan(inputs, output, options)
        results = run_jobs(jobs, n_processes=n_processes or n_cores(), work=report_file)
        with closing(results), progress_bar(len(jobs), quiet) as show:
            for job, outcome in results:
                n_done += 1
                if isinstance(outcome, str):
                    n_failed += 1
                    say(with_name(job.file, outcome), err=True)
                elif not quiet:
                    say(f"{job.file} -> {job.outputs[0]} ({pitch_found(outcome)})")
                show(n_done, "reporting")
    except KeyboardInterrupt:
        interrupted(f"interrupted: {n_done} of {len(jobs)} files done")
    sys.exit(1 if n_failed else 0)


def _plan(inputs, output, options):
    """Return the jobs, and how many of the words mean no file, each of which costs a line."""
    from ..checks import ParameterError
    from ..corpus import Job, find_recordings, plan_jobs

    recordings, failures = find_recordings(inputs)
    to_page = output is not None and output.endswith(".html")
    if len(recordings) + len(failures) > 1:
        for option, given in (("-o OUT.html", to_page), ("--tracks", options.tracks is not None)):
            if given:
                raise Refused(f"{option} is for one FILE, got {len(recordings)}")
    if output is None and any(file == "-" for file, _ in recordings):
        raise Refused("standard input needs -o OUT.html")
    for _, line in failures:
        say(line, err=True)
    try:
        jobs = plan_jobs(recordings, options, None if to_page else output)
    except ParameterError as error:
        raise Refused(str(error)) from None
    if to_page:
        jobs = [Job(file, output.removesuffix(".html"), options) for file, _ in recordings]
    return jobs, len(failures)

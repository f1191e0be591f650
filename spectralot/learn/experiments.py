"""The paper's table trained again, and the recipe that always converges: many runs, one file.

Names of experiments are the rows of the table (`spectralot.PRESETS`), "guided" and "guided-20dB".
"""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

from .. import backend, checks
from ..checks import ParameterError
from ..files import writing
from ..hints import PathLike
from ..processes import pool, submit
from .side_by_side import train_side_by_side
from .sounds import paper_sounds
from .trainer import TrainConfig, scores, train

__all__ = ["EXPERIMENTS", "experiment", "load_results", "reproduce", "table"]

PAPER_ROWS = ("LIN", "MSS", "SOT-2048", "SOT-512", "SOT-512-LogF", "SOT-NoCut", "SOT-2048-SS")
RECIPES = {"guided": None, "guided-20dB": 20.0}  # and the SNR of their sounds
EXPERIMENTS = (*PAPER_ROWS, *RECIPES)
# table 1 of arXiv:2312.14507: mean / median (standard deviation) of 5 seeds
PUBLISHED = {
    "LIN": ("46.4 / 58.0 (21.4)", "20.2 / 0.2 (44.6)", "26.9 / 3.9 (42.7)"),
    "MSS": ("80.5 / 82.6 (15.1)", "1.4 / 0.1 (2.7)", "4.0 / 3.2 (4.5)"),
    "SOT-2048": ("23.5 / 24.5 (3.5)", "75.0 / 99.7 (43.2)", "99.2 / 99.8 (1.6)"),
    "SOT-512": ("40.5 / 26.6 (23.5)", "42.9 / 63.6 (39.4)", "62.3 / 75.2 (42.6)"),
    "SOT-512-LogF": ("25.9 / 25.0 (2.5)", "55.4 / 63.7 (36.1)", "86.8 / 95.6 (16.2)"),
    "SOT-NoCut": ("70.6 / 77.6 (31.8)", "23.7 / 20.0 (30.3)", "46.0 / 45.0 (36.4)"),
    "SOT-2048-SS": ("97.9 / 101.1 (32.5)", "14.1 / 4.7 (25.5)", "28.6 / 11.6 (32.6)"),
}
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def experiment(
    name: str, encoder: Literal["shared", "paper", "dense"] = "shared"
) -> tuple[TrainConfig, float | None]:
    """Configuration of an experiment and the SNR of its sounds.

    Parameters
    ----------
    name : str
        One of `EXPERIMENTS`.
    encoder : {"shared", "paper", "dense"}
        For the rows of the table; the recipe has its own.

    Returns
    -------
    config : TrainConfig
        Of the seed 0.
    snr_db : float or None
        None: without noise.

    Raises
    ------
    ParameterError
        If there is no such experiment.
    """
    checks.one_of("row", name, EXPERIMENTS)
    if name in RECIPES:
        return TrainConfig(), RECIPES[name]
    if encoder == "shared":
        # amplitudes do not know the harmonics' magnitudes, and start alike and too loud in all:
        # what is missing would be looked for at the top, far away
        kind = {"kind": "shared", "amplitudes": "level", "start": 0.39, "temperature": 0.3}
        kind |= {"channels": 16, "layers": 3, "out_channels": 2}
        return TrainConfig(
            objective=name, clip=0.5, moves=3, encoder=kind, steps=1500, gradient_limit=0.0,
            validate_every=150,
        ), None  # fmt: skip
    config = TrainConfig(objective=name, encoder={"kind": encoder}, frames={"calibrated": False})
    return replace(
        config, steps=25000, batch_size=64, learning_rate=1e-4, schedule="constant", warmup=0,
        gradient_limit=0.0, validate_every=500,
    ), None  # fmt: skip


def load_results(path: PathLike) -> list[dict[str, Any]]:
    """Runs that were done.

    Parameters
    ----------
    path : str or path-like
        A file that `reproduce` wrote; if there is none, no run was done.

    Returns
    -------
    list of dict
        One for each run.

    Raises
    ------
    ParameterError
        If it cannot be read.
    """
    try:
        runs = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise ParameterError(f"cannot read {path}: {error}") from None
    if not isinstance(runs, list):
        raise ParameterError(f"cannot read {path}: it holds no list of runs")
    return runs


def reproduce(
    names: Sequence[str],
    n_seeds: int,
    results: PathLike,
    *,
    encoder: Literal["shared", "paper", "dense"] = "shared",
    steps: int | None = None,
    n_sounds: int = 4000,
    n_processes: int = 1,
    scratch: PathLike,
    device: Literal["auto", "cpu", "cuda"] = "cpu",
) -> Iterator[dict[str, Any]]:
    """Train what is missing, and add each run to the file of results as it ends.

    Parameters
    ----------
    names : sequence of str
        Experiments.
    n_seeds : int
        Seeds 0, 1, ... of each.
    results : str or path-like
        JSON file that is extended.
    encoder : {"shared", "paper", "dense"}
        For the rows of the table.
    steps : int, optional
        Instead of the experiment's own.
    n_sounds : int
        Sounds of all three parts together.
    n_processes : int
        Runs at once. More than one: each has one thread.
    scratch : str or path-like
        Folder for checkpoints: a run that was interrupted goes on.
    device : {"auto", "cpu", "cuda"}
        "cuda" trains all rows of the table that are missing side by side, without checkpoints. It
        cannot train the recipes, which "auto" leaves to the CPU.

    Yields
    ------
    dict
        Each run that was done now, as it is in the file.

    Raises
    ------
    ParameterError
        If an argument breaks its rule or the file cannot be read.
    KeyboardInterrupt
        After an interrupt, when the run at hand has written its checkpoint; runs in processes of
        their own go on from the last one they wrote.
    """
    n_seeds, device = checks.integer("n_seeds", n_seeds, 1), backend.chosen(device)
    runs = load_results(results)
    done = {
        tuple(run[key] for key in ("row", "encoder", "seed", "steps", "sounds")) for run in runs
    }
    jobs = []
    for seed in range(n_seeds):
        for name in names:
            config, snr_db = experiment(name, encoder)
            config = replace(config, seed=seed, steps=config.steps if steps is None else steps)
            kind = config.encoder["kind"]
            if (name, kind, seed, config.steps, n_sounds) not in done:
                folder = Path(scratch, f"{name}-{kind}-{config.steps}-{n_sounds}-{seed}")
                jobs.append((name, config, n_sounds, snr_db, folder))
    for run in _outcomes(jobs, n_processes, device):
        if run is None:
            raise KeyboardInterrupt
        runs.append(run)
        runs.sort(key=lambda r: (EXPERIMENTS.index(r["row"]), r["encoder"], r["steps"], r["seed"]))
        with writing(results, overwrite=True) as part:
            lines = ",\n".join(json.dumps(r) for r in runs)
            part.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
        yield run


def _outcomes(jobs, n_processes, device):
    """Run all jobs here, in processes, or side by side; None after an interrupt."""
    if device == "cuda":
        yield from _side_by_side([job for job in jobs if job[0] not in RECIPES])
        jobs = [job for job in jobs if job[0] in RECIPES]
    if n_processes == 1 or len(jobs) <= 1:
        for job in jobs:
            yield _run(*job)
        return
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        with pool(n_processes, 1) as workers:
            for future in as_completed([submit(workers, _run, *job) for job in jobs]):
                yield future.result()
    except BrokenProcessPool:
        raise ParameterError(
            "a process that trained has died: run the same command again to go on"
        ) from None
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _run(name, config, n_sounds, snr_db, folder):
    """Train and test once; None if it was interrupted."""
    training, validation, test = paper_sounds(n_sounds, snr_db=snr_db).split()
    result = train(config, training, validation, folder=folder)
    return _told(name, config, n_sounds, result, test) if result.finished else None


def _side_by_side(jobs):
    """Train and test all on a CUDA device."""
    if not jobs:
        return
    names, configs, (n_sounds, *_), *_ = zip(*jobs, strict=True)
    training, validation, test = paper_sounds(n_sounds).split()
    for name, config, result in zip(
        names, configs, train_side_by_side(configs, training, validation), strict=True
    ):
        yield _told(name, config, n_sounds, result, test)


def _told(name, config, n_sounds, result, test):
    """What the file of results keeps of a run."""
    return {
        "row": name,
        "encoder": config.encoder["kind"],
        "seed": config.seed,
        "steps": config.steps,
        "sounds": n_sounds,
        "test": scores(result.model, test),
        "seconds": result.log[-1]["seconds"],
        "log": [
            {k: round(row[k], 4) for k in ("step", "loss", "lsd", "rpa", "rca")}
            for row in result.log
        ],
        "config": asdict(config),
    }


def table(runs: list[dict[str, Any]]) -> str:
    """Markdown table of runs, beside the published numbers.

    Parameters
    ----------
    runs : list of dict
        As `reproduce` yields them.

    Returns
    -------
    str
        Mean / median (standard deviation) over the seeds of each experiment. Where sounds have
        noise, LSD is to the sounds without.
    """
    lines = [
        "| loss | encoder | steps | seeds | LSD, dB² | RPA % | RCA % | minutes a run |",
        "|---|---|---:|---:|---|---|---|---:|",
    ]
    groups: dict[tuple[str, str, int], list[dict[str, Any]]] = {}
    for run in runs:
        groups.setdefault((run["row"], run["encoder"], run["steps"]), []).append(run)
    for (row, encoder, steps), members in groups.items():
        tests = [run["test"] for run in members]
        lsd = "lsd_clean" if "lsd_clean" in tests[0] else "lsd"
        cells = [_spread([test[key] for test in tests]) for key in (lsd, "rpa", "rca")]
        cells += [f"{statistics.median(run['seconds'] for run in members) / 60:.1f}"]
        lines.append(f"| {row} | {encoder} | {steps} | {len(members)} | {' | '.join(cells)} |")
        if row in PUBLISHED and encoder == "shared":
            lines.append(
                f"| {row}, published | paper | 25000 | 5 | {' | '.join(PUBLISHED[row])} | |"
            )
    return "\n".join(lines)


def _spread(values):
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.1f} / {statistics.median(values):.1f} ({deviation:.1f})"

"""Where many jobs are done: in this process, in several, or on a dask cluster."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace

from .checks import ParameterError
from .corpus import Job, Summary, estimate_file
from .processes import pool, submit

_DIED = "the process that worked on it died, more than once"
_PATIENCE_S = 10  # with a scheduler that does not answer


def run_jobs(
    jobs: Iterable[Job],
    *,
    n_processes: int = 1,
    address: str | None = None,
    work: Callable[[Job], Summary] = estimate_file,
) -> Iterator[tuple[Job, Summary | str]]:
    """Do every job, and say of each what became of it; none stops the others.

    Parameters
    ----------
    jobs : iterable of Job
        What is to be done. Standard input is read by this process in any case, and first.
    n_processes : int
        Processes to work in; 1 is this one. They share out Numba's threads.
    address : str, optional
        A dask scheduler to hand the jobs to instead, such as "tcp://host:8786". Its workers must
        see the same files; paths are made absolute. A job whose results all exist is skipped unless
        it may replace them: workers that die leave it open how far they got.
    work : callable
        Takes a job and returns its outcome; other processes must be able to import it.

    Yields
    ------
    job : Job
        As it was given. One process keeps the order of the jobs; else they come as they finish.
    outcome : Summary or str
        What `work` returned, or in one line why it failed.

    Raises
    ------
    ParameterError
        If the package distributed is not installed, or the scheduler does not answer.

    Notes
    -----
    A process that dies takes at most the files with it that were being worked on. Each of them is
    tried once more, alone; dask tries again by itself. Whoever stops iterating stops the work:
    processes give up at once, and leave no half of a result.

    Examples
    --------
    >>> from spectralot.corpus import Job
    >>> [outcome for _, outcome in run_jobs([Job("gone.wav", None)])]
    ['cannot read gone.wav: No such file or directory']
    """
    here, elsewhere = [], list(jobs)
    n_processes = min(n_processes, len(elsewhere))
    if address is None and n_processes <= 1:
        here, elsewhere = elsewhere, []
    else:
        here = [job for job in elsewhere if job.file == "-"]
        elsewhere = [job for job in elsewhere if job.file != "-"]
    for job in here:
        yield job, _attempt(work, job)
    if elsewhere and address is not None:
        yield from _on_dask(elsewhere, address, work)
    elif elsewhere:
        yield from _in_processes(elsewhere, n_processes, work)


def _attempt(work, job):
    """Return what `work` gives, or one line."""
    try:
        return work(job)
    except (ParameterError, MemoryError) as error:
        return str(error) or "not enough memory"
    except Exception as error:  # a fault of ours costs this file, not the night's work
        return " ".join(f"unexpected {type(error).__name__}: {error}".split())


def _in_processes(jobs, n_processes, work):
    waiting, suspects = deque((job, None) for job in jobs), deque()
    n_threads = max(1, _n_threads() // n_processes)
    while waiting or suspects:
        # any of those at work may have broken the pool: alone, each shows whether it was the one
        queue, size = (suspects, 1) if suspects else (waiting, min(n_processes, len(waiting)))
        running = {}
        with pool(size, n_threads) as workers:
            try:
                while queue or running:
                    while queue and len(running) < size:
                        job, sent = queue[0]
                        sent = sent or _with_leave(job)
                        running[submit(workers, _attempt, work, sent)] = job, sent
                        queue.popleft()
                    done, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        outcome = future.result()
                        yield running.pop(future)[0], outcome
            except BrokenProcessPool:
                pass
        if queue is suspects:
            for job, _ in running.values():
                yield job, _DIED
        else:
            suspects.extend(running.values())


def _with_leave(job):
    """The same job, free to replace what an attempt of it has written whose word was lost."""
    if any(map(os.path.lexists, job.outputs)):
        return job
    return replace(job, options=replace(job.options, overwrite=True, skip_existing=False))


def n_cores() -> int:
    """Return how many cores this process may use.

    Returns
    -------
    int
        At least 1.
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _n_threads():
    """Return how many threads Numba would use."""
    told = os.environ.get("NUMBA_NUM_THREADS", "")
    return int(told) if told.isdecimal() else n_cores()


def _on_dask(jobs, address, work):
    try:
        from distributed import Client, KilledWorker, as_completed
    except ImportError:
        raise ParameterError(
            "a dask cluster needs the package distributed: pip install 'spectralot[dask]'"
        ) from None
    try:
        client = Client(address, timeout=_PATIENCE_S, set_as_default=False)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ParameterError(f"cannot reach a dask scheduler at {address}: {reason}") from None
    with client:
        elsewhere = [_for_cluster(job) for job in jobs]
        futures = client.map(_attempt_on_dask, [work] * len(jobs), elsewhere, pure=False)
        job_of = {future.key: job for future, job in zip(futures, jobs, strict=True)}
        finished = as_completed(futures, loop=client.loop, with_results=True, raise_errors=False)
        for future, outcome in finished:
            job = job_of[future.key]
            if isinstance(outcome, Summary):  # paths as this process was told
                outcome = replace(outcome, outputs=job.outputs)
            elif future.status != "finished":
                fault = outcome[1] if isinstance(outcome, tuple) else outcome
                died = isinstance(fault, KilledWorker)
                outcome = _DIED if died else " ".join(f"dask: {fault}".split())
            yield job, outcome


def _for_cluster(job):
    """The same job for a process in another folder, which may be told twice."""
    stem = None if job.stem is None else os.path.abspath(job.stem)
    options = replace(job.options, skip_existing=not job.options.overwrite)
    return Job(os.path.abspath(job.file), stem, options)


_one_at_a_time = threading.Lock()


def _attempt_on_dask(work, job):
    """Do a job in a worker, on as many threads as dask gave it."""
    import numba
    from distributed import get_worker

    # one job has all of the worker's threads: many jobs at once would start as many for each
    with _one_at_a_time:
        numba.set_num_threads(min(get_worker().state.nthreads, numba.config.NUMBA_NUM_THREADS))
        return _attempt(work, job)

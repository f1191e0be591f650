"""Processes that work for this one: they end when it ends, however, and leave no half of a file."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, get_context, parent_process
from typing import Any

_PATIENCE_S = 5  # with whoever tidies up


@contextmanager
def pool(size: int, n_threads: int) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of fresh processes; stop them if the block fails or is left.

    Parameters
    ----------
    size : int
        Processes at once.
    n_threads : int
        Numba's threads in each.
    """
    others = set(active_children())
    # Numba's threads do not survive a fork
    workers = ProcessPoolExecutor(size, get_context("spawn"), _start, (n_threads,))
    try:
        yield workers
    except BaseException:
        for process in set(active_children()) - others:
            process.terminate()
        raise
    finally:
        workers.shutdown(cancel_futures=True)


def submit(workers: ProcessPoolExecutor, function: Callable[..., Any], *args: Any) -> Future[Any]:
    """Have one of them call a function.

    Parameters
    ----------
    workers : ProcessPoolExecutor
        From `pool`.
    function : callable
        What is called, as a name that another process can import.
    *args : object
        Its arguments.

    Returns
    -------
    Future
        Of what the function returns.
    """
    if not hasattr(signal, "pthread_sigmask"):
        return workers.submit(_call, function, *args)
    # Ctrl-C reaches all: the first process decides. A new one has the signal blocked from its birth
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return workers.submit(_call, function, *args)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Stopped(BaseException):
    """This process is to go; whoever has half a file removes it."""


_at_work = False


def _start(n_threads):
    os.environ["NUMBA_NUM_THREADS"] = str(n_threads)  # read when Numba is imported, which is later
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where it cannot be blocked
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_outlive_nobody, daemon=True).start()


def _leave(*_):
    if not _at_work:
        os._exit(1)
    threading.Thread(target=_go, daemon=True).start()
    raise _Stopped


def _go():
    """Leave in any case: finalizers swallow exceptions, and signals may come just before a wait."""
    time.sleep(_PATIENCE_S)
    os._exit(1)


def _outlive_nobody():
    """Leave when the process that started this one is gone, however it went."""
    parent_process().join()
    os.kill(os.getpid(), signal.SIGTERM)
    _go()


def _call(function, *args):
    global _at_work
    try:
        _at_work = True
        return function(*args)
    except _Stopped:
        os._exit(1)
    finally:
        _at_work = False

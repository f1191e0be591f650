"""Many Python threads, many processes, and each of Numba's threading layers."""

import json
import os
import random
import signal
import sys
from functools import partial
from importlib import import_module, util
from pathlib import Path
from threading import Barrier, Event, Thread

from .calls import ALL, QUICK, call, in_process

PYTHON_THREADS, NUMBA_THREADS = 8, 3
LAYERS = {"omp": "omppool", "tbb": "tbbpool", "workqueue": "workqueue"}
METHODS = ("spawn", "forkserver", "fork", "loky")


def check(short):
    if os.environ.get("NUMBA_DISABLE_JIT") == "1":
        yield "threading layers", "skipped: NUMBA_DISABLE_JIT is set, nothing is compiled"
        return
    names = [*(QUICK if short else ALL)]
    often = names if short else names + [*QUICK] * 2
    expected = None
    for layer in LAYERS:
        environment, missing = _layer(layer)
        if missing:
            yield layer, f"skipped: {missing}"
            continue

        environment |= {
            "NUMBA_THREADING_LAYER": layer, "NUMBA_NUM_THREADS": str(NUMBA_THREADS),
            "OPENBLAS_NUM_THREADS": "2",
        }  # fmt: skip
        run = partial(in_process, __name__, **environment)

        found = run("in_threads", often)
        assert found == (expected or found), f"{layer} gives other bits than {next(iter(LAYERS))}"
        expected = found
        yield (
            f"{layer}: {len(often)} calls of {len(names)} functions by each of {PYTHON_THREADS} "
            "Python threads, from the first on",
            "the bits of one thread, and of the other layers; no abort",
        )
        forked = ["stft"] if short else [*QUICK]
        assert run("after_forks", forked) == {name: expected[name] for name in forked}
        yield f"{layer}: child and grandchild by fork, SIGTERM ignored", "the same bits"
        if short:
            continue
        for method in METHODS:
            if method == "loky" and util.find_spec("joblib") is None:
                yield f"{layer}: joblib", "skipped: joblib is not installed"
                continue
            found = run("in_processes", method, names)
            assert found == expected, f"{layer}, {method}: other bits"
            yield f"{layer}: processes by {method}, after the parent's kernels", "the same bits"
        run("fork_while_busy", 8)
        yield f"{layer}: 8 forks while 4 threads are within kernels", "every child: the same bits"
        if util.find_spec("distributed") is None:
            yield f"{layer}: dask", "skipped: distributed is not installed"
        for n_threads in (1, 4) if util.find_spec("distributed") else ():
            found = run("on_dask", n_threads, names)
            assert found == expected, f"{layer}, dask workers of {n_threads} threads: other bits"
            yield f"{layer}: 2 dask workers of {n_threads} threads", "the same bits"
        for most in (1, NUMBA_THREADS):
            run("limits", expected, most, NUMBA_NUM_THREADS=str(most))
        yield (
            f"{layer}: NUMBA_NUM_THREADS, set_num_threads in one thread, threadpool_limits",
            "no thread too many, no other thread's number changed, BLAS's limit kept, same bits",
        )


def _layer(layer):
    """What the environment needs for a layer, and why it cannot be had, or None."""
    library = Path(sys.prefix, "lib", "libtbb.so.12")
    if layer == "tbb" and library.exists():  # where the loader does not look by itself
        return {"LD_LIBRARY_PATH": str(library.parent)}, None
    try:
        import_module(f"numba.np.ufunc.{LAYERS[layer]}")
    except ImportError as error:
        return {}, f"{error}"
    return {}, None


def in_threads(names):
    """Digests of what calls give in this thread, once many threads have made them at once."""
    together, found = Barrier(PYTHON_THREADS), []

    def work(seed):
        order = [*names]
        random.Random(seed).shuffle(order)
        together.wait()
        found.extend((name, call(name)) for name in order)

    threads = [Thread(target=work, args=(seed,)) for seed in range(PYTHON_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone = {name: call(name) for name in names}
    assert len(found) == PYTHON_THREADS * len(names), "a thread failed"
    assert set(found) == set(alone.items()), set(found) - set(alone.items())
    return alone


def _in_child(work):
    """What `work` returns in a process forked from this one."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, json.dumps(work()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, encoding="utf-8") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    assert said, "the forked process died"
    return json.loads(said)


def after_forks(names):
    """Digests in a child and in its child, who must not take a refusal for a result."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def work():
        return {name: call(name) for name in names}

    alone = work()
    child, grandchild = _in_child(lambda: (work(), _in_child(work)))
    assert child == grandchild == alone
    return alone


def in_processes(method, names):
    """Digests that other processes give, after the kernels have run in this one."""
    alone = {name: call(name) for name in names}
    if method == "loky":
        from joblib import Parallel, delayed

        there = Parallel(2)(delayed(call)(name) for name in names)
    else:
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        with ProcessPoolExecutor(2, get_context(method)) as pool:
            there = list(pool.map(call, names))
    assert there == [*alone.values()]
    return alone


def fork_while_busy(n_forks):
    """Children of a process whose other threads are within kernels."""
    names, over = [*QUICK], Event()
    if sys.version_info < (3, 12):
        names.remove("preset")  # there, cached_property may leave a lock behind
    alone = {name: call(name) for name in names}

    def work():
        while not over.is_set():
            for name in names:
                call(name)

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(n_forks):
            assert _in_child(lambda: {name: call(name) for name in names}) == alone
    finally:
        over.set()
        for thread in threads:
            thread.join()


def on_dask(n_threads, names):
    """Digests that dask's workers give."""
    from distributed import Client, LocalCluster

    with LocalCluster(2, threads_per_worker=n_threads, dashboard_address=":0") as cluster:
        with Client(cluster) as client:
            jobs = names * 4
            there = client.gather(client.map(call, jobs, pure=False))
    found = dict(zip(jobs, there, strict=True))
    assert set(zip(jobs, there, strict=True)) == set(found.items())
    return found


def limits(expected, most):
    """Threads that the system counts, and numbers of threads that were asked for."""
    import numba
    from threadpoolctl import threadpool_info, threadpool_limits

    import spectralot.learn._network  # noqa: F401  (which loads all BLAS there is)

    def n_tasks():
        return len(os.listdir("/proc/self/task"))

    def blas():
        return [each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"]

    before, blas_before = n_tasks(), blas()
    quick = {name: expected[name] for name in QUICK}

    def same():
        return {name: call(name) for name in quick} == quick

    assert same()
    assert n_tasks() - before <= most + 1, (before, n_tasks())  # one is rocket-fft's, and idle
    found = []

    def alone():
        numba.set_num_threads(1)
        found.extend((same(), numba.get_num_threads()))

    thread = Thread(target=alone)
    thread.start()
    thread.join()
    assert found == [True, 1] and numba.get_num_threads() == most
    with threadpool_limits(1):
        assert same() and set(blas()) == {1}, blas()
    assert blas() == blas_before, (blas_before, blas())

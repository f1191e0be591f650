"""``python -m benchmarks.gpu``: all that only a CUDA device can tell, in ten minutes.

- parity: every operation against the CPU in float64. An error may be as large as its bar, or four
  times that of the CPU in float32, for some operations magnify rounding more than others.
- races: 20 launches on the same numbers, and one as a graph, give the same bits.
- bounds: arrays lie between zones that nobody may write to, and begin as NaN: who reads beyond an
  array, or what nobody wrote, gives other bits. Where compute-sanitizer is installed, the command
  for a finer search is told at the end.
- times: of all kernels of an operation, launched as a graph; of a call from Python, until all is
  done; and of the same call on the CPU. Shares are of the copy bandwidth and the float32 rate
  measured here.
- step: of a training of the shared encoder with SOT-2048.

All is worked on in another process; if that dies or hangs, the next goes on in a new one.
"""

import argparse
import gc
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path
from unittest.mock import patch

import numpy as np
from numba import cuda, float32

from spectralot import backend
from spectralot.cuda import arrays, stft
from spectralot.files import writing
from spectralot.learn import Sounds, paper_sounds
from spectralot.learn.side_by_side import SideBySide

from .__main__ import cpu_name
from .gpu_cases import REAL, TINY, Training, cases, fetched, training_config
from .landscape_study import page_with, write_table

MARK = "measured"  # of the page's tables
SANITIZER = (
    "compute-sanitizer --tool memcheck --target-processes all "
    "python -m benchmarks.gpu --only parity"
)
SECTIONS = ("parity", "races", "bounds", "times", "step")
LIMIT_S = 240  # that a job may take; the first ones compile
MARGIN = 4  # times the CPU's own error in float32
GUARD, PATTERN = 4096, 0xFF  # bytes on each side of an array; as floats NaN, as integers -1
PLAN = 25_000, 35  # steps and runs of the paper's table
STEP_BARS_MS = {1: 1.0}  # of a run's step alone; side by side:
SHARED_BAR_MS = 0.3


# parity


def apart(name, found, expected):
    """Norm of the difference over the norm; phases as points on the circle."""
    if found.shape != expected.shape:
        return np.inf
    if name == "end_phase":
        found, expected = np.exp(1j * found), np.exp(1j * expected)
    error, norm = float(np.linalg.norm(found - expected)), float(np.linalg.norm(expected))
    return error / norm if norm else np.inf if error else 0.0


def parity(case, sizes, seed):
    """The worst array of values and that of gradients, with its bar."""
    arguments = case.arguments(seed)
    exact, single, found = (
        fetched(case.ready(arguments, where)()) for where in ("float64", "float32", "cuda")
    )
    known, outcome = case.known(exact), {"arrays": {}, "beyond": []}
    for name in sorted(known.keys() | found.keys()):
        if name not in found or name not in known:
            outcome["beyond"].append(f"{name} on one side alone")
            continue
        slope = name.startswith("d")
        bar = max(case.bars[slope], MARGIN * apart(name, single[name], known[name]))
        line = {"name": name, "error": apart(name, found[name], known[name]), "bar": bar}
        outcome["arrays"][name] = line
        if not line["error"] <= bar:  # a NaN is not
            outcome["beyond"].append(name)
        kind = "gradients" if slope else "values"
        if kind not in outcome or not line["error"] / bar <= _share(outcome[kind]):
            outcome[kind] = line
    return outcome | {"passed": not outcome["beyond"]}


def _share(line):
    return line["error"] / line["bar"]


# races


class Recorded:
    """A call that is launched as a graph from the second time on; its outputs stay where they are.

    In the simulator it is launched kernel by kernel.
    """

    def __init__(self, run):
        self._run = run
        self.replay = arrays.Replay(self._once)

    def _once(self):
        self.outputs = self._run()


def unlike(one, other):
    """Names of the arrays that differ in a bit."""
    return sorted(
        name
        for name in one.keys() | other.keys()
        if name not in one or name not in other or one[name].tobytes() != other[name].tobytes()
    )


def races(case, sizes, seed):
    """Whether all launches give the bits of the first."""
    run = case.ready(case.arguments(seed), "cuda")
    first, found = fetched(run()), set()
    for _ in range(sizes.repeats - 1):
        found.update(unlike(first, fetched(run())))
    if isinstance(case, Training):  # whose launches are graphs
        replayed = unlike(first, fetched(run.by_kernel()))
    else:
        recorded = Recorded(run) if case.n_bytes else None
        for _ in range(3 if recorded else 0):
            recorded.replay()
        replayed = unlike(first, fetched(recorded.outputs)) if recorded else []
    return {
        "launches": sizes.repeats, "unlike": sorted(found), "replayed_unlike": replayed,
        "passed": not found and not replayed,
    }  # fmt: skip


# bounds


def _forget():
    """Arrays that were taken to the device once are taken there again."""
    arrays._constant.cache_clear()
    stft._table.cache_clear()


@contextmanager
def guards():
    """Inside, every new array on the device lies between two zones; yields a list of all."""
    make, zones = cuda.device_array, []

    def device_array(shape, dtype):
        dtype = np.dtype(dtype)
        n_bytes = int(np.prod(shape)) * dtype.itemsize
        if n_bytes == 0:
            return make(shape, dtype)
        whole = make(n_bytes + 2 * GUARD, np.uint8)
        whole.copy_to_device(np.full(n_bytes + 2 * GUARD, PATTERN, np.uint8))
        zones.append((whole, f"{dtype} {tuple(shape)}"))
        return whole[GUARD : GUARD + n_bytes].view(dtype).reshape(shape)

    def to_device(array):
        taken = device_array(array.shape, array.dtype)
        if array.size:
            taken.copy_to_device(array)
        return taken

    _forget()
    try:
        with patch.multiple(cuda, device_array=device_array, to_device=to_device):
            yield zones
    finally:
        _forget()


def overwritten(zones):
    """What was written before and behind arrays, in words."""
    found = []
    for whole, what in zones:
        for part, where in ((whole[:GUARD], "before"), (whole[whole.size - GUARD :], "behind")):
            count = int(np.count_nonzero(part.copy_to_host() != PATTERN))
            if count:
                found.append(f"{count} bytes {where} an array of {what}")
    return found


def bounds(case, sizes, seed):
    """Whether nothing was written beside arrays, and nothing else read."""
    arguments = case.arguments(seed)
    plain = fetched(case.ready(arguments, "cuda")())
    with guards() as zones:
        found = fetched(case.ready(arguments, "cuda")())
        beside = overwritten(zones)
    other = unlike(plain, found)
    return {
        "arrays": len(zones), "overwritten": beside, "unlike": other,
        "passed": not beside and not other,
    }  # fmt: skip


# times


@cuda.jit(device=True)
def _chain(a, s, t):
    """Eight products and sums, each of the one before."""
    a = cuda.fma(cuda.fma(cuda.fma(cuda.fma(a, s, t), s, t), s, t), s, t)
    return cuda.fma(cuda.fma(cuda.fma(cuda.fma(a, s, t), s, t), s, t), s, t)


@cuda.jit
def _products(count, x, y):
    """Eight chains in each thread, which need not wait for each other."""
    i = cuda.grid(1)
    s, t = x[i], float32(0.5)
    a, b, c, d, e, f, g, h = s, s + t, s, s + t, s, s + t, s, s + t
    for _ in range(count):
        a, b, c, d = _chain(a, s, t), _chain(b, s, t), _chain(c, s, t), _chain(d, s, t)
        e, f, g, h = _chain(e, s, t), _chain(f, s, t), _chain(g, s, t), _chain(h, s, t)
    y[i] = a + b + c + d + e + f + g + h


def elapsed(run, stream, repeats):
    """Seconds of a launch, by events: the median of so many, each of several launches in a row."""

    def seconds(each):
        start, end = cuda.event(), cuda.event()
        start.record(stream)
        for _ in range(each):
            run()
        end.record(stream)
        end.synchronize()
        return 1e-3 * start.elapsed_time(end) / each

    for _ in range(3):
        once = seconds(1)
    each = int(min(max(5e-3 / once, 1), 10))
    return statistics.median(seconds(each) for _ in range(repeats))


def measured_limits(sizes, seed):
    """Copy bandwidth in bytes and rate of float32 arithmetic in operations a second."""
    one, other = (cuda.device_array(sizes.copied, np.uint8) for _ in range(2))
    copy_s = elapsed(partial(other.copy_to_device, one), 0, sizes.repeats)
    blocks, threads = (8192, 256) if sizes is REAL else (1, 2)
    x = cuda.to_device(np.full(blocks * threads, 0.5, np.float32))
    y = cuda.device_array(x.shape, np.float32)
    run = partial(_products[blocks, threads], sizes.products, x, y)
    products_s = elapsed(run, 0, sizes.repeats)
    return {
        "bytes_per_s": 2 * sizes.copied / copy_s,
        "flops_per_s": 128 * sizes.products * x.size / products_s,
    }


def _called(run, repeats):
    """Seconds of a call until all is done: the median."""
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        run()
        cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def times(case, sizes, seed):
    """Seconds of kernels, of a call, of the CPU."""
    arguments = case.arguments(seed)
    run = case.ready(arguments, "cuda")
    recorded = Recorded(run)
    for _ in range(3):
        recorded.replay()
    return {
        "kernels_s": elapsed(recorded.replay, recorded.replay._stream, sizes.repeats),
        "call_s": _called(run, sizes.repeats),
        "cpu_s": _called(case.ready(arguments, "float32"), 3),
        "bytes": float(case.n_bytes), "flops": float(case.n_flops),
    }  # fmt: skip


# a training step


def count_launches(run):
    """Kernels that a call launches."""
    count, launch = [], arrays.launch

    def counted(*args, **kwargs):
        count.append(args)
        return launch(*args, **kwargs)

    with ExitStack() as patches:
        for name in ("arrays", "network", "stft", "synth", "training", "transport"):
            module = import_module(f"spectralot.cuda.{name}")
            if hasattr(module, "launch"):
                patches.enter_context(patch.object(module, "launch", counted))
        run()
    return len(count)


def _free_bytes():
    """Memory of the device that nobody has, what was left behind given back."""
    gc.collect()
    context = cuda.current_context()
    with suppress(AttributeError):  # in the simulator
        context.deallocations.clear()
    return context.get_memory_info().free


def step(runs, sizes, seed):
    """Milliseconds of a step of so many runs side by side."""
    free, (steps, planned) = _free_bytes(), PLAN
    configs = [training_config("SOT-2048", sizes, steps=steps, seed=g) for g in range(runs)]
    sounds = Sounds(paper_sounds(sizes.step_sounds, seed).audio[:, : sizes.n_samples])
    side_by_side = SideBySide(configs, sounds, sounds[:1])
    launches = count_launches(side_by_side._replay._run)
    side_by_side.advance(3)
    cuda.synchronize()
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        side_by_side.advance(sizes.steps)
        cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    step_ms = 1e3 * statistics.median(seconds) / sizes.steps
    bar = STEP_BARS_MS.get(runs, SHARED_BAR_MS)
    return {
        "runs": runs, "step_ms": step_ms, "run_ms": step_ms / runs, "bar_ms": bar,
        "launches": launches, "graph": side_by_side._replay._graph is not None,
        "bytes": free - _free_bytes(),
        "minutes": step_ms * steps * -(-planned // runs) / 60e3,
        "passed": step_ms / runs <= bar, "beyond": ["its bar"] * (step_ms / runs > bar),
    }  # fmt: skip


# all of it, in other processes


def device(sizes, seed):
    """What it is measured on."""
    here, driver = cuda.current_context().device, None
    if shutil.which("nvidia-smi"):
        command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        driver = subprocess.run(command, capture_output=True, text=True).stdout.split("\n")[0]
    capability = ".".join(map(str, here.compute_capability))
    name = str(getattr(here, "name", "simulated"))
    return {"name": name, "capability": capability, "driver": driver}


def perform(job):
    """One job: its section, what of it, how large, the seed of its numbers."""
    section, what, tiny, seed = job
    sizes = TINY if tiny else REAL
    if section in ("device", "limits"):
        return {"device": device, "limits": measured_limits}[section](sizes, seed)
    if section == "step":
        return step(what, sizes, seed)
    return globals()[section](cases(sizes)[what], sizes, seed)


def jobs_of(section, tiny, seed):
    """All jobs of a section."""
    sizes = TINY if tiny else REAL
    if section == "step":
        return [(section, runs, tiny, seed) for runs in sizes.side_by_side]
    chosen = [case for case in cases(sizes).values() if section != "times" or case.n_bytes]
    jobs = [(section, case.name, tiny, seed) for case in chosen]
    return [("limits", "", tiny, seed), *jobs] if section == "times" else jobs


def _section(pair):
    (section, *_), _ = pair
    return "times" if section == "limits" else section


def outcomes(jobs, work=perform, limit_s=LIMIT_S):
    """Pairs of job and outcome, in order; what failed says so under "error"."""
    jobs, context = list(jobs), get_context("spawn")
    while jobs:
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=_serve, args=(work, jobs, there), daemon=True)
        process.start()
        there.close()
        outcome, alive = _received(here, LIMIT_S)  # that it is there
        while jobs:
            if alive:
                outcome, alive = _received(here, limit_s)
            yield jobs.pop(0), outcome
            if not alive:
                break
        process.kill()
        process.join()


def _received(here, limit_s):
    """The next outcome, and whether others may follow."""
    try:
        if here.poll(limit_s):
            return here.recv()
        return _failed(f"no answer within {limit_s} s"), False
    except EOFError:
        return _failed("the process died"), False


def _serve(work, jobs, there):
    """Send the outcome of each job, and whether the next can be done here too."""
    there.send((None, True))
    for job in jobs:
        alive = True
        try:
            outcome = work(job)
        except Exception as error:
            outcome, alive = _failed(f"{type(error).__name__}: {error}"), _answers()
        there.send((outcome, alive))
        if not alive:
            return


def _answers():
    """Whether the device can still be used from this process."""
    try:
        cuda.synchronize()
        arrays.fill(cuda.device_array(1, np.float32), 0)
        cuda.synchronize()
    except Exception:
        return False
    return True


def _failed(reason):
    return {"error": " ".join(reason.split())[:500], "passed": False}


# tables


def markdown(rows):
    """Rows are dictionaries of the same keys."""
    keys = list(rows[0])
    lines = [keys, ["---", *["---:"] * (len(keys) - 1)], *([row[k] for k in keys] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _number(line, which):
    return "" if line is None else f"{line[which]:.1e}"


def _verdict(outcome, fine):
    if outcome["passed"]:
        return fine
    reasons = (
        outcome.get(k) for k in ("error", "beyond", "overwritten", "unlike", "replayed_unlike")
    )
    return "FAILED: " + "; ".join(
        reason if isinstance(reason, str) else ", ".join(reason) for reason in reasons if reason
    )


def parity_rows(outcomes):
    for name, found in outcomes.items():
        values, gradients = found.get("values"), found.get("gradients")
        yield {
            "operation": name,
            "values": _number(values, "error"), "bar of values": _number(values, "bar"),
            "gradients": _number(gradients, "error"),
            "bar of gradients": _number(gradients, "bar"), "": _verdict(found, "holds"),
        }  # fmt: skip


def races_rows(outcomes):
    for name, found in outcomes.items():
        yield {"operation": name, "launches": _verdict(found, f"{found.get('launches')} alike")}


def bounds_rows(outcomes):
    for name, found in outcomes.items():
        yield {"operation": name, "arrays": _verdict(found, f"{found.get('arrays')} intact")}


def times_rows(outcomes):
    limits = outcomes["limits"]
    for name, found in outcomes.items():
        if name == "limits":
            continue
        row = dict.fromkeys(
            ("operation", "kernels ms", "call ms", "CPU ms", "CPU / call", "GB/s", "of copying",
             "GFLOP/s", "of products"), "",
        ) | {"operation": name}  # fmt: skip
        if "error" in found:
            yield row | {"kernels ms": _verdict(found, "")}
            continue
        kernels_s, call_s, cpu_s = (found[k] for k in ("kernels_s", "call_s", "cpu_s"))
        row |= {k: f"{1e3 * s:.3f}" for k, s in (("kernels ms", kernels_s), ("call ms", call_s))}
        row |= {"CPU ms": f"{1e3 * cpu_s:.2f}", "CPU / call": f"{cpu_s / call_s:.1f}"}
        for what, share, n, limit in (
            ("GB/s", "of copying", found["bytes"], "bytes_per_s"),
            ("GFLOP/s", "of products", found["flops"], "flops_per_s"),
        ):
            row[what] = f"{1e-9 * n / kernels_s:.0f}"
            if limit in limits:
                row[share] = f"{100 * n / kernels_s / limits[limit]:.1f} %"
        yield row


def step_rows(outcomes):
    for runs, found in outcomes.items():
        row = {"runs": str(runs), "step ms": _verdict(found, "")} | dict.fromkeys(
            ("a run ms", "bar", "launches", "graph", "memory MB", "minutes for the table"), ""
        )
        if "error" not in found:
            row |= {
                "step ms": f"{found['step_ms']:.3f}", "a run ms": f"{found['run_ms']:.3f}",
                "bar": f"{found['bar_ms']:g} {'holds' if found['passed'] else 'MISSED'}",
                "launches": str(found["launches"]), "graph": "yes" if found["graph"] else "no",
                "memory MB": f"{1e-6 * found['bytes']:.0f}",
                "minutes for the table": f"{found['minutes']:.1f}",
            }  # fmt: skip
        yield row


def section_text(section, found):
    """A section's table, and what is to be known of it."""
    rows = list(globals()[f"{section}_rows"](found))
    failed = sum(not outcome.get("passed", True) for outcome in found.values())
    lines = [f"### {section.capitalize()}", "", markdown(rows), ""]
    if section == "times" and "bytes_per_s" in found["limits"]:
        limits = found["limits"]
        lines += [
            f"Copying: {1e-9 * limits['bytes_per_s']:.0f} GB/s. "
            f"Products: {1e-9 * limits['flops_per_s']:.0f} GFLOP/s.", "",
        ]  # fmt: skip
    if section == "step":
        lines += [f"Table: {PLAN[1]} runs of {PLAN[0]} steps each.", ""]
    lines += [f"{len(found)} in all, {failed} failed." if failed else f"All {len(found)} hold.", ""]
    return "\n".join(lines)


def facts(here, options):
    """The device, the machine, versions, date."""
    versions = {"python": platform.python_version()}
    for package in ("spectralot", "numba", "numba-cuda", "numpy", "cuda-bindings"):
        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    return {
        "device": here, "cpu": cpu_name(), "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions, "seed": options.seed, "tiny": options.tiny,
    }  # fmt: skip


def heading(found):
    here, versions = found["device"], ", ".join(f"{k} {v}" for k, v in found["versions"].items())
    return (
        f"{here.get('name')}, compute capability {here.get('capability')}, driver "
        f"{here.get('driver')}; {found['cpu']}. {found['date'][:10]}, seed {found['seed']}; "
        f"{versions}.{' Tiny sizes.' if found['tiny'] else ''}\n"
    )


def file_of(text):
    """A file whose folder is there."""
    if not Path(text).parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text} must be in a folder that exists")
    return Path(text)


def main():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("-o", "--output", type=file_of, help="write all numbers to this JSON file")
    parser.add_argument(
        "--page", type=page_with(MARK), help="write the tables between this page's marks"
    )
    parser.add_argument("--only", choices=SECTIONS, action="append", help="may be given again")
    parser.add_argument("--tiny", action="store_true", help="small sizes, to see that it runs")
    parser.add_argument("--seed", type=int, default=1, help="of the random inputs (1)")
    options = parser.parse_args()
    missing = backend.cuda_missing()
    if missing:
        print(missing, file=sys.stderr)
        return 2
    # of the processes to come: that a grid is small is no news
    os.environ.setdefault("NUMBA_CUDA_LOW_OCCUPANCY_WARNINGS", "0")
    chosen = [section for section in SECTIONS if section in (options.only or SECTIONS)]
    jobs = [job for section in chosen for job in jobs_of(section, options.tiny, options.seed)]
    done = outcomes([("device", "", options.tiny, options.seed), *jobs])
    results = facts(next(done)[1], options)
    pages, failed = [heading(results)], "error" in results["device"]
    print(pages[0], flush=True)
    for section, found in groupby(done, _section):
        told = results[section] = {}
        for (kind, what, *_), outcome in found:
            told[what or kind] = outcome
            failed |= not outcome.get("passed", True)
            print(f"{section}: {what or kind}: {_verdict({'passed': True} | outcome, 'done')}",
                  file=sys.stderr, flush=True)  # fmt: skip
        pages.append(section_text(section, told))
        print(pages[-1], flush=True)
        if options.output:  # after each section: time may run out
            with writing(options.output, overwrite=True) as part:
                part.write_text(json.dumps(results, indent=1) + "\n")
    if options.page:
        write_table("\n".join(pages).rstrip(), options.page, MARK)
    if shutil.which("compute-sanitizer"):
        print(f"A finer search for what is read and written beside arrays: {SANITIZER}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

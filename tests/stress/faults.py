"""kill -9, Ctrl-C, SIGTERM at random moments: what is resumed ends as if nothing had happened."""

import csv
import json
import os
import re
import signal
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf

from . import processes

SUFFIXES = (".f0.csv", ".npz", ".json", ".model.wav", ".residual.wav")
OPTIONS = ("-o", "out", "--format", "csv,npz,json", "--resynth", "--skip-existing")
TINY = ("--sounds", "50", "--steps", "12")


@dataclass
class Task:
    """A command that can be given again, and what must come of it in the end."""

    name: str
    args: tuple
    result: object  # of the folder it ran in
    helpers: bool = False  # it works in several processes
    expected: object = None
    life_s: float = 0.0


def recordings(path):
    """A few short notes."""
    rng = np.random.default_rng(3)
    path.mkdir()
    for i in range(6):
        turns = np.cumsum(rng.uniform(100, 500) * 1.2 ** np.linspace(0, 1, 12000)) / 16000
        sound = sum(np.sin(2 * np.pi * h * turns) / h for h in range(1, 6))
        sf.write(path / f"{i}.wav", 0.2 * sound + 1e-3 * rng.standard_normal(12000), 16000)


def estimated(place):
    return {path.name: path.read_bytes() for path in (place / "out").glob("[!.]*")}


def parameters(path):
    with np.load(path) as file:
        return {name: file[name].tobytes() for name in file.files if name != "settings"}


def trained(place):
    with open(place / "run" / "log.csv", newline="", encoding="utf-8") as file:
        log = [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]
    return parameters(place / "run" / "model.npz"), log


def reproduced(place):
    runs = json.loads((place / "training.json").read_text())
    for one in runs:
        del one["seconds"]
    models = sorted((place / "training.json.runs").glob("*/model.npz"))
    return runs, [parameters(path) for path in models]


def tasks():
    """What is disturbed; each has its results in the folder it runs in."""
    learn = ("--batch-size", "4", "--validate-every", "3")
    return (
        Task("train", ("train", "-o", "run", *TINY, *learn), trained),
        Task("estimate -j 2", ("estimate", "in", *OPTIONS, "-j", "2"), estimated, helpers=True),
        Task("reproduce -j 2", ("reproduce", "--row", "LIN", "--row", "guided", "--seeds", "1",
                                *TINY, "-j", "2"), reproduced, helpers=True),
    )  # fmt: skip


@contextmanager
def place():
    """A folder with recordings in it."""
    with processes.folder() as path:
        recordings(path / "in")
        yield path


def whole(path, expected):
    """Raise if a file that can be seen is not all there."""
    data = path.read_bytes()
    if isinstance(expected, dict) and path.name in expected:
        assert data == expected[path.name], f"{path} holds {len(data)} bytes, not its own"
    elif path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            assert all(file[name] is not None for name in file.files)
    elif path.suffix == ".json":
        assert json.loads(data)
    else:
        lines = data.decode().splitlines()
        assert data.endswith(b"\n") and len({line.count(",") for line in lines}) == 1


class Watch:
    """Looks at all results again and again."""

    def __init__(self, path, expected):
        self.path, self.expected = path, expected
        self.seen, self.n_looks, self.n_parts = {}, 0, 0

    def look(self):
        for folder, _, names in os.walk(self.path):
            for name in names:
                file = Path(folder, name)
                if Path(folder).name == "in" or name.startswith("."):
                    continue
                with suppress(FileNotFoundError):  # replaced between two looks
                    state = file.stat()
                    state = state.st_ino, state.st_mtime_ns, state.st_size
                    if self.seen.get(file) != state:
                        whole(file, self.expected)
                        self.seen[file] = state
                        self.n_looks += 1

    def parts(self):
        return len(list(self.path.rglob(".spectralot-*.part")))

    def until(self, process, end):
        """Look until the time has come; whether the process is then still at work."""
        while process.poll() is None and time.monotonic() < end:
            self.look()
            time.sleep(0.002)
        return process.poll() is None


def prepare(task, n_times):
    """What undisturbed runs give, all the same, and how long the last one took."""
    for _ in range(n_times):
        with place() as path:
            task.life_s = processes.run(*task.args, cwd=path)
            found = task.result(path)
            assert task.expected in (None, found), f"{task.name}: two runs differ"
            task.expected = found


def kill(process, rng, helpers):
    """End it, or one of its helpers, or all, without a word; say who was hit."""
    who = ["itself", "helper", "all"][rng.integers(3)] if helpers else "itself"
    if who == "all":
        os.killpg(process.pid, signal.SIGKILL)
    elif who == "itself":
        process.kill()
    else:
        others = [pid for pid in processes.members(process.pid) if pid != process.pid]
        if not others:
            return None
        with suppress(ProcessLookupError):
            os.kill(int(rng.choice(others)), signal.SIGKILL)
    return who


def killed(task, n_kills, rng, cold=False):
    """Kill again and again, until it ends by itself; then all must be as undisturbed."""
    hits, rounds, looks, parts = {}, 0, 0, 0
    while sum(hits.values()) < n_kills:
        with place() as path, processes.folder() as cache:
            extra = {"NUMBA_CACHE_DIR": str(cache)} if cold else {}
            watch = Watch(path, task.expected)
            while True:
                began = time.monotonic()
                process = processes.start(*task.args, cwd=path, **extra)
                enough = sum(hits.values()) >= n_kills
                delay = np.inf if enough else rng.uniform(0, 1.5 * task.life_s + 30 * cold)
                who = None
                if watch.until(process, time.monotonic() + delay):
                    who = kill(process, rng, task.helpers)
                    hits |= {who: hits.get(who, 0) + 1} if who else {}
                watch.until(process, np.inf)
                processes.wait_until_gone(process.pid)
                status, _, err = processes.finish(process)
                watch.look()
                if status == 0:
                    break
                if who in ("itself", "all"):
                    assert status in (-signal.SIGKILL, 1), (status, err)
                else:  # a helper died, and the command says in a line that it is to be gone on with
                    assert who == "helper" and status == 1 and err.count("\n") == 1, (status, err)
            parts += watch.parts()
            task.life_s = max(task.life_s, time.monotonic() - began)
            assert task.result(path) == task.expected, f"{task.name}: another result"
            rounds, looks = rounds + 1, looks + watch.n_looks
    hit = ", ".join(f"{n} times {who}" for who, n in sorted(hits.items()))
    return (
        f"{hit}; {rounds} runs resumed to the same bits; {looks} new files looked at, each whole; "
        f"{parts} hidden .part files left, none taken for a result"
    )


def signalled(task, number, n_times, rng):
    """Interrupt once, and go on: one line, the right status, nothing half left, the same result."""
    early = late = done = 0
    code = 128 + number
    while done < n_times:
        with place() as path:
            process = processes.start(*task.args, cwd=path)
            watch = Watch(path, task.expected)
            running = watch.until(process, time.monotonic() + rng.uniform(0, task.life_s))
            begun = running and processes.heeds(process, signal.SIGTERM)
            if running and number == signal.SIGINT:
                os.killpg(process.pid, number)
            elif running:
                process.send_signal(number)
            watch.until(process, np.inf)
            processes.wait_until_gone(process.pid)
            status, _, err = processes.finish(process)
            if not begun and status != 0:  # Python was still starting, and knows no better
                early += 1
            elif status == 0:
                late += 1
            else:
                done += 1
                assert status == code and re.fullmatch("interrupted.*\n", err), (status, err)
            assert not begun or watch.parts() == 0
            processes.run(*task.args, cwd=path)
            assert task.result(path) == task.expected, f"{task.name}: another result"
    return (
        f"{done} times one line, status {code}, nothing half left, resumed to the same bits "
        f"({early} came before the command had begun, {late} when all was done)"
    )


def between_renames(task):
    """Each state that a kill between two renames can leave is resumed too."""
    with place() as path:
        processes.run(*task.args, cwd=path)
        outputs = [path / "out" / f"0{suffix}" for suffix in SUFFIXES]
        for there in range(1, len(outputs)):  # the CSV comes last
            for file in outputs[: len(outputs) - there]:
                file.unlink()
            processes.run(*task.args, cwd=path)
            assert task.result(path) == task.expected
    return f"{len(SUFFIXES) - 1} states, all completed by the same command"


def on_dask(n_kills, rng, task):
    """Workers and clients of a cluster killed: the same files."""
    from distributed import LocalCluster

    hits, rounds, looks = {"a worker": 0, "the client": 0}, 0, 0
    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50
    ) as cluster:
        args = ("estimate", "in", *OPTIONS, "--dask", cluster.scheduler_address)
        with place() as path:
            life_s = processes.run(*args, cwd=path)
            assert estimated(path) == task.expected
        while sum(hits.values()) < n_kills:
            with place() as path:
                watch, status = Watch(path, task.expected), None
                while status != 0:
                    process = processes.start(*args, cwd=path)
                    enough = sum(hits.values()) >= n_kills
                    delay = np.inf if enough else rng.uniform(0, 1.5 * life_s)
                    if watch.until(process, time.monotonic() + delay):
                        # one that dies before it is known to the scheduler is not started again
                        pids = [
                            nanny.pid
                            for nanny in cluster.workers.values()
                            if nanny.pid and nanny.worker_address in cluster.scheduler.workers
                        ]
                        who = "a worker" if pids and rng.uniform() < 0.7 else "the client"
                        hits[who] += 1
                        with suppress(ProcessLookupError):
                            victim = int(rng.choice(pids)) if who == "a worker" else process.pid
                            os.kill(victim, signal.SIGKILL)
                    watch.until(process, np.inf)
                    status, _, err = processes.finish(process)
                    assert status in (0, -signal.SIGKILL), (status, err)
                end = time.monotonic() + 30
                while watch.parts() and time.monotonic() < end:
                    time.sleep(0.1)  # a worker still finishes what a killed client wanted
                watch.look()
                assert estimated(path) == task.expected
                rounds, looks = rounds + 1, looks + watch.n_looks
    hit = ", ".join(f"{n} times {who}" for who, n in hits.items())
    return f"{hit}; {rounds} runs to the same bytes; {looks} new files looked at, each whole"


def check(short):
    """Yield what was checked and found."""
    rng, all_tasks = np.random.default_rng(20231214), tasks()
    for task in all_tasks[:2] if short else all_tasks:
        prepare(task, 1 if short else 2)
        yield f"`{task.name}`, kill -9", killed(task, 1 if short else 30, rng)
        for number in (signal.SIGTERM, signal.SIGINT):
            if not short or (number == signal.SIGTERM and task.helpers):
                found = signalled(task, number, 1 if short else 5, rng)
                yield f"`{task.name}`, {signal.Signals(number).name}", found
    if short:
        return
    estimate = all_tasks[1]
    yield "killed between two renames", between_renames(estimate)
    yield "`estimate --dask`, kill -9", on_dask(30, rng, estimate)
    for task in all_tasks[:2]:
        found = killed(task, 5, rng, cold=True)
        yield f"`{task.name}` without compiled code, kill -9", found

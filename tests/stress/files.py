"""Files that mean harm or were harmed, of every kind that is read, and folders that refuse."""

import json
import os
import select
import subprocess
import sys
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np

import spectralot as so

from . import places
from .damage import TEXT, damaged, flipped, restored, sounds, tracks
from .reading import MORE_MEMORY, training_run

PATIENCE_S = 60  # with one file of a few kilobytes, on a busy machine
READING = Path(__file__).with_name("reading.py")


class Reader:
    """A process that reads files, started anew when one of them ends it."""

    def __init__(self):
        self.process, self.slowest_s, self.known = None, 0.0, set()

    def _start(self):
        environment = os.environ | {"NUMBA_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, str(READING)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, bufsize=1, env=environment,
        )  # fmt: skip

    def read(self, kind, path, original, same):
        """What became of it: "read", "refused" or "failed", and a line."""
        if self.process is None:
            self._start()
        patience_s = PATIENCE_S if kind in self.known else 10 * PATIENCE_S  # it may compile
        self.process.stdin.write(json.dumps([kind, str(path), str(original), same]) + "\n")
        ready, _, _ = select.select([self.process.stdout], [], [], patience_s)
        line = self.process.stdout.readline() if ready else ""
        if not line:
            self.close()
            return "failed", "it hangs" if not ready else "the process died of it"
        outcome, why, spent_s = json.loads(line)
        self.slowest_s = max(self.slowest_s, spent_s)
        self.known.add(kind)
        return outcome, why

    def close(self):
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdin.close()
            self.process.stdout.close()
        self.process, self.known = None, set()


def _harmed(reader, kind, originals, accidents, n_cases):
    """A line for each original: how many of its damaged copies are read, how many refused."""
    for name, original in originals.items():
        data, rng = original.read_bytes(), np.random.default_rng([len(name), n_cases])
        path, found = original.with_name(f"harmed {original.name}"), Counter()
        for case in range(n_cases):
            accident = accidents[case % len(accidents)]
            harm = accident(rng, data)
            if harm == data:
                continue
            path.write_bytes(harm)
            outcome, why = reader.read(kind, path, original, accident is not restored)
            assert outcome != "failed", f"{name}, case {case} of {n_cases}: {why}"
            found[outcome] += 1
        told = f"{found.total()} files: {found['read']} read, {found['refused']} refused"
        yield f"{name}, harmed", told


def _originals(folder):
    """Files of every kind."""
    rng, made = np.random.default_rng(3), {"audio": {}, "text": {}, "binary": {}, "exact": {}}
    for container, data in sounds(rng):
        made["audio"][container] = folder / f"sound.{container.lower()}"
        made["audio"][container].write_bytes(data)
    take = tracks(rng)
    for suffix in (*TEXT, "mid", "npz"):
        path = folder / f"take.{suffix}"
        so.write_tracks(take, path)
        made["text" if suffix in TEXT else "binary" if suffix == "mid" else "exact"][suffix] = path
    run = training_run(str(folder))
    run.advance()
    run.validate()
    run.save()
    run.model.save(folder / "model.npz")
    return made | {name: {name: folder / f"{name}.npz"} for name in ("model", "checkpoint")}


def check(short):
    """Yield what was tried and what was found; an AssertionError says what failed."""
    n_sounds, n_files = (4, 9) if short else (1000, 1000)
    text, exact = [partial(damaged, text=True)], [flipped, damaged, restored]
    with tempfile.TemporaryDirectory() as name:
        made, reader = _originals(Path(name)), Reader()
        try:
            for kind, which, accidents, n_cases in (
                ("audio", "audio", [damaged], n_sounds), ("tracks", "text", text, n_files),
                ("tracks", "binary", [damaged], n_files), ("tracks", "exact", exact, n_files),
                ("model", "model", exact, n_files), ("checkpoint", "checkpoint", exact, n_files),
            ):  # fmt: skip
                yield from _harmed(reader, kind, made[which], accidents, n_cases)
        finally:
            reader.close()
        yield "each of them", f"in {reader.slowest_s:.2f} s at most, in {MORE_MEMORY >> 20} MB"
    yield from places.check(short)

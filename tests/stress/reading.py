"""A process that reads the files it is told of, in little memory: whoever crashes is found out."""

import json
import os
import resource
import sys
import time
from functools import lru_cache
from pathlib import Path

import numpy as np

MORE_MEMORY = 256 << 20  # bytes of address space, beyond what the process has before it reads


def _audio(path, original, same):
    from spectralot import read_audio

    audio, sample_rate = read_audio(path)
    assert audio.dtype == np.float32 and audio.ndim == 1 and np.isfinite(audio).all()
    assert len(audio) and 1 <= sample_rate <= 10_000_000


def _model(path, original, same):
    from spectralot.learn import HarmonicModel

    found, wanted = HarmonicModel.load(path), _original_model(original)
    if not same:
        return
    assert found.settings == wanted.settings, "settings are others"
    for name, array in wanted.parameters.items():
        assert np.array_equal(found.parameters[name], array), f"{name} is another"


@lru_cache
def _original_model(path):
    from spectralot.learn import HarmonicModel

    return HarmonicModel.load(path)


def _checkpoint(path, original, same):
    """The run of the original's folder goes on from another checkpoint."""
    run, wanted = training_run(str(Path(original).parent)), _original_state(original)
    folder = Path(path).parent / "run"
    folder.mkdir(exist_ok=True)
    os.replace(path, folder / "checkpoint.npz")
    run.folder = folder
    try:
        run.load()
    finally:
        os.replace(folder / "checkpoint.npz", path)
    for name, value in _state(run).items() if same else ():
        assert np.array_equal(value, wanted[name]), f"{name} is another"


def _state(run):
    names = ("step", "best", "seconds", "total", "n_total", "length")
    state = {name: np.copy(getattr(run, name)) for name in names}
    adam = dict(mean=run.adam.mean.copy(), square=run.adam.square.copy(), n=run.adam.n_steps)
    log = np.array(json.dumps(run.log))
    return state | adam | dict(flat=run.parameters.flat.copy(), log=log)


@lru_cache
def _original_state(path):
    run = training_run(str(Path(path).parent))
    run.load()
    return _state(run)


@lru_cache
def training_run(folder):
    """A small training, for its checkpoint."""
    from spectralot.learn import TrainConfig, paper_sounds
    from spectralot.learn.trainer import _Run

    config = TrainConfig(
        encoder={"kind": "shared", "n_harmonics": 4}, frames={"n_bins": 120, "fmin": 65.4},
        steps=4, batch_size=2, validate_every=1,
    )  # fmt: skip
    training, validation, _ = paper_sounds(10).split()
    return _Run(config, training, validation, folder)


def _tracks(path, original, same):
    from spectralot import read_tracks

    tracks = read_tracks(path)
    assert len(tracks.f0_hz) and np.isfinite(tracks.f0_hz).all()
    if same and original.endswith(".npz"):
        wanted = _original_tracks(original)
        for name in vars(wanted).keys() - {"loss_history", "settings", "residual_db"}:
            assert np.array_equal(getattr(tracks, name), getattr(wanted, name)), name


@lru_cache
def _original_tracks(path):
    from spectralot import read_tracks

    return read_tracks(path)


READERS = {"audio": _audio, "model": _model, "checkpoint": _checkpoint, "tracks": _tracks}


def attempt(kind, path, original, same):
    """What became of a file: "read", "refused" and the line, or "failed" and why."""
    from spectralot import ParameterError

    try:
        READERS[kind](path, original, same)
    except ParameterError as error:
        line = str(error)
        named = line.startswith("cannot ") and str(Path(path).parent) in line
        if not named or "\n" in line or line.rstrip().endswith(":") or "memory" in line:
            return "failed", f"the line is {line!r}"
        return "refused", line
    except BaseException as error:
        return "failed", f"{type(error).__name__}: {error}"
    return "read", ""


def _limit_memory(more):
    if sys.platform == "linux":
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        most = more if more == resource.RLIM_INFINITY else used + more
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))


def main():
    """Lines of JSON in: kind, path, original, and if it must be the same; lines of JSON out."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # decoders complain where they please
    os.dup2(1, 2)
    known = set()
    for line in sys.stdin:
        kind, path, original, same = json.loads(line)
        if kind not in known:
            _limit_memory(resource.RLIM_INFINITY)
            attempt(kind, original, original, True)  # imports and compiles
            _limit_memory(MORE_MEMORY)
            known.add(kind)
        start = time.perf_counter()
        found = attempt(kind, path, original, same)
        print(json.dumps([*found, time.perf_counter() - start]), file=out, flush=True)


if __name__ == "__main__":
    main()

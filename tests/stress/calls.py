"""Calls of public functions on fixed sounds, and what tells their results apart to the bit."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from functools import lru_cache
from importlib import import_module
from pathlib import Path

import numpy as np

RATE = 16000
ROOT = Path(__file__).parents[2]
NOTES = ROOT / "examples" / "notes"
WITHIN_S = 600  # who takes longer waits for something that does not come
WARNED = "multi-threaded, use of fork"  # Python 3.12 and later say so of every such process


def note(n_samples=8000, f0_hz=220.0):
    """A tone of five harmonics in a little noise."""
    time_s = np.arange(n_samples) / RATE
    tone = sum(np.sin(2 * np.pi * h * f0_hz * time_s) / h for h in range(1, 6))
    return 0.2 * tone + 0.001 * np.random.default_rng(0).standard_normal(n_samples)


def synthesis():
    from spectralot import harmonic_backward, harmonic_forward

    rng = np.random.default_rng(1)
    f0_hz, amplitudes = 200 + 20 * rng.random((4, 50)), rng.random((4, 50, 10))
    audio, saved = harmonic_forward(f0_hz, amplitudes, n_samples=8000, sample_rate=RATE)
    return audio, harmonic_backward(audio, saved)


def stft():
    from spectralot import stft_magnitude_backward, stft_magnitude_forward

    magnitude, saved = stft_magnitude_forward(note(), n_fft=1024, hop_length=256)
    return magnitude, stft_magnitude_backward(magnitude, saved)


def transport():
    from spectralot import wasserstein_1d_backward, wasserstein_1d_forward

    u, v = np.random.default_rng(2).random((2, 64, 512))
    at = np.linspace(0, 1, 512)
    value, saved = wasserstein_1d_forward(u, v, u_positions=at, v_positions=at + 0.01)
    return value, wasserstein_1d_backward(np.ones_like(value), saved)


def preset():
    from spectralot import preset

    return preset("SOT-Pitch", RATE)(note(), 0.5 * note(f0_hz=230.0))


@lru_cache
def _shared(home, name):
    """One object for all threads."""
    return getattr(import_module(home), name)()


def estimate():
    return _shared("spectralot", "HarmonicEstimator").estimate(note(), RATE)


def network():
    return _shared("spectralot.learn", "ModelEstimator").estimate(note(), RATE)


def training():
    from spectralot.learn import TrainConfig, paper_sounds, train

    sounds, validation, _ = paper_sounds(20).split()
    run = train(TrainConfig(steps=2, batch_size=4, objective="SOT-2048"), sounds, validation)
    return run.model.parameters.flat


def fit():
    from spectralot import fit_note

    return fit_note(note(2000), RATE)


QUICK = {f.__name__: f for f in (synthesis, stft, transport, preset, estimate, network)}
ALL = QUICK | {f.__name__: f for f in (training, fit)}


def arrays_of(result, name=""):
    """Pairs of name and array: every number in a result, however it is nested."""
    if isinstance(result, np.ndarray | float):
        yield name, np.asarray(result)
    elif isinstance(result, tuple | list):
        for n, part in enumerate(result):
            yield from arrays_of(part, f"{name}[{n}]")
    elif isinstance(result, dict):
        for key, part in result.items():
            yield from arrays_of(part, f"{name}{key}")
    elif hasattr(result, "__dict__"):
        for field, part in vars(result).items():
            yield from arrays_of(part, f"{name}.{field}")


def digest(result):
    """Of all bits, with what they are called."""
    total, pairs = hashlib.sha256(), [*arrays_of(result)]
    assert pairs, "no numbers"
    for name, array in pairs:
        total.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    return total.hexdigest()


def call(name):
    """The digest of what the function of this name returns."""
    return digest(ALL[name]())


def in_process(module, function, *args, **environment):
    """What a function returns in a process of its own; that must end, and end well."""
    code = f"import json, {module} as m; print(json.dumps(m.{function}(*{args!r})))"
    environment = {
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests"))),
        "OMP_WAIT_POLICY": "passive",
    } | environment  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-W", f"ignore:.*{WARNED}:DeprecationWarning", "-c", code], cwd=ROOT,
        env=os.environ | environment, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    what = f"{function} {args} with {environment}"
    try:
        out, err = process.communicate(timeout=WITHIN_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # and those that it started
        raise AssertionError(f"{what}: no end within {WITHIN_S} s") from None
    assert process.returncode == 0, f"{what}: status {process.returncode}\n{err}"
    return json.loads(out.splitlines()[-1])

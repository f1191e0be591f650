"""A mixed workload again and again: ``python soak.py N`` prints memory and open files as JSON.

A script of its own, so that the process holds nothing else.
"""

import ctypes
import gc
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile as sf


def memory_kb():
    """What the process holds now, without what the C library keeps for later."""
    gc.collect()
    if hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])


def n_open():
    """Open files of the process."""
    return len(os.listdir("/proc/self/fd"))


def note(rng, n_samples=8000, rate=16000):
    """Another note each time, of another length."""
    n_samples = int(n_samples * rng.uniform(0.8, 1.2))
    turns = rng.uniform(100, 500) * np.arange(n_samples) / rate
    sound = sum(np.sin(2 * np.pi * h * turns) / h for h in range(1, 6))
    return 0.2 * sound + 1e-3 * rng.standard_normal(n_samples)


def repetitions(folder, rng):
    """Yield after each round of everything that is used again and again in a day."""
    from spectralot import (
        HarmonicEstimator,
        fit_harmonics,
        fit_note,
        stft_magnitude_backward,
        stft_magnitude_forward,
    )
    from spectralot.corpus import Job, Options, estimate_file
    from spectralot.learn import ModelEstimator
    from spectralot.losses.family import FAMILY, named_loss
    from spectralot.report import Pages, report_file

    estimator, model, round_ = HarmonicEstimator(), ModelEstimator(), 0
    while True:
        sound = note(rng)
        estimator.estimate(sound, 16000).residual(sound)
        HarmonicEstimator(n_harmonics=4).estimate(sound, 22050)
        model.estimate(sound, 16000)
        for k in range(3):
            loss = named_loss(FAMILY[(3 * round_ + k) % len(FAMILY)])
            loss(sound.astype(np.float32), sound[::-1].astype(np.float32))
        magnitude, saved = stft_magnitude_forward(sound[None], n_fft=1024, hop_length=256)
        stft_magnitude_backward(magnitude, saved)
        fit_harmonics(sound[:1024], 16000)
        sf.write(folder / "a.wav", sound, 16000)
        estimate_file(Job(str(folder / "a.wav"), str(folder / "a"), Options(overwrite=True)))
        if round_ % 10 == 0:
            fit_note(sound[:1500], 16000)
            report_file(Job(str(folder / "a.wav"), str(folder / "b"), Pages(overwrite=True)))
        round_ += 1
        yield


def main():
    """Print [repetition, memory in kB, open files] as a list."""
    n_repetitions, found = int(sys.argv[1]), []
    with tempfile.TemporaryDirectory() as folder:
        for k, _ in enumerate(repetitions(Path(folder), np.random.default_rng(0)), 1):
            if k % max(1, n_repetitions // 100) == 0:
                found.append((k, memory_kb(), n_open()))
                sys.stderr.write(f"{found[-1]}\n")
            if k == n_repetitions:
                break
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()

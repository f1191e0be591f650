"""An estimator that costs nothing and finds 220 Hz from the second frame on.

This module can stand in the place of `spectralot.estimate.estimator`, in other processes too.
7 samples are too short for it, and silence has no voice.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from spectralot import HarmonicTracks, ParameterError

calls = []


class HarmonicEstimator:
    def __init__(self, **settings):
        self.settings = settings

    def estimate_blocks(self, blocks, sample_rate):
        blocks = list(blocks)
        sizes, audio = [len(block) for block in blocks], np.concatenate(blocks)
        calls.append(
            {"settings": self.settings, "blocks": sizes, "rate": sample_rate, "audio": audio}
        )
        if len(audio) == 7:
            raise ParameterError("audio must have at least 64 samples, got 7")
        bare = self.settings.get("n_harmonics") == 0
        return HarmonicTracks(
            time_s=np.arange(4) * 0.01,
            f0_hz=np.full(4, 220.0),
            confidence=np.array([0.2, 1, 1, 1]) * audio.any(),
            amplitudes=None if bare else np.full((4, 2), 0.1),
            phases=None if bare else np.zeros((4, 2)),
            sample_rate=sample_rate,
            n_samples=len(audio),
        )


def install():
    """Take the estimator's place for good: for processes that end with the test."""
    sys.modules["spectralot.estimate.estimator"] = sys.modules[__name__]


def interrupted(args, done):
    """Run main.py until it is at work, with one file `done`; then Ctrl-C: status, out, err."""
    command = [sys.executable, "main.py", *args]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # a session of its own: as from a keyboard, the signal reaches all of its processes
    with subprocess.Popen(command, start_new_session=True, **pipes) as process:
        for _ in range(600):
            if Path("mark").exists() and Path(done).exists():
                break
            time.sleep(0.05)
        time.sleep(0.2)  # until the line about the file has been read
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=30)
    return process.returncode, out, err

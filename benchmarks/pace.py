"""``python -m benchmarks.pace``: seconds of one core per second of sound, beside other trackers.

A minute of 44.1 kHz mono: sung phrases of benchmarks.material over pink noise at 30 dB, in steps of
10 ms. Trackers take turns; medians after a warm-up, and the ratio to spectralot with f0 and
voicing alone. Also peak memory for an hour in blocks, in a process of its own.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time

from . import one_thread

if __name__ == "__main__":
    one_thread()

import numpy as np

from .material import degraded, material
from .trackers import TRACKERS

RATE = 44100
HOUR = """
import sys
import numpy as np
from spectralot import HarmonicEstimator
sound = np.load(sys.argv[1])
estimator = HarmonicEstimator(n_harmonics=0 if sys.argv[2] == "f0" else "auto")
blocks = (sound[i : i + 2**19] for _ in range(60) for i in range(0, len(sound), 2**19))
tracks = estimator.estimate_blocks(blocks, 44100)
# of this process alone: getrusage would count what the parent held when it began
status = open("/proc/self/status").read().split()
print(len(tracks.f0_hz), int(status[status.index("VmHWM:") + 1]) / 1024)
"""


def minute():
    """One minute of phrases that the material's voices sing."""
    rng = np.random.default_rng(0)
    sounds = [sound for _, sound, _ in material(0, "dev", ["voice"])]
    parts = [sound.audio for sound in sounds if sound.rate == RATE]
    sound = np.resize(np.concatenate(parts), 60 * RATE)
    return degraded(sound, RATE, "pink", 30.0, rng)[0].astype(np.float32)


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pace", description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--hour", action="store_true", help="memory for an hour too: minutes")
    options = parser.parse_args()
    sound, runs = minute(), {}
    for name, make in TRACKERS.items():
        try:
            runs[name] = make()
        except ImportError:
            print(f"{name} is not installed")
    times = {name: [] for name in runs}
    for track in runs.values():
        track(sound[: 2 * RATE], RATE)
    for _ in range(options.repeats):
        for name, track in runs.items():
            began = time.process_time()
            track(sound, RATE)
            times[name].append((time.process_time() - began) / 60)
    base = statistics.median(times["spectralot_f0"])
    print("| tracker | CPU s per s | ratio |\n|---|---:|---:|")
    for name, values in sorted(times.items(), key=lambda item: statistics.median(item[1])):
        value = statistics.median(values)
        print(f"| {name} | {value:.4f} | {value / base:.2f} |")
    if options.hour:
        hour(sound)


def hour(sound):
    """Peak memory of an hour in blocks, less what a second takes."""
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/sound.npy", sound)
        for what in ("f0", "all"):
            command = [sys.executable, "-c", HOUR, f"{folder}/sound.npy", what]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            frames, peak = done.stdout.split()
            print(f"an hour, {what}: {frames} frames, peak memory {float(peak):.0f} MB")


if __name__ == "__main__":
    main()

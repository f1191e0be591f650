"""An hour of sound, thousands of files, thousands of repetitions: memory and open files."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import soundfile as sf

from . import processes

RATE = 44100
MOST_MB = 300  # whatever the length of a recording
MOST_KB_EACH = 1.0  # a file of many, or a repetition
MOST_MB_AT_WORK = 600  # with all of the library loaded


def write_music(path, seconds):
    """Recorded notes in turn, and glides: written piece by piece."""
    notes = sorted((Path(__file__).parents[2] / "examples" / "notes").glob("*.wav"))
    rng, left = np.random.default_rng(7), seconds * RATE
    with sf.SoundFile(path, "w", RATE, 1, "PCM_16") as file:
        while left > 0:
            if rng.uniform() < 0.5:
                sound, rate = sf.read(notes[rng.integers(len(notes))], always_2d=True)
                assert rate == RATE
                sound = sound[:, 0]
            else:
                steps = np.linspace(0, rng.uniform(-1, 1), RATE)
                turns = np.cumsum(rng.uniform(80, 800) * 2**steps) / RATE
                sound = 0.2 * sum(np.sin(2 * np.pi * h * turns) / h for h in range(1, 9))
            sound = (sound * rng.uniform(0.3, 1))[:left]
            file.write(sound)
            left -= len(sound)


def watched(*args, cwd, look):
    """Run a command, calling `look(pid)` all the while; the largest memory it ever held, in MB.

    What the system adds up at its end would count this process, which it was a copy of at first.
    """
    process, peak_kb = processes.start(*args, cwd=cwd), 0
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
            peak_kb = next((int(x.split()[1]) for x in status if x.startswith("VmHWM")), peak_kb)
            look(process.pid)
        except OSError:  # it has just ended
            pass
        time.sleep(0.05)
    status, _, err = processes.finish(process)
    assert (status, err) == (0, ""), (status, err)
    return peak_kb / 1024


def one_recording(seconds, formats, most_mb):
    with processes.folder() as path:
        write_music(path / "warm.wav", 2)
        write_music(path / "long.wav", seconds)
        processes.run("estimate", "warm.wav", "--format", formats, cwd=path)  # compiles
        began = time.monotonic()
        peak_mb = watched(
            "estimate", "long.wav", "--format", formats, cwd=path, look=lambda pid: None
        )
        spent = time.monotonic() - began
        n_frames = (path / "long.f0.csv").read_text().count("\n") - 1
    assert n_frames >= 100 * seconds
    assert most_mb is None or peak_mb < most_mb, f"{peak_mb:.0f} MB"
    return f"{peak_mb:.0f} MB at most, {n_frames} frames in {spent:.0f} s"


def many_files(n_files):
    found = []

    with processes.folder() as path:
        (path / "in").mkdir()
        rng = np.random.default_rng(8)
        for i in range(n_files):
            turns = rng.uniform(80, 800) * np.arange(rng.integers(3000, 6000)) / 16000
            sf.write(path / "in" / f"{i:05d}.wav", 0.2 * np.sin(2 * np.pi * turns), 16000)

        def look(pid):
            done = len(os.listdir(path / "out")) if (path / "out").exists() else 0
            if found and done < found[-1][0] + max(1, n_files // 100):
                return
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            found.append((done, pages * 4, len(os.listdir(f"/proc/{pid}/fd"))))

        watched("estimate", "in", "-o", "out", "--format", "csv", "-q", cwd=path, look=look)
        assert len(list((path / "out").iterdir())) == n_files
    return growth(found[1:], n_files, "file")


def growth(found, n, what):
    """Say how memory and open files changed after the first fifth; refuse if they grow."""
    done, memory_kb, n_open = np.array([row for row in found if row[0] >= n / 5]).T
    # what is done last before a look has its own needs: the least of each half shows what stays
    half = len(done) // 2
    kept_kb = memory_kb[half:].min() - memory_kb[: max(1, half)].min()
    slope = kept_kb / max(1, done[half] - done[0])
    assert n_open.max() <= n_open[0] + 2, f"{n_open[0]} open files became {n_open.max()}"
    most = MOST_KB_EACH if n >= 1000 else np.inf  # of few, code is still being loaded
    assert slope < most, f"{slope:.2f} kB more with each {what}"
    assert memory_kb.max() < 1024 * MOST_MB_AT_WORK, f"{memory_kb.max() / 1024:.0f} MB"
    return (
        f"{slope:.2f} kB more with each {what}, {memory_kb[0] / 1024:.0f} MB after {done[0]}, "
        f"{memory_kb[-1] / 1024:.0f} MB after {done[-1]}; "
        f"{n_open.min()} to {n_open.max()} open files"
    )


def soak(n_repetitions):
    script = Path(__file__).with_name("soak.py")
    done = subprocess.run(
        [sys.executable, script, str(n_repetitions)], env=os.environ | processes.ONE_THREAD,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return growth(json.loads(done.stdout), n_repetitions, "repetition")


def check(short):
    """Yield what was checked and found."""
    seconds = 30 if short else 3600
    length = f"{seconds} s at {RATE} Hz"
    yield f"{length}, csv", one_recording(seconds, "csv", MOST_MB)
    if not short:
        yield f"{length}, csv and npz", one_recording(seconds, "csv,npz", None)
    n_files, n_repetitions = (40, 5) if short else (5000, 2000)
    yield f"{n_files} files in one run", many_files(n_files)
    yield f"{n_repetitions} repetitions of a mixed workload", soak(n_repetitions)

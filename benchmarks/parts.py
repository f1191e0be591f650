"""``python -m benchmarks.parts SET [SET ...]``: what each part of the estimator is worth.

A SET is a folder as benchmarks.material writes it. One part at a time is taken out or made plain;
scores are means over the sounds of all groups that have a pitch.
"""

import argparse
from contextlib import contextmanager
from pathlib import Path

from . import one_thread

if __name__ == "__main__":
    one_thread()

import numpy as np

from spectralot import HarmonicEstimator
from spectralot.estimate import _candidates, _octaves, _refine

from .trackers import read_rows, run

COLUMNS = {"rpa50": "RPA50", "rpa10": "RPA10", "octave_down": "8ve down", "octave_up": "8ve up"}
PARTS = {
    "all of it": [],
    "one window of 93 ms": [(_candidates, "WINDOWS", 1), (_candidates, "BASE_HZ", 64.5)],
    "no window under 40 ms": [(_candidates, "SHORTEST_S", 0.04)],
    "no noise taken off": [(_candidates, "SUPPRESSION", 0.0)],
    "each frame for itself": None,
    "octaves by frames": [(_octaves, "settle", lambda *args: args[4])],
    "track not refined": [(_refine, "LARGEST_MOVE_CENTS", 0.0)],
    "one pass of 30 ms": [(_refine, "PASSES", 0)],
    "windows of 30 ms": [(_refine, "CLEAN_WINDOW_S", 0.03), (_refine, "LONGEST_WINDOW_S", 0.03)],
    "no smoothing before passes": [(_refine, "SMOOTHING", 0.0), (_refine, "FIRST_REACH_S", 0.0)],
}


@contextmanager
def changed(changes):
    """Settings as told, put back afterwards."""
    before = [(module, name, getattr(module, name)) for module, name, _ in changes]
    for module, name, value in changes:
        setattr(module, name, value)
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parts", description=__doc__)
    parser.add_argument("sets", nargs="+", type=Path)
    options = parser.parse_args()
    for folder in options.sets:
        rows = [row for row in read_rows(folder) if row["instrument"] != "nothing"]
        print(f"\n### {folder.name}\n\n| | {' | '.join(COLUMNS.values())} |")
        print("|---|" + "---:|" * len(COLUMNS))
        for name, changes in PARTS.items():
            with changed(changes or []):
                estimator = HarmonicEstimator(n_harmonics=0, viterbi=changes is not None)

                def track(audio, rate, estimator=estimator):
                    tracks = estimator.estimate(audio, rate)
                    return tracks.time_s, tracks.f0_hz, tracks.voiced

                scores = run(track, folder, rows).values()
            means = [100 * np.nanmean([score[column] for score in scores]) for column in COLUMNS]
            print(f"| {name} | " + " | ".join(f"{mean:.1f}" for mean in means) + " |", flush=True)


if __name__ == "__main__":
    main()

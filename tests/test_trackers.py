"""The table of trackers: what is measured, and which sounds a mean is over."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.material import write_set
from benchmarks.trackers import COLUMNS, means, run, tables


def test_a_perfect_tracker_and_one_an_octave_up(tmp_path):
    write_set(tmp_path, groups=("high", "nothing"))
    rows = list(csv.DictReader((tmp_path / "manifest.csv").read_text().splitlines()))
    truth = iter([])

    def tracker(factor):
        def track(audio, rate):
            t, f0 = next(truth)
            return t, factor * np.where(f0 > 0, f0, 300.0), f0 > 0

        return track

    results = {}
    for name, factor in (("octave up", 2), ("perfect", 1)):
        truths = []
        rates = set()
        for row in rows:  # the first sound of a rate is tracked twice: once to warm up
            pair = np.genfromtxt(tmp_path / row["annotation"], delimiter=",", skip_header=1).T
            truths += [pair] * (1 if row["sample_rate"] in rates else 2)
            rates.add(row["sample_rate"])
        truth = iter(truths)
        results[name] = run(tracker(factor), tmp_path, rows)
    perfect, octave = results["perfect"]["high_00"], results["octave up"]["high_00"]
    assert perfect["rpa10"] == perfect["voicing_recall"] == octave["octave_up"] == 1
    assert octave["rpa50"] == perfect["voicing_false_alarm"] == perfect["octave_up"] == 0
    silent = results["perfect"]["nothing_00"]
    assert np.isnan(silent["rpa50"]) and silent["voicing_false_alarm"] == 0

    page = tables("set", results)
    assert "### set: all (6 sounds)" in page and "### set: nothing (10 sounds)" in page
    assert page.index("| perfect | 100.0") < page.index("| octave up | 0.0")
    assert "| perfect | - | - | - | - | - | - | - | 0.0 |" in page


def test_means_leave_out_what_a_sound_does_not_have():
    first = dict.fromkeys(COLUMNS, 1.0) | {"median_cents": np.nan}
    second = dict.fromkeys(COLUMNS, 0.0) | {"median_cents": 4.0, "cpu": np.nan}
    columns = dict(zip(COLUMNS, means([first, second]), strict=True))
    assert columns["rpa50"] == 0.5 and columns["median_cents"] == 4 and columns["cpu"] == 1
    assert np.isnan(means([first])[list(COLUMNS).index("median_cents")])
    assert means([second])[0] == pytest.approx(0)

"""``python -m benchmarks.trackers SET [SET ...]``: spectralot and other trackers on sets of sounds.

A SET is a folder as benchmarks.material writes it. Trackers that are not installed are left out.
All search 30 to 2100 Hz where they have a range (spectralot: its defaults) in steps of 10 ms
(SwiftF0: its 16 ms), on one thread. Scores are means over the sounds of a group. With --json,
scores are kept, and a later run adds to them or replaces those of the trackers it names.
"""

import argparse
import csv
import json
import time
from pathlib import Path

from . import one_thread

if __name__ == "__main__":
    one_thread()

import numpy as np

from spectralot import read_audio
from spectralot.metrics import pitch_scores

FMIN_HZ, FMAX_HZ, STEP_S = 30.0, 2100.0, 0.01
WINDOW_S = 0.093
APART = ("top", "nothing")  # above the others' range; without pitch: not in the mean over all

COLUMNS = {
    "rpa50": "RPA50", "rpa25": "RPA25", "rpa10": "RPA10", "octave_down": "8ve down",
    "octave_up": "8ve up", "median_cents": "median cents", "voicing_recall": "VR",
    "voicing_false_alarm": "VFA", "cpu": "CPU s/s",
}  # fmt: skip


def spectralot():
    from spectralot import HarmonicEstimator

    estimator = HarmonicEstimator()

    def track(audio, rate):
        tracks = estimator.estimate(audio, rate)
        voiced = tracks.confidence >= 0.5 if tracks.voiced is None else tracks.voiced
        return tracks.time_s, tracks.f0_hz, voiced

    return track


def spectralot_f0():
    """Without amplitudes, as the others."""
    from spectralot import HarmonicEstimator

    estimator = HarmonicEstimator(n_harmonics=0)

    def track(audio, rate):
        tracks = estimator.estimate(audio, rate)
        return tracks.time_s, tracks.f0_hz, tracks.voiced

    return track


def _frame_length(rate):
    return int(np.ceil(WINDOW_S * rate / 64)) * 64


def pyin():
    import librosa

    def track(audio, rate):
        hop = round(STEP_S * rate)
        f0, voiced, _ = librosa.pyin(
            audio, fmin=FMIN_HZ, fmax=FMAX_HZ, sr=rate, frame_length=_frame_length(rate),
            hop_length=hop, fill_na=None,
        )  # fmt: skip
        return np.arange(len(f0)) * hop / rate, f0, voiced

    return track


def yin():
    import librosa

    def track(audio, rate):
        hop, length = round(STEP_S * rate), _frame_length(rate)
        options = dict(frame_length=length, hop_length=hop)
        f0 = librosa.yin(audio, fmin=FMIN_HZ, fmax=FMAX_HZ, sr=rate, **options)
        return np.arange(len(f0)) * hop / rate, f0, np.ones(len(f0), bool)

    return track


def praat_ac():
    import parselmouth

    def track(audio, rate):
        pitch = parselmouth.Sound(np.asarray(audio, np.float64), rate).to_pitch_ac(
            time_step=STEP_S, pitch_floor=FMIN_HZ, pitch_ceiling=FMAX_HZ
        )
        f0 = pitch.selected_array["frequency"]
        return pitch.xs(), f0, f0 > 0

    return track


def harvest():
    import pyworld

    def track(audio, rate):
        audio = np.ascontiguousarray(audio, np.float64)
        f0, times = pyworld.harvest(
            audio, rate, f0_floor=FMIN_HZ, f0_ceil=FMAX_HZ, frame_period=1000 * STEP_S
        )
        return times, pyworld.stonemask(audio, f0, times, rate), f0 > 0

    return track


def swift_f0():
    import swift_f0

    detector = swift_f0.SwiftF0(threads=1)

    def track(audio, rate):
        found = detector.detect(np.asarray(audio, np.float32), rate)
        return found.timestamps, found.pitch_hz, found.confidence >= 0.5

    return track


def swipe():
    import pysptk

    def track(audio, rate):
        hop, audio = round(STEP_S * rate), np.asarray(audio, np.float64)
        options = dict(min=FMIN_HZ, max=min(FMAX_HZ, 0.45 * rate), otype="f0")
        f0 = pysptk.swipe(audio, rate, hop, threshold=0.0, **options)
        voiced = pysptk.swipe(audio, rate, hop, threshold=0.3, **options) > 0
        return np.arange(len(f0)) * hop / rate, f0, voiced

    return track


TRACKERS = {
    f.__name__: f
    for f in (spectralot, spectralot_f0, pyin, yin, praat_ac, harvest, swift_f0, swipe)
}


def read_rows(folder):
    """Rows of a set's manifest."""
    with open(folder / "manifest.csv", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def run(track, folder, rows):
    """Scores of every sound of a set, each with its group and its CPU seconds."""
    found, warm = {}, set()
    for row in rows:
        audio, rate = read_audio(folder / row["file"])
        if rate not in warm:
            track(audio[: rate // 2], rate)
            warm.add(rate)
        start = time.process_time()
        estimate = track(audio, rate)
        seconds = time.process_time() - start
        truth = np.genfromtxt(folder / row["annotation"], delimiter=",", skip_header=1)
        times, f0, voiced = (np.asarray(a) for a in estimate)
        scores = pitch_scores(*truth.T, times, f0, voiced.astype(bool))
        scores["cpu"] = seconds / (len(audio) / rate)
        found[Path(row["file"]).stem] = {"group": row["instrument"], **scores}
    return found


def means(scores):
    """Mean of each column over sounds, of those that have it."""
    table = np.array([[s[c] for c in COLUMNS] for s in scores], float)
    counts = (~np.isnan(table)).sum(axis=0)
    return np.where(counts, np.nansum(table, axis=0) / np.maximum(counts, 1), np.nan)


def tables(name, results):
    """Markdown: one table of a set over all, and one for each group."""
    groups = list(dict.fromkeys(s["group"] for r in results.values() for s in r.values()))
    parts = [g for g in groups if g not in APART]
    apart = [g for g in groups if g in APART]
    pages = []
    for title, chosen in [("all", parts), *((g, [g]) for g in parts + apart)]:
        lines = []
        for tracker, scores in results.items():
            kept = [s for s in scores.values() if s["group"] in chosen]
            if kept:
                lines.append((tracker, means(kept)))
        lines.sort(key=lambda line: -np.nan_to_num(line[1][0]))
        count = sum(s["group"] in chosen for s in next(iter(results.values())).values())
        pages.append(f"\n### {name}: {title} ({count} sounds)\n")
        pages.append("| tracker | " + " | ".join(COLUMNS.values()) + " |")
        pages.append("|---|" + "---:|" * len(COLUMNS))
        for tracker, line in lines:
            cells = (cell(c, v) for c, v in zip(COLUMNS, line, strict=True))
            pages.append(f"| {tracker} | " + " | ".join(cells) + " |")
    return "\n".join(pages) + "\n"


def cell(column, value):
    if np.isnan(value):
        return "-"
    digits = {"median_cents": 2, "cpu": 3}.get(column)
    return f"{100 * value:.1f}" if digits is None else f"{value:.{digits}f}"


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trackers", description=__doc__)
    parser.add_argument("sets", type=Path, nargs="+")
    parser.add_argument("--trackers", default=",".join(TRACKERS))
    parser.add_argument("--groups", help="only these groups")
    parser.add_argument("--markdown", type=Path, help="write the tables to this file too")
    parser.add_argument("--json", type=Path, help="add all scores to this file")
    options = parser.parse_args()
    results = {}
    if options.json and options.json.exists():
        results = json.loads(options.json.read_text(encoding="utf-8"))
    for tracker in options.trackers.split(","):
        try:
            track = TRACKERS[tracker]()
        except ImportError as error:
            print(f"without {tracker}: {error}")
            continue
        for folder in options.sets:
            rows = read_rows(folder)
            if options.groups:
                rows = [r for r in rows if r["instrument"] in options.groups.split(",")]
            results.setdefault(folder.name, {})[tracker] = run(track, folder, rows)
        if options.json:
            options.json.write_text(json.dumps(results), encoding="utf-8")
    pages = "".join(tables(n, r) for n, r in results.items() if n in {f.name for f in options.sets})
    print(pages)
    if options.markdown:
        options.markdown.write_text(pages, encoding="utf-8")


if __name__ == "__main__":
    main()

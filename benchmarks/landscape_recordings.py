"""``python -m benchmarks.landscape_recordings FOLDER``: landscapes of recorded notes.

FOLDER holds a manifest.csv with the columns file, kind, annotation, f0_hz and flags. A quarter of
a second from the middle of each unflagged note is compared with candidates of one and the same
timbre, 16 harmonics 1/k, in 129 equal steps of pitch over four octaves round the note. Nothing
was tuned on such recordings. Writes its table into docs/reproduction.md.
"""

import argparse
import csv
from pathlib import Path

import numpy as np

import spectralot as so
from spectralot.audio import resample
from spectralot.landscape import landscape, minimum_error, slope_accuracy
from spectralot.losses import named_loss

from .landscape_study import PAGE, RATE, write_table

N_SAMPLES = 4096
CENTS = np.linspace(-2400, 2400, 129)
LOWEST_HZ, HIGHEST_HZ = 35, 2500


LOSSES = ("LIN-whole", "SOT-2048", "SOT-2048-whole", "SOT-floor", "SOT-Pitch")


def excerpt(folder, row):
    """The note's middle at 16 kHz, or None if it is too short."""
    audio, sample_rate = so.read_audio(folder / row["file"])
    time_s, judged_hz = np.loadtxt(folder / row["annotation"], delimiter=",", skiprows=1).T
    x = resample(audio.astype(np.float64), sample_rate, RATE)
    first = max(0, round(np.median(time_s[judged_hz > 0]) * RATE) - N_SAMPLES // 2)
    x = x[first : first + N_SAMPLES]
    return x if len(x) == N_SAMPLES else None


def study(folder):
    """Share of right slopes and error of the minimum of each note, by loss."""
    family = {name: named_loss(name, RATE) for name in LOSSES}
    longer = so.PitchSalience(4096, sample_rate=RATE)
    cents = dict(frequency_axis="cents", p=1, mass="balanced")
    family["SOT-salience of 4096"] = so.SOT(longer, **cents)
    found = {name: [] for name in family}
    with open(folder / "manifest.csv", newline="", encoding="utf-8") as manifest:
        rows = [r for r in csv.DictReader(manifest) if r["kind"] == "note" and not r["flags"]]
    for row in rows:
        x = excerpt(folder, row)
        if x is None:
            continue
        f0_hz = float(row["f0_hz"])
        cents = CENTS[(f0_hz * 2 ** (CENTS / 1200) > LOWEST_HZ)
                      & (f0_hz * 2 ** (CENTS / 1200) < HIGHEST_HZ)]  # fmt: skip
        amplitudes = 1 / np.arange(1, 17)
        amplitudes *= np.sqrt(2 * np.mean(x**2) / np.sum(amplitudes**2))
        _, curves = landscape(x, f0_hz, amplitudes, family, cents=cents, sample_rate=RATE)
        for name, (values, slopes) in curves.items():
            found[name].append((slope_accuracy(cents, slopes), minimum_error(cents, values)))
    return {name: np.array(pairs).T for name, pairs in found.items()}


def table(found):
    lines = [
        "| loss | right slopes, mean | 10th percentile of notes | minimum within 50 cents |",
        "|---|---|---|---|",
    ]
    for name, (shares, errors) in found.items():
        tenth = 100 * np.quantile(shares, 0.1)
        right = 100 * np.mean(np.abs(errors) <= 50)
        lines.append(
            f"| {name} | {100 * shares.mean():.1f} % | {tenth:.1f} % | {right:.0f} % of notes |"
        )
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    text = table(study(parser.parse_args().folder))
    print(text)
    write_table(text, PAGE, "recordings")


if __name__ == "__main__":
    main()

"""Fit one recorded note: print f0 and its error, write a figure and two WAVs.

    python examples/fit_single_note.py [note.wav] [-o out]

Without a file, a clarinet of known pitch from examples/notes. In the output folder NAME.png,
NAME.model.wav and NAME.residual.wav of an earlier run are replaced.
"""

import argparse
import csv
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads that spin wait long on a busy machine

import numpy as np
from matplotlib.figure import Figure

import spectralot as so
from spectralot import plot
from spectralot.landscape import landscape_of_tracks

NOTES = Path(__file__).parent / "notes"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path, default=NOTES / "clarinet_F4.wav")
    parser.add_argument("-o", "--output", type=Path, default=Path("out"), help="default: out")
    options = parser.parse_args()

    audio, sample_rate = so.read_audio(options.file)
    began = time.perf_counter()
    tracks = so.fit_note(audio, sample_rate, progress=True)
    took_s = time.perf_counter() - began

    sure = tracks.confidence >= 0.9 * tracks.confidence.max()
    f0_hz = np.median(tracks.f0_hz[sure])
    known_hz = known_pitch(options.file)
    error = (
        f" ({1200 * np.log2(f0_hz / known_hz):+.2f} cents from {known_hz} Hz)" if known_hz else ""
    )
    print(f"{options.file.name}: f0 {f0_hz:.3f} Hz{error}")
    print(
        f"residual {tracks.residual_db:.1f} dB relative to the recording, fitted in {took_s:.1f} s"
    )

    options.output.mkdir(parents=True, exist_ok=True)
    stem = options.output / options.file.stem
    figure = draw(audio, tracks, f"{options.file.stem}: f0 {f0_hz:.2f} Hz{error}")
    figure.savefig(f"{stem}.png", dpi=100)
    so.write_wav(f"{stem}.model.wav", tracks.resynthesize(), sample_rate, overwrite=True)
    so.write_wav(f"{stem}.residual.wav", tracks.residual(audio), sample_rate, overwrite=True)
    print(f"wrote {stem}.png, {stem}.model.wav, {stem}.residual.wav")


def known_pitch(file):
    """Measured f0 of a note that has a row in the notes.csv beside it, else None."""
    table = file.parent / "notes.csv"
    if table.is_file():
        with open(table, newline="") as rows:
            for row in csv.DictReader(rows):
                if row["file"] == file.name:
                    return float(row["f0_hz"])
    return None


def draw(audio, tracks, title):
    """Four panels: spectrogram, amplitudes, descent, and what SOT and LIN see."""
    figure = Figure(figsize=(11, 7.4), layout="constrained")
    (spectrogram, amplitudes), (history, seen) = figure.subplots(2, 2)
    image, _ = plot.plot_spectrogram(spectrogram, audio, tracks.sample_rate, tracks)
    figure.colorbar(image, ax=spectrogram, label="dB re maximum", pad=0.01)
    plot.plot_amplitudes(amplitudes, tracks)
    plot.plot_loss_history(history, tracks)
    plot.plot_landscape(seen, *landscape_of_tracks(audio, tracks))
    spectrogram.set_title("Recording", loc="left")
    amplitudes.set_title("Amplitudes of the fit", loc="left")
    history.set_title("Descent in three stages", loc="left")
    seen.set_title("What SOT and LIN see from a wrong f0", loc="left")
    figure.suptitle(title)
    return figure


if __name__ == "__main__":
    main()

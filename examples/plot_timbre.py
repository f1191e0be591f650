"""
Fingerprints of three instruments
=================================

How strong is each harmonic, and when? A clarinet has next to no second harmonic and a strong third;
a recorder is nearly a sine; a cello is a crowd whose members come and go with the vibrato. Together
with f0, these pictures are what a synthesizer needs to play the note again.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import spectralot as so

NOTES = Path(globals().get("__file__", ".")).parent / "notes"

estimator = so.HarmonicEstimator(n_harmonics=16)
figure, axes = plt.subplots(1, 3, figsize=(8, 4), sharey=True, layout="constrained")
for ax, name in zip(axes, ("cello_D2", "clarinet_F4", "recorder_E6"), strict=True):
    tracks = estimator.estimate(*so.read_audio(NOTES / f"{name}.wav"))
    level_db = 20 * np.log10(tracks.amplitudes / tracks.amplitudes.max() + 1e-6)
    orders = np.arange(1, tracks.amplitudes.shape[1] + 1)
    image = ax.pcolormesh(tracks.time_s, orders, level_db.T, vmin=-60, vmax=0, cmap="magma")
    ax.set(xlabel="time / s", yticks=range(1, 17, 3))
    ax.set_title(name.replace("_", ", "), loc="left")
axes[0].set_ylabel("harmonic")
figure.colorbar(image, ax=axes, label="dB re maximum")
plt.show()

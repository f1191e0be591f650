"""
Round the circle of pitch classes
=================================

Energy by pitch class, an octave a turn; areas are proportional to energy. A clarinet on F sounds
F, C and D♯, its harmonics 1, 3 and 7. A cello on D puts most of its energy into A, its third.
Transport round the circle is blind to octaves: it asks how far energy has to go to another pitch
class, either way round.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import spectralot as so
from spectralot.plot import BLUE, VERMILLION

NOTES = Path(globals().get("__file__", ".")).parent / "notes"

# %%
# Where each harmonic stands on the circle, in octaves above C, and its energy.
positions, energies = [], []
for name in ("cello_D2", "clarinet_F4"):
    tracks = so.HarmonicEstimator().estimate(*so.read_audio(NOTES / f"{name}.wav"))
    f0_hz = np.median(tracks.f0_hz[tracks.voiced])
    energies.append((tracks.amplitudes**2).sum(axis=0))
    positions.append(so.chroma_positions(f0_hz * np.arange(1, len(energies[-1]) + 1)))
octaves, _ = so.circular_wasserstein_1d_forward(
    *energies, u_positions=positions[0], v_positions=positions[1], p=1
)

figure, ax = plt.subplots(figsize=(6, 6), subplot_kw={"projection": "polar"}, layout="constrained")
for x, energy, color, side, name in zip(
    positions, energies, (BLUE, VERMILLION), (-0.5, 0.5), ("cello D2", "clarinet F4"), strict=True
):
    classes = np.bincount(np.rint(12 * x).astype(int) % 12, energy / energy.sum(), 12)
    angles = 2 * np.pi / 12 * (np.arange(12) + 0.4 * side)
    ax.bar(angles, np.sqrt(classes), 0.2, color=color, label=name)
ax.set_theta_zero_location("N")
ax.set_theta_direction(-1)
ax.set_xticks(2 * np.pi / 12 * np.arange(12), "C C♯ D D♯ E F F♯ G G♯ A A♯ B".split())
ax.set_yticks([0.25, 0.5, 0.75], [])
ax.set_title(f"Cello and clarinet: {12 * octaves:.1f} semitones apart", loc="left")
figure.legend(loc="outside lower right", ncols=2, frameon=False)
plt.show()

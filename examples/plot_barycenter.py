"""
The mean of several notes
=========================

One clarinet note at five pitches, over three semitones. Their arithmetic mean has five peaks
for each partial: it sounds like all five. The barycenter, the mean in the sense of transport, has
one peak a partial, half way: one note of the mean pitch.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import spectralot as so
from spectralot.plot import BLUE, GREY, VERMILLION

NOTES = Path(globals().get("__file__", ".")).parent / "notes"

# %%
# Five takes: the same note, shifted by up to 1.5 semitones either way.
audio, sample_rate = so.read_audio(NOTES / "clarinet_F4.wav")
tracks = so.HarmonicEstimator(n_harmonics=12).estimate(audio, sample_rate)
shifts = np.linspace(-1.5, 1.5, 5)
takes = [so.shift_pitch(tracks, s, envelope="move").resynthesize() for s in shifts]

# %%
# One power spectrum of each, and the two means of them.
stft = so.STFT(8192, window="blackman", padding="none", power=2, sample_rate=sample_rate)
spectra = np.stack([stft.forward(x)[0].mean(axis=0)[1:] for x in takes])
hz = stft.frequencies_hz[1:]
barycenter = so.wasserstein_barycenter(spectra, positions=np.log(hz))
rows = [(f"{s:+.2f} semitones", power, GREY) for s, power in zip(shifts, spectra, strict=True)]
rows += [("arithmetic mean", spectra.mean(axis=0), VERMILLION), ("barycenter", barycenter, BLUE)]

figure, ax = plt.subplots(figsize=(8, 5), layout="constrained")
for row, (_, power, color) in enumerate(rows):
    level_db = 10 * np.log10(np.maximum(power / spectra.max(), 1e-5))
    ax.fill_between(hz / 1000, -row, 0.018 * (level_db + 50) - row, color=color, alpha=0.7, lw=0)
ax.set(xlim=(0, 3), ylim=(-len(rows) + 1, 1), xlabel="frequency / kHz", ylabel="power, 50 dB a row")
ax.set_yticks(0.3 - np.arange(len(rows)), [name for name, _, _ in rows])
ax.set_title("Five takes, and two kinds of mean", loc="left")
plt.show()

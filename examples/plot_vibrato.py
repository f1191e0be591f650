"""
f0, its error, and a vibrato in numbers
=======================================

A low cello note. Above, f0 and its multiples lie on the dark traces of the spectrogram. Below, the
same f0 in cents: a vibrato of 7 cents to either side, too small for the eye above, with a band of
two standard errors. That error is measured too, on each frame.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import spectralot as so
from spectralot import plot

NOTES = Path(globals().get("__file__", ".")).parent / "notes"

# %%
# One call reads f0, its error, and every harmonic.
audio, sample_rate = so.read_audio(NOTES / "cello_D2.wav")
tracks = so.HarmonicEstimator().estimate(audio, sample_rate)

# %%
# Rate and extent of the vibrato: the strongest line in the spectrum of f0, once its slow drift, a
# parabola, is taken off.
steady = (tracks.time_s > 0.3) & (tracks.time_s < 1.2)
time_s, f0_hz = tracks.time_s[steady], tracks.f0_hz[steady]
cents, error = 1200 * np.log2(f0_hz / np.median(f0_hz)), 2 * tracks.f0_std_cents[steady]
drift = np.polynomial.Polynomial.fit(time_s, cents, 2)(time_s)
window = np.hanning(len(time_s))
lines = np.abs(np.fft.rfft(window * (cents - drift), 4096)) * 2 / window.sum()
rate_hz, extent = np.fft.rfftfreq(4096, tracks.step_s)[lines.argmax()], lines.max()

figure, (above, below) = plt.subplots(2, 1, figsize=(8, 6), layout="constrained")
image, _ = plot.plot_spectrogram(above, audio, sample_rate, tracks)
figure.colorbar(image, ax=above, label="dB re maximum")
above.set_xlim(0.3, 1.2)
above.set_title("Cello, D2", loc="left")
below.fill_between(time_s, cents - error, cents + error, color=plot.BLUE, alpha=0.25, lw=0)
below.plot(time_s, cents, color=plot.BLUE, label="f0 ± 2 standard errors")
below.plot(time_s, drift, color=plot.GREY, ls="--", label="drift")
below.set(xlim=(0.3, 1.2), xlabel="time / s", ylabel="f0 / cents re median")
below.set_title(f"Vibrato: {rate_hz:.1f} Hz, ± {extent:.1f} cents", loc="left")
below.grid(alpha=0.3)
below.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)
plt.show()

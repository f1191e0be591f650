"""
The stretched partials of a piano string
========================================

A stiff string puts partial h not at h f0 but at h f0 √(1 + B h²): in this synthetic bass string the
thirtieth partial is two semitones sharp. ``fit_harmonics`` finds f0 and B in 0.25 s of sound. Its
partials, the blue marks, stand over the peaks; whole multiples of f0, the grey ones, soon miss
them. Each dot below is one peak, measured for itself.
"""

import matplotlib.pyplot as plt
import numpy as np

import spectralot as so
from spectralot.plot import BLUE, GREY, VERMILLION

RATE = 16000

# %%
# A string at A1 with 32 partials, and noise.
rng = np.random.default_rng(1)
orders = np.arange(1, 33)
audio, _ = so.harmonic_forward(
    [55.0], [0.3 / orders], n_samples=4000, sample_rate=RATE,
    inharmonicity=3e-4, start_phase=rng.uniform(0, 2 * np.pi, 32),
)  # fmt: skip
audio += 0.003 * rng.standard_normal(4000)
fit = so.fit_harmonics(audio, RATE, inharmonicity=True)
fitted_hz = fit.f0_hz * orders * np.sqrt(1 + fit.inharmonicity * orders**2)

# %%
# Each peak for itself: the highest point of a long spectrum, within 15 Hz of the fit.
hz = np.fft.rfftfreq(1 << 18, 1 / RATE)
level_db = 20 * np.log10(np.abs(np.fft.rfft(np.hanning(4000) * audio, 1 << 18)))
near = np.abs(hz - fitted_hz[:, None]) < 15
peaks_hz = hz[np.where(near, level_db, -np.inf).argmax(axis=1)]


def above_multiples(frequencies_hz):
    return 1200 * np.log2(frequencies_hz / (fit.f0_hz * orders))


figure, (above, below) = plt.subplots(2, 1, figsize=(8, 6), sharex=True, layout="constrained")
above.plot(hz, level_db - level_db.max(), color=VERMILLION, lw=0.8)
above.vlines(fit.f0_hz * orders, 5, 17, color=GREY, lw=2, label="h f0")
above.vlines(fitted_hz, 19, 31, color=BLUE, lw=2, label="h f0 √(1 + B h²)")
above.set(ylim=(-75, 35), ylabel="level / dB re maximum")
above.set_title("Spectrum of the string", loc="left")
above.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)
below.plot(fitted_hz, above_multiples(fitted_hz), color=BLUE, lw=2, label="fit")
below.plot(peaks_hz, above_multiples(peaks_hz), "o", color=VERMILLION, ms=4, label="peaks")
below.axhline(0, color=GREY)
below.set(xlim=(0, 2200), xlabel="frequency / Hz", ylabel="above h f0 / cents")
below.set_title(f"B = {1e4 * fit.inharmonicity:.3f}e-4 (true: 3e-4)", loc="left")
below.grid(alpha=0.3)
below.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)
plt.show()

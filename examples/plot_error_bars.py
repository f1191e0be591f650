"""
Error bars that can be trusted
==============================

A tone of 220 Hz in more or less noise, twenty frames of 64 ms at each level, each fitted by
``fit_harmonics``. Dots: how wrong f0 is. Line: the standard error that the fits themselves state,
without knowing the truth: their estimate of the Cramér-Rao bound, below which no unbiased estimator
can go. Shaded: up to twice that. One dot in twenty should lie above.
"""

import matplotlib.pyplot as plt
import numpy as np

import spectralot as so
from spectralot.plot import BLUE, VERMILLION

RATE, F0_HZ = 16000, 220.0
rng = np.random.default_rng(0)
time = np.arange(1024) / RATE
angles = 2 * np.pi * F0_HZ * np.outer(time, np.arange(1, 7))

levels_db, errors, stated = np.arange(0, 61, 5), [], []
for snr_db in levels_db:
    tones = (np.cos(angles + rng.uniform(0, 2 * np.pi, 6)).sum(axis=1) for _ in range(20))
    noise_rms = np.sqrt(6 / 2) * 10 ** (-snr_db / 20)
    frames = (tone + noise_rms * rng.standard_normal(1024) for tone in tones)
    fits = [so.fit_harmonics(frame, RATE, F0_HZ, n_harmonics=6) for frame in frames]
    errors.append([1200 * abs(np.log2(fit.f0_hz / F0_HZ)) for fit in fits])
    stated.append(np.median([fit.f0_std_cents for fit in fits]))
stated, errors = np.array(stated), np.array(errors)
inside = np.mean(errors < 2 * stated[:, None])

figure, ax = plt.subplots(figsize=(8, 4.5), layout="constrained")
ax.plot(levels_db, errors[:, 0], ".", color=VERMILLION, label="one frame")
ax.plot(levels_db, errors[:, 1:], ".", color=VERMILLION)
ax.plot(levels_db, stated, color=BLUE, lw=2.5, label="stated standard error")
ax.fill_between(levels_db, 0, 2 * stated, color=BLUE, alpha=0.15, lw=0)
ax.set(yscale="log", ylim=(1e-5, 10), xlabel="SNR / dB", ylabel="error of f0 / cents")
ax.set_title(f"{100 * inside:.0f} % of the errors are below two standard errors", loc="left")
ax.grid(alpha=0.3)
ax.legend()
plt.show()

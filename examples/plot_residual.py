"""
What the harmonics leave
========================

A recording is harmonics and a rest: breath, bow, attack, room. Here a cello is taken apart. In the
rest the attack and the noise of the bow remain, and of the partials no trace: their amplitudes and
phases follow the vibrato.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import spectralot as so

NOTES = Path(globals().get("__file__", ".")).parent / "notes"

audio, rate = so.read_audio(NOTES / "cello_D2.wav")
tracks = so.HarmonicEstimator().estimate(audio, rate)
residual = tracks.residual(audio)
rest_db = 20 * np.log10(residual.std() / audio.std())
sounds = {
    "Recording": audio,
    "Harmonics": tracks.resynthesize(),
    f"Residual: {rest_db:.0f} dB": residual,
}

figure, axes = plt.subplots(1, 3, figsize=(8, 4), sharey=True, layout="constrained")
stft = so.STFT(4096, hop_length=256, padding="center", sample_rate=rate)
loudest = stft.forward(audio)[0].max()
for ax, (name, sound) in zip(axes, sounds.items(), strict=True):
    image = ax.imshow(
        20 * np.log10(stft.forward(sound)[0].T / loudest + 1e-6), origin="lower", aspect="auto",
        cmap="magma", vmin=-70, vmax=0, extent=(0, len(sound) / rate, 0, rate / 2000),
    )  # fmt: skip
    ax.set(ylim=(0, 1.5), xlabel="time / s")
    ax.set_title(name, loc="left")
axes[0].set_ylabel("frequency / kHz")
figure.colorbar(image, ax=axes, label="dB re maximum of the recording")
plt.show()

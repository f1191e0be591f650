"""
A morph is not a cross-fade
===========================

From a clarinet to a recorder in 0.9 s. In a cross-fade both notes sound at once. In a morph by
transport each component of one becomes a component of the other: partials glide, and there is one
sound all the way. Nearly all the energy of the recorder lies in its fundamental, so this is where
the partials of the clarinet go.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import spectralot as so

NOTES = Path(globals().get("__file__", ".")).parent / "notes"

# %%
# The steady part of both notes, equally loud. A glide from 0, the clarinet, to 1, the recorder.
notes = [so.read_audio(NOTES / f"{name}.wav") for name in ("clarinet_F4", "recorder_E6")]
a, b = (audio[int(0.2 * rate) : int(1.1 * rate)] / audio.std() for audio, rate in notes)
time, rate = np.linspace(0, 1, len(a)), notes[0][1]
sounds = {
    "Cross-fade": (1 - time) * a + time * b,
    "Morph by transport": so.morph(a, b, [0, 1], n_fft=4096),
}

figure, axes = plt.subplots(1, 2, figsize=(8, 4), sharey=True, layout="constrained")
stft = so.STFT(4096, hop_length=256, padding="center", sample_rate=rate)
for ax, (name, sound) in zip(axes, sounds.items(), strict=True):
    magnitude, _ = stft.forward(sound)
    image = ax.imshow(
        20 * np.log10(magnitude.T / magnitude.max() + 1e-6), origin="lower", aspect="auto",
        cmap="magma", vmin=-50, vmax=0, extent=(0, len(sound) / rate, 0, rate / 2000),
    )  # fmt: skip
    ax.set(ylim=(0, 3.5), xlabel="time / s")
    ax.set_title(name, loc="left")
axes[0].set_ylabel("frequency / kHz")
figure.colorbar(image, ax=axes, label="dB re maximum")
plt.show()

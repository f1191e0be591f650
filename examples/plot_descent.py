"""
Descent from two octaves off
============================

A recorded clarinet, and nine guesses of its f0 within two octaves of it, each let down the slope of
a loss. The model does not know the timbre: its harmonics fall as 1/h, while a clarinet has hardly a
second one. Transport of pitch salience leads all of them to the note. The multi-scale spectral loss
leaves each in some hollow, even the one that begins at the note.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import spectralot as so
from spectralot.adam import Adam
from spectralot.audio import resample
from spectralot.plot import BLUE, GREY, VERMILLION

NOTES = Path(globals().get("__file__", ".")).parent / "notes"

audio = resample(*so.read_audio(NOTES / "clarinet_F4.wav"), 16000)
starts = np.linspace(-24, 24, 9)
target = np.tile(audio[6400:10496], (9, 1))
levels = np.broadcast_to(0.2 / np.arange(1, 9), (9, 1, 8)).astype(np.float32)


# %%
# One step: render, compare, and back through loss and synthesizer to f0. Adam makes a step of it.
def descend(loss, n_steps=60):
    semitones, adam, prepared = starts.copy(), Adam(9), loss.prepare(target)
    path = [starts]
    for step in range(n_steps):
        f0_hz = 349.151 * 2 ** (semitones[:, None] / 12)
        estimate, saved = so.harmonic_forward(f0_hz, levels, n_samples=4096, sample_rate=16000)
        _, d_estimate = loss.per_item(prepared, estimate)
        d_f0_hz, *_ = so.harmonic_backward(d_estimate, saved)
        semitones -= adam.step((d_f0_hz * f0_hz)[:, 0], 1.5 * 0.95**step)
        path.append(semitones.copy())
    return np.array(path)


losses = {
    'so.preset("SOT-Pitch")': (so.preset("SOT-Pitch"), BLUE),
    'so.MSS(padding="none")': (so.MSS(padding="none"), VERMILLION),
}
figure, axes = plt.subplots(1, 2, figsize=(8, 4), sharey=True, layout="constrained")
for ax, (name, (loss, color)) in zip(axes, losses.items(), strict=True):
    ax.plot(descend(loss), color=color, lw=1.5)
    ax.axhline(0, color=GREY, ls=":")
    ax.set(xlabel="step", xlim=(0, 60), yticks=range(-24, 25, 12))
    ax.set_title(name, loc="left")
axes[0].set_ylabel("error of f0 / semitones")
plt.show()

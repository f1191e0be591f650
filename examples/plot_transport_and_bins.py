"""
Transport against bin-by-bin comparison
=======================================

A tone of 220 Hz and an estimate that is four semitones too high. Compared bin by bin, the spectra
say "more here, less there": nothing tells that two peaks belong together. Transport asks how far
energy has to move along the frequency axis, and in which direction.
"""

import matplotlib.pyplot as plt
import numpy as np

import spectralot as so
from spectralot.landscape import landscape
from spectralot.plot import BLUE, GREY, VERMILLION

# %%
# Two tones of four harmonics, and two losses over an error of f0 of up to an octave. Both losses
# see the same STFT.
grid, levels = dict(n_samples=4096, sample_rate=16000), [0.4, 0.35, 0.3, 0.25]
target, estimate = (so.harmonic_forward([hz], [levels], **grid)[0] for hz in (220.0, 277.2))
losses = {
    "bin by bin": so.LIN(2048, padding="none"),
    "transport": so.SOT(2048, padding="none", frequency_axis="cents", p=1, mass="balanced"),
}
cents, curves = landscape(target, 220.0, levels, losses, cents=np.arange(-1200, 1201, 10))

# %%
# Left: what each makes of the two spectra. Right: the loss, with a dot at the estimate. Bin by bin
# it is a plateau with one narrow hole at the truth, and dips where other partials meet. Transport
# leads down from anywhere, and its value is the error itself: 400 cents cost 400.
hann, hz = np.hanning(2048), np.fft.rfftfreq(16384, 1 / 16000)
spectra = np.abs(np.fft.rfft([hann * x[:2048] for x in (target, estimate)], 16384))
u, v = spectra / spectra.max()

plt.rcParams.update({"font.size": 14, "lines.linewidth": 2.5})
figure = plt.figure(figsize=(8, 3), layout="constrained")
panels = figure.subplot_mosaic([["bin by bin", "loss"], ["transport", "loss"]])
for (name, (values, _)), color in zip(curves.items(), (VERMILLION, BLUE), strict=True):
    at_estimate = dict(marker="o", ms=9, markevery=[160])
    panels["loss"].plot(cents / 100, values / values.max(), color=color, **at_estimate)
    ax = panels[name]
    ax.fill_between(hz, u, color=GREY, lw=0)
    ax.plot(hz, v, color=GREY, lw=1.8, ls=(0, (2, 1)))
    ax.set(xscale="log", xlim=(160, 1250), ylim=(0, 2.5), xticks=[], yticks=[], ylabel="level")
    ax.set_title(name, color=color, weight="bold", loc="left")
    ax.minorticks_off()
    arrow = dict(arrowstyle="-|>", color=color, lw=2.5, shrinkA=0, shrinkB=0)
    for f, g in 220.0 * np.arange(1, 5)[:, None] * [1, 1.26]:
        moves = [((g, 1.4), (f, 1.4))]
        if name == "bin by bin":
            moves = [((f, 1.3), (f, 2.3)), ((g, 2.3), (g, 1.3))]
        for start, end in moves:
            ax.annotate("", end, start, arrowprops=arrow)
panels["transport"].text(240, 1.75, "target", ha="right")
panels["transport"].text(257, 1.75, "estimate")
panels["transport"].set(
    xticks=[250, 500, 1000], xticklabels=["250", "500", "1000"], xlabel="frequency / Hz"
)
panels["loss"].set(
    xlim=(-12, 12), ylim=(0, 1.1), xticks=range(-12, 13, 4), yticks=[0, 1],
    xlabel="error of f0 / semitones", ylabel="loss / maximum",
)  # fmt: skip
plt.show()

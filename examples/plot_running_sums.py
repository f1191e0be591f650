"""
The value of transport: the area between two running sums
=========================================================

Two notes, a cello and a clarinet. Add up the energy of each from low to high frequency, as a share
of all of it. Read across from one curve to the other: the lowest tenth of the energy has to go this
far, the next tenth that far. The mean of these distances is the area between the curves, and that
is the spectral optimal transport distance. It takes two running sums and one merge.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import spectralot as so
from spectralot.compare import mean_power
from spectralot.plot import BLUE, GREY, VERMILLION

NOTES = Path(globals().get("__file__", ".")).parent / "notes"

# %%
# Mean power spectra of both; distances in octaves.
sounds = [so.read_audio(NOTES / f"{name}.wav") for name in ("cello_D2", "clarinet_F4")]
(hz, cello), (_, clarinet) = (mean_power(*sound) for sound in sounds)
octaves, _ = so.wasserstein_1d_forward(cello, clarinet, u_positions=np.log2(hz), p=1)

# %%
# The quantile function turns a running sum round: at which frequency is a share reached?
shares = np.linspace(0.05, 0.95, 10)
starts, ends = (so.quantile_function(w, shares, positions=hz) for w in (cello, clarinet))

figure, (spectra, sums) = plt.subplots(
    2, 1, figsize=(8, 6), sharex=True, height_ratios=(2, 3), layout="constrained"
)
for power, color, name in ((cello, BLUE, "cello D2"), (clarinet, VERMILLION, "clarinet F4")):
    spectra.plot(hz, 10 * np.log10(power / power.max()), color=color, lw=1.2, label=name)
    sums.plot(hz, np.cumsum(power) / power.sum(), color=color, lw=2, drawstyle="steps-mid")
levels = np.linspace(0, 1, 2000)
edges = [so.quantile_function(w, levels, positions=hz) for w in (cello, clarinet)]
sums.fill_betweenx(levels, *edges, color=GREY, alpha=0.25, lw=0)
for share, start, end in zip(shares, starts, ends, strict=True):
    sums.annotate("", (end, share), (start, share), arrowprops=dict(arrowstyle="->", color=GREY))
spectra.set(ylim=(-60, 3), ylabel="power / dB re maximum")
spectra.set_title("Two spectra", loc="left")
spectra.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)
sums.set(
    xscale="log", xlim=(50, 6000), ylim=(0, 1), xlabel="frequency / Hz",
    ylabel="energy below / share of all",
)  # fmt: skip
sums.xaxis.set_major_formatter("{x:g}")
sums.set_title(f"Running sums: the area between them is {octaves:.2f} octaves", loc="left")
plt.show()

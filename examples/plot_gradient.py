"""
What the gradient tells each bin
================================

The target has partials at 400 and 800 Hz, the estimate at 500 and 700 Hz. The derivative of a loss
by the energy in a bin is the price of energy there: descent takes it away where it is dear. Bin by
bin the price is as high on either side of a partial: it is told to shrink, and not where to go.
Transport puts a slope under each partial: the left one rolls to the left, the right one to the
right.
"""

import matplotlib.pyplot as plt
import numpy as np

import spectralot as so
from spectralot.plot import BLUE, GREY, VERMILLION

hz = np.arange(200.0, 1001.0)
target, estimate = (
    sum(np.exp(-0.5 * ((hz - peak) / 15) ** 2) for peak in peaks)
    for peaks in ((400, 800), (500, 700))
)

# %%
# Derivatives by the energies of the estimate: of the squared difference, and of transport.
by_bins = 2 * (estimate - target)
_, saved = so.wasserstein_1d_forward(target, estimate, u_positions=hz, p=1)
_, by_transport, *_ = so.wasserstein_1d_backward(1.0, saved)

figure, axes = plt.subplots(3, 1, figsize=(8, 6), sharex=True, layout="constrained")
axes[0].fill_between(hz, target, color=GREY, alpha=0.6, lw=0, label="target")
axes[0].plot(hz, estimate, color=GREY, ls="--", lw=2, label="estimate")
axes[0].legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)
axes[0].set(xlim=(200, 1000), ylim=(0, 1.1), ylabel="energy")
axes[0].set_title("Two spectra", loc="left")
for ax, gradient, color, name in (
    (axes[1], by_bins, VERMILLION, "Bin by bin: derivative of the squared difference"),
    (axes[2], by_transport, BLUE, "Transport: derivative of the distance"),
):
    ax.plot(hz, gradient, color=color, lw=2)
    ax.set_title(name, loc="left")
    ax.set_ylabel("price of energy")
    peaks = np.searchsorted(hz, (500, 700))
    ax.plot(hz[peaks], gradient[peaks], "o", color=color, ms=9)
    ax.grid(alpha=0.3)
for begin, end in ((500, 430), (700, 770)):
    tip = (end, by_transport[hz == end][0])
    tail = (begin, by_transport[hz == begin][0])
    arrow = dict(arrowstyle="-|>", color=BLUE, lw=4, mutation_scale=24)
    axes[2].annotate("", tip, tail, arrowprops=arrow)
axes[2].set_xlabel("frequency / Hz")
plt.show()

"""Draw transport.png and transport_dark.png: ``python docs/images/transport.py``."""

import runpy
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt

from spectralot import plot

HERE = Path(__file__).parent
EXAMPLE = HERE.parents[1] / "examples" / "plot_transport_and_bins.py"

for name, style, face, plot.BLUE, plot.VERMILLION, plot.GREY in (
    ("transport", "default", "#FFFFFF", "#0072B2", "#D55E00", "#777777"),
    ("transport_dark", "dark_background", "#0D1117", "#56B4E9", "#E69F00", "#AAAAAA"),
):
    with plt.style.context([style, {"figure.facecolor": face, "axes.facecolor": face}]):
        runpy.run_path(str(EXAMPLE))
        plt.savefig(HERE / f"{name}.png", dpi=200, facecolor=face)
        plt.close()

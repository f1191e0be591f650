"""How trainings went: accuracy over steps, one line for each seed and score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from .style import CURVES


def plot_convergence(
    ax: Axes, runs: list[dict[str, Any]], scores: Sequence[str] = ("rca", "rpa")
) -> list[Line2D]:
    """Draw scores over the steps of several runs, a colour for each score.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    runs : list of dict
        As `spectralot.learn.experiments.reproduce` yields them.
    scores : sequence of {"rpa", "rca", "lsd", "loss"}
        What to draw.

    Returns
    -------
    list of matplotlib.lines.Line2D
        One line a run and score.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> log = [{"step": 250, "rpa": 91.0}, {"step": 500, "rpa": 99.9}]
    >>> len(plot_convergence(Figure().subplots(), [{"log": log}], ["rpa"]))
    1
    """
    lines = []
    for score, color in zip(scores, CURVES, strict=False):
        label = {"rpa": "RPA / %", "rca": "RCA / %", "lsd": "LSD / dB²"}.get(score, score)
        for run in runs:
            steps, values = ([row[key] for row in run["log"]] for key in ("step", score))
            lines += ax.plot(steps, values, color=color, lw=1, alpha=0.8, label=label)
            label = None
    ax.grid(alpha=0.3)
    return lines

"""How trainings went: accuracy over steps, one line for each seed."""

from .style import CURVES


def plot_convergence(ax, runs, score="rpa"):
    """Draw a score over the steps of many runs, a colour for each loss.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    runs : list of dict
        As `spectralot.learn.experiments.reproduce` yields them.
    score : {"rpa", "rca", "lsd", "loss"}
        What to draw.

    Returns
    -------
    list of matplotlib.lines.Line2D
        One line a run.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> log = [{"step": 250, "rpa": 91.0}, {"step": 500, "rpa": 99.9}]
    >>> len(plot_convergence(Figure().subplots(), [{"row": "guided", "log": log}]))
    1
    """
    lines, rows = [], list(dict.fromkeys(run["row"] for run in runs))
    for run in runs:
        color = CURVES[rows.index(run["row"]) % len(CURVES)]
        steps, values = ([row[key] for row in run["log"]] for key in ("step", score))
        lines += ax.plot(steps, values, color=color, lw=1, alpha=0.7)
    for i, row in enumerate(rows):
        ax.plot([], [], color=CURVES[i % len(CURVES)], label=row)
    label = {"rpa": "RPA / %", "rca": "RCA / %", "lsd": "LSD / dB²"}.get(score, score)
    ax.set(xlabel="step", ylabel=label)
    ax.grid(alpha=0.3)
    return lines

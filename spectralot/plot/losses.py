"""What losses do: their descent, their landscape, and who gives what to whom.

Names: C offsets of f0, K bins.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

from ..checks import ParameterError, float_array, number, same_shape
from ..hints import ArrayLike
from ..landscape import slope_accuracy
from ..plan import transport_plan
from ..tracks import HarmonicTracks
from .style import BLUE, CURVES, DASHES, GREEN, GREY, VERMILLION


def plot_loss_history(ax: Axes, tracks: HarmonicTracks) -> list[Line2D]:
    """Draw the loss by iteration of each stage, one stage after the other.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    tracks : HarmonicTracks
        The fit; each stage descends a loss of its own, so each is drawn relative to its start.

    Returns
    -------
    list of matplotlib.lines.Line2D
        One line a stage.

    Raises
    ------
    ParameterError
        If `tracks` holds no history.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from spectralot import HarmonicTracks
    >>> frame = [0.0], [1000.0], [1.0], [[0.1]], [[0.0]], 8000, 800
    >>> tracks = HarmonicTracks(*frame, loss_history={"track": [4.0, 2.0, 1.0]})
    >>> (line,) = plot_loss_history(Figure().subplots(), tracks)
    >>> line.get_ydata()
    array([1.  , 0.5 , 0.25])
    """
    if not tracks.loss_history:
        raise ParameterError("tracks must hold a loss history, got none")
    lines, first = [], 0
    for (stage, losses), color in zip(
        tracks.loss_history.items(), (VERMILLION, GREEN, BLUE, GREY), strict=False
    ):
        at = first + np.arange(len(losses))
        relative = losses / max(losses[0], 1e-300)
        lines += ax.plot(at, relative, color=color, lw=1.6, label=stage)
        if first:
            ax.axvline(first - 0.5, color=GREY, lw=0.8, ls=":")
        first += len(losses)
    ax.set(
        xlim=(0, max(first - 1, 1)), yscale="log", xlabel="iteration",
        ylabel="loss / loss at the start",
    )  # fmt: skip
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.grid(alpha=0.3)
    ax.legend(title="stage", loc="upper right", framealpha=0.9)
    return lines


def plot_landscape(
    ax: Axes, cents: ArrayLike, curves: Mapping[str, tuple[ArrayLike, ArrayLike]]
) -> tuple[list[Line2D], list[PathCollection]]:
    """Draw a landscape: each loss over the offset of f0, and where its slope leads.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    cents : array_like, shape (C,)
        Offsets of f0 in cents.
    curves : dict of str to tuple of array_like, shape (C,)
        For each loss its value and its slope. Values are drawn relative to their maximum. Under
        the curves a row of triangles a loss points where descent goes: filled towards the note,
        hollow away from it.

    Returns
    -------
    lines : list of matplotlib.lines.Line2D
        One curve a loss.
    arrows : list of matplotlib.collections.PathCollection
        The triangles.

    Raises
    ------
    ParameterError
        If `cents` and `curves` differ in length.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> cents = np.array([-100.0, 100.0])
    >>> lines, arrows = plot_landscape(Figure().subplots(), cents, {"L": (cents**2, 2 * cents)})
    >>> lines[0].get_label()
    'L: 100 %'
    """
    cents = float_array("cents", cents, 1)
    lines, arrows = [], []
    every = max(1, len(cents) // 32)
    for row, (name, (values, slopes)) in enumerate(curves.items()):
        color = CURVES[row % 8]
        values, slopes = float_array("values", values, 1), float_array("slopes", slopes, 1)
        same_shape("values", values, cents.shape)
        same_shape("slopes", slopes, cents.shape)
        towards = slopes * cents > 0
        share = 100 * slope_accuracy(cents, slopes)
        label = f"{name}: {share:.0f} %"
        style: dict = dict(color=color, ls=DASHES[row // 8 % 4], lw=1.6, label=label)
        lines += ax.plot(cents, values / max(values.max(), 1e-300), **style)
        shown = (np.arange(len(cents)) % every == every // 2) & (cents != 0)
        for marker, side in ((">", slopes < 0), ("<", slopes > 0)):
            at = shown & side
            fills = np.where(towards[at], color, "white")
            arrows.append(
                ax.scatter(
                    cents[at], np.full(at.sum(), -0.08 * (row + 1)), s=22, marker=marker,
                    c=fills, edgecolors=color, linewidths=0.8,
                )
            )  # fmt: skip
    columns = 1 + (len(curves) > 3)
    legend = 0.1 + 0.055 * -(-len(curves) // columns)  # its part of the height
    bottom = -0.08 * (len(curves) + 1)
    ax.axvline(0, color=GREY, lw=0.8, ls=":")
    ax.set(
        xlim=(cents.min(), cents.max()),
        ylim=(bottom, bottom + (1.05 - bottom) / (1 - legend)),
        yticks=np.linspace(0, 1, 6), ylabel="loss / maximum",
        xlabel="error of f0 / cents\n(triangles point downhill; filled: to the note)",
    )  # fmt: skip
    ax.grid(alpha=0.3)
    title = "share of slopes that lead to the note"
    ax.legend(loc="upper center", framealpha=0.9, ncols=columns, title=title)
    return lines, arrows


def plot_transport(
    ax: Axes,
    frequencies_hz: ArrayLike,
    u_power: ArrayLike,
    v_power: ArrayLike,
    *,
    labels: tuple[str, str] = ("A", "B"),
    range_db: float = 60.0,
) -> tuple[list[Line2D], LineCollection]:
    """Draw two power spectra, one above the other, and between them who goes where.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    frequencies_hz : array_like, shape (K,)
        Where the bins stand in Hz, above 0, ascending.
    u_power, v_power : array_like, shape (K,)
        Powers of both, not negative. The first is drawn upright, the second upside down, each in
        dB relative to its own maximum.
    labels : tuple of str
        Names of both.
    range_db : float
        Span of the level axis below the maxima.

    Returns
    -------
    spectra : list of matplotlib.lines.Line2D
        One line a spectrum.
    plan : matplotlib.collections.LineCollection
        One line an entry of the plan, opaque by its share of the power; entries too small to be
        seen are left out.

    Raises
    ------
    ParameterError
        If an argument breaks its rule, or a spectrum is silent.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> spectra, plan = plot_transport(Figure().subplots(), [100, 200], [1.0, 0.0], [0.0, 1.0])
    >>> [tuple(map(float, end)) for end in plan.get_segments()[0]]
    [(100.0, 0.25), (200.0, -0.25)]
    """
    frequencies_hz = float_array("frequencies_hz", frequencies_hz, 1)
    range_db = number("range_db", range_db, above=0)
    if frequencies_hz[0] <= 0 or (np.diff(frequencies_hz) <= 0).any():
        raise ParameterError(
            f"frequencies_hz must be above 0 and ascending, got {frequencies_hz[0]:g} first and "
            f"{np.diff(frequencies_hz).min(initial=np.inf):g} as the smallest step"
        )
    powers = float_array("u_power", u_power, 1), float_array("v_power", v_power, 1)
    for name, power, label in zip(("u_power", "v_power"), powers, labels, strict=True):
        same_shape(name, power, frequencies_hz.shape)
        if power.min() < 0:
            raise ParameterError(f"{name} must not be negative, got {power.min():g}")
        if not power.any():
            raise ParameterError(f"{name} of {label} must not be silent, got zeros only")
    plan = transport_plan(*powers, u_positions=frequencies_hz)
    seen = plan.mass > 1e-3 * plan.mass.max()
    ends = frequencies_hz[np.stack([plan.source[seen], plan.target[seen]], axis=1)]
    edge, heights = 0.25, np.array([0.25, -0.25])
    lines = LineCollection(
        list(np.stack([ends, np.broadcast_to(heights, ends.shape)], axis=-1)),
        colors="black", linewidths=0.8, alpha=np.sqrt(plan.mass[seen] / plan.mass.max()),
    )  # fmt: skip
    ax.add_collection(lines, autolim=False)
    spectra, limits = [], []
    for power, side, color, label in zip(powers, (1, -1), (BLUE, VERMILLION), labels, strict=True):
        level = 1 + 10 * np.log10(np.maximum(power / power.max(), 1e-30)) / range_db
        shown = frequencies_hz[level > 0]
        limits += [shown[0] / 1.25, shown[-1] * 1.25]
        y = side * (edge + np.maximum(level, 0))
        spectra += ax.plot(frequencies_hz, y, color=color, lw=1, label=label)
        ax.fill_between(frequencies_hz, side * edge, y, color=color, alpha=0.25, lw=0)
    marks_db = np.arange(0, range_db + 1e-9, 20)
    up = edge + 1 - marks_db / range_db
    ax.set(
        xscale="log", xlim=(max(min(limits), 20), min(max(limits), frequencies_hz[-1])),
        ylim=(-1.3, 1.3), xlabel="frequency / Hz", ylabel="power / dB re maximum",
    )  # fmt: skip
    ax.set_yticks([*up, *-up], [f"{-db:g}" if db else "0" for db in marks_db] * 2)
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.grid(alpha=0.3)
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)
    return spectra, lines

"""What an estimator found: f0, harmonics, how sure it is, over the sound's spectrogram.

Names: T frames, H harmonics, N samples.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from ..checks import ParameterError, float_array, integer, number, same_shape
from ..hints import ArrayLike
from ..stft import stft_magnitude_forward
from ..tracks import SURE, HarmonicTracks
from .style import BLUE, DASHES, GREEN, GREY, PALETTE, VERMILLION

_COLUMNS = 2000  # of a spectrogram at most: an hour is looked at now and then, not throughout


def plot_spectrogram(
    ax: Axes,
    audio: ArrayLike,
    sample_rate: float,
    tracks: HarmonicTracks | None = None,
    *,
    n_partials: int = 12,
    range_db: float = 70.0,
) -> tuple[AxesImage, list[Line2D]]:
    """Draw the magnitude spectrogram, with f0 and partials over it.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    audio : array_like, shape (N,)
        The sound.
    sample_rate : float
        Samples per second.
    tracks : HarmonicTracks, optional
        Draws f0 and its multiples in the voiced frames, f0 alone if there are no amplitudes, and
        cuts the frequency axis above the last of them.
    n_partials : int
        Partials to show, f0 included.
    range_db : float
        White is this many dB below the maximum.

    Returns
    -------
    image : matplotlib.image.AxesImage
        The spectrogram in dB relative to its maximum, for a colour bar.
    lines : list of matplotlib.lines.Line2D
        f0 and the partials; empty without `tracks`.

    Raises
    ------
    ParameterError
        If an argument breaks its rule, or the sound is silent.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> audio = np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)
    >>> image, lines = plot_spectrogram(Figure().subplots(), audio, 8000)
    >>> float(image.get_array().max()), lines
    (0.0, [])
    """
    audio = float_array("audio", audio, 1)
    sample_rate = number("sample_rate", sample_rate, above=0)
    n_partials = integer("n_partials", n_partials, 1)
    range_db = number("range_db", range_db, above=0)
    if not audio.any():
        raise ParameterError("audio must not be silent, got zeros only")
    f0_hz = 0.01 * sample_rate
    if tracks is not None:
        f0_hz = float(np.median(tracks.f0_hz[tracks.voiced | ~tracks.voiced.any()]))
    n_fft = 1 << int(np.ceil(np.log2(10 * sample_rate / f0_hz)))  # ten periods part the partials
    hop = max(1, min(n_fft // 8, len(audio) // 400), len(audio) // _COLUMNS)
    magnitude, _ = stft_magnitude_forward(audio, n_fft=n_fft, hop_length=hop, padding="center")
    level_db = 20 * np.log10(np.maximum(magnitude / magnitude.max(), 1e-10))
    bin_khz, frame_s = sample_rate / n_fft / 1000, hop / sample_rate
    image = ax.imshow(
        level_db.T,
        origin="lower",
        aspect="auto",
        cmap="Greys",
        vmin=-range_db,
        vmax=0,
        extent=(
            -0.5 * frame_s,
            (len(level_db) - 0.5) * frame_s,
            -0.5 * bin_khz,
            (n_fft // 2 + 0.5) * bin_khz,
        ),
    )
    lines, top_khz = [], 0.5 * sample_rate / 1000
    if tracks is not None:
        voiced_khz = np.where(tracks.voiced, tracks.f0_hz, np.nan) / 1000
        n_drawn = 1
        if tracks.amplitudes is not None:
            n_drawn = n_partials = min(n_partials, tracks.amplitudes.shape[1])
        top_khz = min(top_khz, (n_partials + 1) * f0_hz / 1000)
        # where minutes are a finger wide, lines would paint over all there is to see
        alpha = min(1.0, max(0.2, 6000 / len(voiced_khz)))
        for h in range(1, n_drawn + 1):
            style: dict = dict(color=VERMILLION, lw=0.9, label="partials" if h == 2 else None)
            if h == 1:
                style = dict(color=BLUE, lw=2, label="f0")
            lines += ax.plot(tracks.time_s, h * voiced_khz, alpha=alpha, **style)
        ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)
    ax.set(
        xlim=(0, len(audio) / sample_rate), ylim=(0, top_khz), xlabel="time / s",
        ylabel="frequency / kHz",
    )  # fmt: skip
    return image, lines


def plot_amplitudes(
    ax: Axes, tracks: HarmonicTracks, *, n_harmonics: int = 8, range_db: float = 70.0
) -> list[Line2D]:
    """Draw the amplitude of each harmonic over time, in dB.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    tracks : HarmonicTracks
        The fit.
    n_harmonics : int
        Harmonics to draw, from the first on; a line breaks where the amplitude is 0.
    range_db : float
        Span of the axis below the largest amplitude.

    Returns
    -------
    list of matplotlib.lines.Line2D
        One line a harmonic, in dB relative to an amplitude of 1.

    Raises
    ------
    ParameterError
        If an argument breaks its rule, or there are no amplitudes.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from spectralot import HarmonicTracks
    >>> tracks = HarmonicTracks([0.0], [1000.0], [1.0], [[0.1]], [[0.0]], 8000, 800)
    >>> (line,) = plot_amplitudes(Figure().subplots(), tracks)
    >>> line.get_ydata().round(6)
    array([-20.])
    """
    n_harmonics = integer("n_harmonics", n_harmonics, 1)
    range_db = number("range_db", range_db, above=0)
    if tracks.amplitudes is None:
        raise ParameterError("tracks must hold amplitudes, got none")
    heard = tracks.amplitudes[:, :n_harmonics]
    n_harmonics = heard.shape[1]
    level_db = 20 * np.log10(np.where(heard > 0, np.maximum(heard, 1e-10), np.nan))
    lines = []
    for h in range(n_harmonics):
        style: dict = dict(color=PALETTE[h % 8], ls=DASHES[h // 8 % 4])
        lines += ax.plot(tracks.time_s, level_db[:, h], lw=1.4, label=str(h + 1), **style)
    top = (np.nanmax(level_db) if heard.any() else 0.0) + 0.05 * range_db
    ax.set(
        xlim=(0, tracks.n_samples / tracks.sample_rate), ylim=(top - range_db, top),
        xlabel="time / s", ylabel="amplitude / dB re 1",
    )  # fmt: skip
    ax.grid(alpha=0.3)
    ax.legend(title="harmonic", loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return lines


def plot_f0(ax: Axes, tracks: HarmonicTracks) -> tuple[list[Line2D], PolyCollection | None]:
    """Draw f0 over time on a logarithmic axis, with its error where that is known.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    tracks : HarmonicTracks
        What an estimator found. The axis spans f0 of the voiced frames.

    Returns
    -------
    lines : list of matplotlib.lines.Line2D
        f0 of the voiced frames, and the best guess in the others.
    band : matplotlib.collections.FillBetweenPolyCollection or None
        Two standard errors to either side of f0 where voiced; None without `f0_std_cents`.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from spectralot import HarmonicTracks
    >>> tracks = HarmonicTracks([0.0, 0.1], [100.0, 90.0], [1.0, 0.0], None, None, 8000, 1600)
    >>> (voiced, guess), band = plot_f0(Figure().subplots(), tracks)
    >>> voiced.get_ydata(), guess.get_ydata(), band
    (array([100.,  nan]), array([nan, 90.]), None)
    """
    f0_hz, voiced = tracks.f0_hz.astype(np.float64), tracks.voiced
    shown = f0_hz[voiced] if voiced.any() else f0_hz
    low, high = shown.min(), shown.max()
    dot: dict = dict(marker="o", markeredgewidth=0)  # a single frame would be no line
    lines = [
        *ax.plot(
            tracks.time_s, np.where(voiced, f0_hz, np.nan), color=BLUE, lw=1.8, ms=2.0,
            label="voiced", zorder=3, **dot,
        ),
        *ax.plot(  # guesses leap, and lines between them would fill the panel
            tracks.time_s, np.where(voiced, np.nan, f0_hz), color=GREY, ls="none", ms=1.8,
            label="best guess, unvoiced", **dot,
        ),
    ]  # fmt: skip
    band = None
    if tracks.f0_std_cents is not None:
        ratio = 2.0 ** (2 * np.where(voiced, tracks.f0_std_cents, 0).clip(max=2400) / 1200)
        band = ax.fill_between(
            tracks.time_s, f0_hz / ratio, f0_hz * ratio, where=voiced, color=BLUE, alpha=0.25,
            lw=0, label="± 2 standard errors",
        )  # fmt: skip
        usual = np.median(ratio[voiced]) if voiced.any() else 1.0
        low, high = low / usual, high * usual
    margin = max(1.06, (high / low) ** 0.08)
    low, high = low / margin, high * margin
    ax.set(
        xlim=(0, tracks.n_samples / tracks.sample_rate), ylim=(low, high), yscale="log",
        xlabel="time / s", ylabel="f0 / Hz",
    )  # fmt: skip
    decades = high / low > 6
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if decades else MaxNLocator(5))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.grid(alpha=0.3)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return lines, band


def plot_confidence(ax: Axes, tracks: HarmonicTracks) -> tuple[Line2D, Line2D]:
    """Draw the confidence over time, filled where the frames are voiced.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw; a strip of little height will do.
    tracks : HarmonicTracks
        What an estimator found.

    Returns
    -------
    line : matplotlib.lines.Line2D
        The confidence.
    threshold : matplotlib.lines.Line2D
        The setting ``voicing_threshold``, or else 0.5.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from spectralot import HarmonicTracks
    >>> tracks = HarmonicTracks([0.0, 0.1], [100.0, 90.0], [1.0, 0.0], None, None, 8000, 1600)
    >>> line, threshold = plot_confidence(Figure().subplots(), tracks)
    >>> line.get_ydata(), threshold.get_ydata()
    (array([1., 0.]), [0.5, 0.5])
    """
    level = (tracks.settings or {}).get("voicing_threshold", SURE)
    ax.fill_between(
        tracks.time_s, 0, tracks.confidence, where=tracks.voiced, color=BLUE, alpha=0.3, lw=0,
        step="mid", label="voiced",
    )  # fmt: skip
    (line,) = ax.plot(
        tracks.time_s, tracks.confidence, color=BLUE, lw=1, drawstyle="steps-mid", label="_"
    )
    threshold = ax.axhline(level, color=VERMILLION, lw=1, ls="--", label="threshold")
    ax.set(
        xlim=(0, tracks.n_samples / tracks.sample_rate), ylim=(0, 1.02), yticks=(0, 0.5, 1),
        xlabel="time / s", ylabel="confidence",
    )  # fmt: skip
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return line, threshold


def plot_octaves(ax: Axes, tracks: HarmonicTracks) -> list[Line2D]:
    """Draw how clearly f0 wins over f0 / 2, 2 f0 and 3 f0 in the voiced frames.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    tracks : HarmonicTracks
        What an estimator found, with `octave_costs`.

    Returns
    -------
    list of matplotlib.lines.Line2D
        For f0 / 2, 2 f0 and 3 f0: its cost less that of f0. Above 0, f0 wins.

    Raises
    ------
    ParameterError
        If `tracks` holds no octave report.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from spectralot import HarmonicTracks
    >>> frame = [0.0], [100.0], [1.0], None, None, 8000, 800
    >>> tracks = HarmonicTracks(*frame, octave_costs=[[3.0, 1.0, 1.5, 2.0]])
    >>> [float(line.get_ydata()[0]) for line in plot_octaves(Figure().subplots(), tracks)]
    [2.0, 0.5, 1.0]
    """
    if tracks.octave_costs is None:
        raise ParameterError("tracks must hold octave_costs, got none")
    costs = np.where(np.isfinite(tracks.octave_costs), tracks.octave_costs, np.nan)
    ahead = np.where(tracks.voiced[:, None], costs - costs[:, 1:2], np.nan)
    lines = []
    # 2 f0 and 3 f0 often cost all there is: the wider line is seen below the other
    styles = ((0, "f0 / 2", VERMILLION, 1.4), (2, "2 f0", BLUE, 3.2), (3, "3 f0", GREEN, 1.4))
    for column, label, color, width in styles:
        lines += ax.plot(
            tracks.time_s, ahead[:, column], color=color, lw=width, marker="o", ms=width,
            markeredgewidth=0, label=label,
        )  # fmt: skip
    bottom, top = min(np.nanmin(ahead, initial=0), 0), max(np.nanmax(ahead, initial=0), 0)
    margin = 0.05 * ((top - bottom) or 1)
    ax.axhspan(bottom - 2 * margin, 0, color=GREY, alpha=0.15, lw=0)
    ax.axhline(0, color=GREY, lw=0.8)
    ax.set(
        xlim=(0, tracks.n_samples / tracks.sample_rate), ylim=(bottom - margin, top + margin),
        xlabel="time / s", ylabel="cost less that of f0\n(below 0: f0 loses)",
    )  # fmt: skip
    ax.grid(alpha=0.3)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return lines


def figure_of_tracks(
    audio: ArrayLike, tracks: HarmonicTracks, *, title: str | None = None
) -> Figure:
    """Draw a sound and all that was found in it: spectrogram, f0, amplitudes, confidence.

    Parameters
    ----------
    audio : array_like, shape (N,)
        The sound that was analysed.
    tracks : HarmonicTracks
        What an estimator found in it; without amplitudes their panel is left out.
    title : str, optional
        What stands above.

    Returns
    -------
    matplotlib.figure.Figure
        One panel above the other over the same time, for ``savefig``.

    Raises
    ------
    ParameterError
        If `audio` does not have N finite samples.

    Examples
    --------
    >>> from spectralot import HarmonicTracks
    >>> tracks = HarmonicTracks([0.0], [1000.0], [1.0], [[0.5]], [[0.0]], 8000, 800)
    >>> figure = figure_of_tracks(tracks.resynthesize(), tracks, title="1 kHz")
    >>> [ax.get_ylabel() for ax in figure.axes[:4]]
    ['frequency / kHz', 'f0 / Hz', 'amplitude / dB re 1', 'confidence']
    """
    audio = float_array("audio", audio, 1)
    same_shape("audio", audio, (tracks.n_samples,))
    panels = {"spectrogram": 3, "f0": 2, "amplitudes": 2.2, "confidence": 0.9}
    if tracks.amplitudes is None:
        del panels["amplitudes"]
    figure = Figure(figsize=(11, 1.4 + 1.1 * sum(panels.values())), layout="constrained")
    axes = figure.subplots(len(panels), 1, sharex=True, height_ratios=list(panels.values()))
    ax = dict(zip(panels, axes, strict=True))
    if audio.any():
        image, _ = plot_spectrogram(ax["spectrogram"], audio, tracks.sample_rate, tracks)
        beside = ax["spectrogram"].inset_axes((1.012, 0, 0.014, 1))  # leaves the panels aligned
        figure.colorbar(image, cax=beside, label="dB re maximum")
    else:
        ax["spectrogram"].set(yticks=(), ylabel="frequency / kHz")
        ax["spectrogram"].text(0.5, 0.5, "silence", ha="center", transform=axes[0].transAxes)
    plot_f0(ax["f0"], tracks)
    if "amplitudes" in ax:
        plot_amplitudes(ax["amplitudes"], tracks)
    plot_confidence(ax["confidence"], tracks)
    for each in axes[:-1]:
        each.set_xlabel("")
    if title:
        figure.suptitle(title)
    return figure

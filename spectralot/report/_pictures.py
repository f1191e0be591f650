"""Pictures of a page, within the limits that `spectralot.plot` gives its figures.

Names: T frames, H harmonics.
"""

import base64
import io

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from .. import plot
from ..tracks import SURE
from . import _svg as draw
from ._svg import HEIGHT, WIDTH

ROW_DB, ROW_UNITS, ROW_COLUMNS = 60.0, 100, 1000  # of a harmonic's strip; ROW_DB from top to bottom
_BLOCK_S = 0.01  # shortest stretch whose level is shown


def spectrogram(audio, tracks):
    """The sound, and f0 and its partials over it."""
    if not audio.any():
        silence = "The recording is silent."
        return draw.figure("spectrogram", "Spectrogram", silence, silence, draw.svg(""), ())
    ax = Figure(figsize=(9, 4)).subplots()
    image, lines = plot.plot_spectrogram(ax, audio, tracks.sample_rate, tracks)
    (_, end), (_, top) = ax.get_xlim(), ax.get_ylim()
    left, right, low, high = image.get_extent()
    level_db, (floor_db, _) = np.asarray(image.get_array()), image.get_clim()
    bin_khz = (high - low) / len(level_db)
    level_db = level_db[: int(np.ceil((top - low) / bin_khz))]
    box = dict(left=left / end, width=(right - left) / end, bottom=low / top)
    box["height"] = bin_khz * len(level_db) / top
    style = ";".join(f"{side}:{100 * share:.4f}%" for side, share in box.items())
    ink = f'<img class="ink" alt="" src="{_ink(level_db, floor_db)}" style="{style}">'
    x, f0_hz = _held(tracks, np.where(tracks.voiced, tracks.f0_hz, np.nan))
    path = draw.outline(*draw.thin(x, f0_hz / 1000 / top))
    partials = "".join(  # each is f0 stretched upwards
        f'<use href="#f0-line" transform="matrix(1 0 0 {h} 0 {HEIGHT * (1 - h)})"/>'
        for h in range(2, len(lines) + 1)
    )
    drawn = (
        f'<defs><path id="f0-line" d="{path}" {draw.THIN}/></defs>'
        f'<g opacity="{lines[0].get_alpha():.2f}"><g class="partial line">{partials}</g>'
        '<use class="f0 line" href="#f0-line"/></g>'
    )
    keys = {"f0": "f0"}
    if len(lines) > 1:
        keys["partial"] = f"partials 2 to {len(lines)}"
    legend = draw.legend(**keys)
    legend += '<label><input type="checkbox" id="lines" checked> show lines</label>'
    words = (
        f"Spectrogram up to {top:.3g} kHz, {-floor_db:g} dB from faint to strong, with f0 and "
        f"partials drawn over it. {pitch_words(tracks)}"
    )
    ticks = _ticks(ax)
    picture = ink + draw.svg(drawn)
    return draw.figure("spectrogram", "Spectrogram / kHz", legend, words, picture, ticks)


def fundamental(tracks):
    """f0, its error band, and guesses."""
    ax = Figure(figsize=(9, 3)).subplots()
    plot.plot_f0(ax, tracks)
    low, high = np.log(ax.get_ylim())

    def place(hz):
        return (np.log(hz) - low) / (high - low)

    f0_hz, voiced = tracks.f0_hz.astype(np.float64), tracks.voiced
    x, sung_hz = _held(tracks, np.where(voiced, f0_hz, np.nan))
    _, guess_hz = _held(tracks, np.where(voiced, np.nan, f0_hz))
    drawn, keys = draw.dots("guess", x, place(guess_hz)), {"f0": "voiced"}
    if tracks.f0_std_cents is not None:
        _, std_cents = _held(tracks, tracks.f0_std_cents.clip(max=2400))
        ratio = 2 ** (2 * std_cents / 1200)
        drawn += draw.band("f0", x, place(sung_hz / ratio), place(sung_hz * ratio))
        keys["error"] = "± 2 standard errors"
    drawn += draw.line("f0", x, place(sung_hz))
    if not voiced.all():
        keys["guess"] = "best guess, unvoiced"
    ticks, words = _ticks(ax, place), f"f0 over time, logarithmic. {pitch_words(tracks)}"
    picture = draw.svg(drawn, ticks)
    return draw.figure("f0", "f0 / Hz", draw.legend(**keys), words, picture, ticks)


def confidence(tracks):
    """How sure it is that there is a pitch, filled where that is enough."""
    threshold = (tracks.settings or {}).get("voicing_threshold", SURE)
    top = 1.02
    x, sure = _held(tracks, tracks.confidence / top)
    _, voiced = _held(tracks, np.where(tracks.voiced, 0, np.nan))
    drawn = draw.band("f0", x, voiced, sure) + draw.line("f0 fine", x, sure)
    drawn += draw.line("threshold", np.array([0, 1]), np.full(2, threshold / top))
    words = (
        f"Confidence over time, from 0 to 1; {100 * tracks.voiced.mean():.0f} % of the frames are "
        f"voiced."
    )
    ticks = [(f"{value:g}", value / top) for value in (0, 0.5, 1)]
    legend = draw.legend(error="voiced", threshold=f"threshold {threshold:g}")
    picture = draw.svg(drawn, ticks)
    return draw.figure("confidence", "Confidence", legend, words, picture, ticks)


def amplitudes(tracks):
    """A strip for each harmonic, up to the last that comes within reach of the strongest."""
    if tracks.amplitudes is None or not tracks.amplitudes.any():
        return ""
    loudest_db = _decibels(tracks.amplitudes.max(axis=0))
    bottom_db = loudest_db.max() - ROW_DB
    n_rows = 1 + int(np.flatnonzero(loudest_db > bottom_db)[-1])
    strips = ""
    for h in range(n_rows):
        x, amplitude = _held(tracks, tracks.amplitudes[:, h])
        level = ((_decibels(amplitude) - bottom_db) / ROW_DB).clip(0, 1)
        x, _, level = draw.columns(x, level, ROW_COLUMNS)
        path = draw.outline([x[0], *x, x[-1]], [0, *level, 0], ROW_UNITS)
        strips += f'<path transform="translate(0 {ROW_UNITS * h})" d="{path}Z"/>'
    limits = draw.minus(f"{bottom_db:.0f} to {bottom_db + ROW_DB:.0f}")
    words = f"each strip from {limits} dB re full scale"
    if n_rows < len(loudest_db):
        words += f"; those above {n_rows} stay below"
    picture = draw.svg(f'<g class="strips">{strips}</g>', height=ROW_UNITS * n_rows)
    labels = [
        (f"{h + 1} <span></span>", 1 - (h + 0.5) / n_rows) for h in range(n_rows)
    ]  # page.js fills in the level at the cursor
    return draw.figure(
        "harmonics", "Harmonics", f"<span>{words}</span>", f"Levels over time, {words}.", picture,
        labels, f"--height:{max(60, 20 * n_rows)}px",
    )  # fmt: skip


def levels(audio, residual, sample_rate):
    """Level of the sound, and of what the harmonics leave of it."""
    curves = {"sound": _level_db(audio, sample_rate)}
    keys, words = {"sound": "recording"}, "Level of the recording over time, in dB re full scale."
    if residual is not None:
        curves["residual"] = _level_db(residual, sample_rate)
        keys["residual"] = "residual"
        words += f" The residual lies {-residual_db(audio, residual):.1f} dB below it."
    top = max(level.max() for level in curves.values()) + 3
    low = max(min(np.percentile(level, 5) for level in curves.values()), top - 90) - 3
    drawn = "".join(
        draw.line(key, (np.arange(len(level)) + 0.5) / len(level), (level - low) / (top - low))
        for key, level in curves.items()
    )
    values = [value for value in MaxNLocator(4).tick_values(low, top) if low <= value <= top]
    ticks = [(f"{value:g}", (value - low) / (top - low)) for value in values]
    legend, picture = draw.legend(**keys), draw.svg(drawn, ticks)
    return draw.figure("levels", "Level / dB re full scale", legend, words, picture, ticks)


def octaves(tracks):
    """How clearly f0 wins over its half, double and triple."""
    if tracks.octave_costs is None or not tracks.voiced.any():
        return ""
    ax = Figure(figsize=(9, 2)).subplots()
    lines = plot.plot_octaves(ax, tracks)
    low, high = ax.get_ylim()
    lost = HEIGHT * high / (high - low)
    drawn = f'<rect class="lost" y="{lost:.0f}" width="{WIDTH}" height="{HEIGHT - lost:.0f}"/>'
    for key, each in zip(("half", "double", "triple"), lines, strict=True):
        x, ahead = _held(tracks, each.get_ydata())
        drawn += draw.line(key, x, (ahead - low) / (high - low))
    words = "Cost of f0 / 2, 2 f0 and 3 f0 less that of f0 over time; below 0, f0 loses."
    legend = draw.legend(half="f0 / 2", double="2 f0", triple="3 f0")
    ticks = _ticks(ax)
    picture = draw.svg(drawn, ticks)
    return draw.figure("octaves", "Octaves: cost less that of f0", legend, words, picture, ticks)


def pitch_words(tracks):
    """f0 of the voiced frames in a sentence."""
    if not tracks.voiced.any():
        return "No frame is voiced."
    f0_hz = tracks.f0_hz[tracks.voiced]
    low, median, high = f0_hz.min(), np.median(f0_hz), f0_hz.max()
    return f"Voiced f0 goes from {low:.1f} to {high:.1f} Hz, median {median:.1f} Hz."


def residual_db(audio, residual):
    """Level of the residual relative to the sound."""
    powers = (np.mean(np.square(sound, dtype=np.float64)) for sound in (residual, audio))
    return float(np.subtract(*(10 * np.log10(power + 1e-20) for power in powers)))


def _ticks(ax, place=None):
    """Labels of the vertical axis, and where they stand."""
    low, high = ax.get_ylim()
    values = [value for value in ax.yaxis.get_majorticklocs() if low <= value <= high]
    place = place or (lambda value: (value - low) / (high - low))
    return [(f"{round(value, 9):g}", float(place(value))) for value in values]


def _held(tracks, values):
    """Places of the frames and their values; a single frame holds throughout."""
    values = np.asarray(values, np.float64)
    if len(values) == 1:
        return np.array([0.0, 1.0]), np.repeat(values, 2)
    return tracks.time_s * tracks.sample_rate / tracks.n_samples, values


def _ink(level_db, floor_db):
    """A PNG as a data URL: black where it is loud, clear where it is not."""
    shade = (255 * (1 - level_db[::-1] / floor_db)).clip(0, 255).round().astype(np.uint8)
    image, file = Image.fromarray(shade), io.BytesIO()
    image.putpalette(bytes(3 * 256))
    image.save(file, "PNG", transparency=bytes(range(256)), optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _decibels(amplitude):
    return 20 * np.log10(np.maximum(amplitude, 1e-10))


def _level_db(sound, sample_rate):
    """Level of equal stretches in dB re an rms of 1, -100 at least."""
    n_blocks = max(1, min(2 * draw.COLUMNS, int(len(sound) / sample_rate / _BLOCK_S)))
    first = np.arange(n_blocks) * len(sound) // n_blocks
    power = np.add.reduceat(np.square(sound, dtype=np.float64), first)
    return 10 * np.log10(np.maximum(power / np.diff(first, append=len(sound)), 1e-10))

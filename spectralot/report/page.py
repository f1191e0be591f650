"""What stands on a page, and the page put together.

Names: T frames, N samples, H harmonics.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import os
import platform
import tempfile
from dataclasses import replace
from html import escape
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from string import Template

import numpy as np

from .._version import __version__
from ..checks import float_array, same_shape
from ..hints import ArrayLike
from ..tracks import HarmonicTracks
from . import _pictures as pictures
from ._sounds import FORMATS, LONGEST_S, encoded
from ._svg import minus

_MOST_AMPLITUDES = 500_000  # T * H beyond which the numbers on the page leave them out
_NOTES = ("C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B")
_OCTAVES = {"f0 / 2": 0, "2 f0": 2, "3 f0": 3}  # columns of octave_costs; f0 is 1
_PACKAGES = ("numpy", "numba", "scipy", "soundfile")


def report_page(audio: ArrayLike, tracks: HarmonicTracks, name: str) -> str:
    """Show one recording and what was found in it, as an HTML page that fetches nothing.

    Parameters
    ----------
    audio : array_like, shape (N,)
        The recording.
    tracks : HarmonicTracks
        What an estimator found in it.
    name : str
        What to call it, such as its file's name.

    Returns
    -------
    str
        The page: pictures, sounds of up to 5 minutes, octave report, settings, numbers.

    Raises
    ------
    ParameterError
        If `audio` does not have N finite samples.

    Examples
    --------
    >>> from spectralot import HarmonicTracks
    >>> tracks = HarmonicTracks([0.0], [1000.0], [1.0], [[0.5]], [[0.1]], 8000, 800)
    >>> page = report_page(tracks.resynthesize(), tracks, "1 kHz.wav")
    >>> "<h1>1 kHz.wav</h1>" in page, "://" in page
    (True, False)
    """
    audio = float_array("audio", audio, 1)
    same_shape("audio", audio, (tracks.n_samples,))
    notes: list[str] = []
    sounds = _sounds(audio, tracks, notes)
    residual = sounds.get("residual")
    shown = pictures.spectrogram(audio, tracks) + pictures.fundamental(tracks)
    shown += pictures.confidence(tracks) + pictures.amplitudes(tracks)
    shown += pictures.levels(audio, residual, tracks.sample_rate) + pictures.octaves(tracks)
    duration_s = tracks.n_samples / tracks.sample_rate
    data, heard = _numbers(tracks, name, notes), "none, for it is long"
    if duration_s <= LONGEST_S:
        elements, heard = _heard(sounds, tracks.sample_rate, notes)
        data += elements
    else:
        sounds = {}
        notes.append(
            f"The recording lasts longer than {LONGEST_S / 60:g} minutes, so the page has no sound."
        )
    script, style = _part("page.js"), _part("page.css")
    return Template(_part("page.html")).substitute(
        name=escape(name),
        duration_s=f"{duration_s:.6f}",
        step_s=f"{min(tracks.step_s, duration_s):.6g}",
        digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        style=style,
        facts=_facts(tracks, audio, residual),
        notes="".join(f"<p class='note'>{escape(note)}</p>" for note in notes),
        pictures=shown,
        octaves=_octave_report(tracks),
        settings=_settings(tracks, heard),
        choices=_choices(sounds),
        data=data,
        script=script,
    )


def _part(name):
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _sounds(audio, tracks, notes):
    """The recording and, as far as tracks have them, model and residual."""
    sounds = {"recording": audio}
    if tracks.amplitudes is None:
        notes.append("These tracks hold f0 only: there are no amplitudes, model and residual.")
        return sounds
    sounds["model"] = model = tracks.resynthesize()
    if tracks.phases.any() or not tracks.amplitudes.any():
        sounds["residual"] = audio - model
    else:
        notes.append("These tracks hold no phases: model and recording cannot be subtracted.")
    return sounds


def _heard(sounds, sample_rate, notes):
    """Elements that hold the sounds, encoded, and what they are encoded as."""
    encodings, media_type, gain_db = encoded(list(sounds.values()), sample_rate)
    if gain_db < 0:
        notes.append(f"All sounds are played {-gain_db:.1f} dB softer, lest one be clipped.")
    elements = "".join(
        _embedded(f"sound-{kind}", encoding, media_type)
        for kind, encoding in zip(sounds, encodings, strict=True)
    )
    return elements, FORMATS[media_type]


def _numbers(tracks, name, notes):
    """Elements that hold what `save_csv` and `save_json` write."""
    stem, kept = os.path.splitext(name)[0], tracks
    if tracks.amplitudes is not None and tracks.amplitudes.size > _MOST_AMPLITUDES:
        kept = replace(tracks, amplitudes=None, phases=None, amplitudes_std=None)
        notes.append(
            "The recording is long: the numbers on this page leave out amplitudes and phases, "
            "which spectralot estimate writes."
        )
    with tempfile.TemporaryDirectory() as folder:
        csv, json = Path(folder, "csv"), Path(folder, "json")
        tracks.save_csv(csv)
        kept.save_json(json)
        return _embedded("csv", csv.read_bytes(), "text/csv", f"{stem}.f0.csv") + _embedded(
            "json", json.read_bytes(), "application/json", f"{stem}.json"
        )


def _embedded(key, content, media_type, file=None):
    """An element with bytes in it, for page.js; text is compressed."""
    more = ""
    if file is not None:
        content, more = gzip.compress(content, 6, mtime=0), f' data-file="{escape(file)}"'
    text = base64.b64encode(content).decode()
    return f'<script type="text/plain" id="{key}" data-type="{media_type}"{more}>{text}</script>\n'


def _facts(tracks, audio, residual):
    duration_s = tracks.n_samples / tracks.sample_rate
    facts = {"Duration": f"{duration_s:.3f} s", "Sample rate": f"{tracks.sample_rate:g} Hz"}
    facts["Voiced"] = f"{100 * tracks.voiced.mean():.1f} % of the frames"
    if tracks.voiced.any():
        f0_hz = tracks.f0_hz[tracks.voiced].astype(np.float64)
        median_hz = float(np.median(f0_hz))
        facts["Median f0"] = f"{median_hz:.2f} Hz"
        facts["Nearest note"] = note_name(median_hz)
        facts["Range of f0"] = f"{f0_hz.min():.1f} to {f0_hz.max():.1f} Hz"
        if tracks.f0_std_cents is not None:
            std_cents = float(np.median(tracks.f0_std_cents[tracks.voiced]))
            facts["Standard error of f0"] = f"{std_cents:.2g} cents"
    if tracks.amplitudes is not None:
        facts["Harmonics"] = f"{tracks.amplitudes.shape[1]}"
    if residual is not None and audio.any():
        level_db = pictures.residual_db(audio, residual)
        facts["Residual to recording"] = minus(f"{level_db:.1f} dB")
    return "".join(f"<div><dt>{key}</dt><dd>{value}</dd></div>" for key, value in facts.items())


def note_name(f0_hz: float) -> str:
    """Name the nearest note of equal temperament at A4 = 440 Hz.

    Parameters
    ----------
    f0_hz : float
        Frequency in Hz.

    Returns
    -------
    str
        Note, octave and deviation in cents.

    Examples
    --------
    >>> note_name(442.0)
    'A4 +8 cents'
    """
    pitch = 69 + 12 * np.log2(f0_hz / 440)
    nearest = round(pitch)
    cents = minus(f"{round(100 * (pitch - nearest)):+d}")
    return f"{_NOTES[nearest % 12]}{nearest // 12 - 1} {cents} cents"


def _octave_report(tracks):
    """In words and as a table: does f0 win over other octaves?"""
    voiced = tracks.voiced
    if tracks.octave_costs is None or not voiced.any():
        return ""
    costs, time_s = tracks.octave_costs[voiced], tracks.time_s[voiced]
    rows, lost = "", np.zeros(len(costs), bool)
    for label, column in _OCTAVES.items():
        other = costs[:, column]  # infinite where ruled out
        with np.errstate(invalid="ignore"):
            ahead = np.where(np.isfinite(other), other - costs[:, 1], np.inf)
        lost |= ahead < 0
        closest = int(ahead.argmin())
        nearest = "ruled out"
        if ahead[closest] < np.inf:
            at = f"{time_s[closest]:.2f}"
            nearest = minus(f"{ahead[closest]:.3g}")
            nearest += f' at <button type="button" class="go" value="{at}">{at} s</button>'
        rows += (
            f"<tr><th scope='row'>{label}</th><td>{100 * np.mean(ahead < 0):.1f} %</td>"
            f"<td>{np.median(ahead):.3g}</td><td>{nearest}</td></tr>"
        )
    share = "every voiced frame"
    if lost.any():
        share = f"{100 - 100 * lost.mean():.1f} % of the voiced frames"
    return f"""<section aria-labelledby="octave-title">
<h2 id="octave-title">Octaves</h2>
<p>In {share}, f0 costs no more than its half, its double and its triple.</p>
<div class="table"><table>
<thead><tr><th scope="col">instead of f0</th><th scope="col">costs less in</th>
<th scope="col">median lead of f0</th><th scope="col">narrowest</th></tr></thead>
<tbody>{rows}</tbody></table></div>
</section>"""


def _settings(tracks, heard):
    own = (tracks.settings or {}) | {"step_s": f"{tracks.step_s:.6g}"}
    made_by = own.pop("version", None)
    if made_by is not None:
        own["estimated by spectralot"] = made_by
    versions = {"spectralot": __version__, "Python": platform.python_version()}
    versions |= {name: version(name) for name in _PACKAGES} | {"sound on this page": heard}
    return _table("Settings", own) + _table("This page", versions)


def _table(title, rows):
    """A table of names and values."""
    cells = "".join(
        f"<tr><th scope='row'>{escape(str(key))}</th><td>{escape(str(value))}</td></tr>"
        for key, value in rows.items()
    )
    return f"<table><caption>{title}</caption><tbody>{cells}</tbody></table>"


def _choices(sounds):
    """Which sound is heard."""
    if not sounds:
        return ""
    choices = "".join(
        f'<label><input type="radio" name="sound" value="{kind}"> {kind}</label>' for kind in sounds
    )
    return (
        '<button id="play" type="button" aria-label="Play">'
        '<svg viewBox="0 0 10 10" aria-hidden="true"><path d="M2 1l7 4-7 4z"/>'
        '<path d="M2 1h2v8H2zM6 1h2v8H6z"/></svg></button>'
        f'<fieldset id="choice"><legend class="unseen">Sound</legend>{choices}</fieldset>'
    )

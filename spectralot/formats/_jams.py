"""JAMS, by its published schema: JSON with one dense annotation "pitch_contour".

The package jams would do the same with pandas and a second for its import.
"""

import json

import numpy as np

from .._version import __version__
from ..checks import ParameterError
from ..files import writing
from ._points import Points, as_number, loaded_json, rising

_VERSION = "0.3.5"  # of the schema


def write(tracks, path, *, overwrite=False):
    """Every frame: its f0 or the best guess, and whether it is voiced."""
    duration_s = tracks.n_samples / tracks.sample_rate
    frames = zip(tracks.f0_hz.tolist(), tracks.voiced.tolist(), strict=True)
    annotation = {
        "namespace": "pitch_contour",
        "annotation_metadata": {"annotation_tools": f"spectralot {__version__}"},
        "time": 0.0,
        "duration": duration_s,
        "sandbox": {"sample_rate": tracks.sample_rate, "n_samples": tracks.n_samples},
        "data": {
            "time": [round(time_s, 9) for time_s in tracks.time_s.tolist()],
            "duration": [0.0] * len(tracks.time_s),
            "value": [
                {"index": 0, "frequency": round(f0_hz, 6), "voiced": voiced}
                for f0_hz, voiced in frames
            ],
            "confidence": [round(value, 6) for value in tracks.confidence.tolist()],
        },
    }
    jams = {
        "file_metadata": {"duration": duration_s, "jams_version": _VERSION},
        "annotations": [annotation],
        "sandbox": {},
    }
    with writing(path, overwrite=overwrite) as part:
        part.write_text(json.dumps(jams) + "\n", encoding="ascii", newline="\n")


def read(path):
    """The first annotation "pitch_contour", dense or a list of observations."""
    jams = loaded_json(path)
    try:
        found = [a for a in jams["annotations"] if a["namespace"] == "pitch_contour"]
        duration_s = jams.get("file_metadata", {}).get("duration")
    except (AttributeError, KeyError, TypeError):
        raise ParameterError("it is no JAMS file: it has no list of annotations") from None
    if not found:
        raise ParameterError('it has no annotation "pitch_contour"')
    try:
        frames = _frames(found[0]["data"])
        contours = {value["index"] for _, value, _ in frames}
        f0_hz = [value["frequency"] for _, value, _ in frames]
        voiced = np.array([value["voiced"] is True for _, value, _ in frames])
        sandbox = dict(found[0].get("sandbox", {}))
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ParameterError(
            "each observation must have a time and a value of index, frequency and voiced"
        ) from None
    if len(contours) > 1:
        raise ParameterError(f"it must hold one contour, got {len(contours)}")
    sure = [confidence for *_, confidence in frames]
    return Points(
        rising(_numbers("time", [time for time, *_ in frames]), _place),
        _numbers("frequency", f0_hz),
        None if None in sure else _numbers("confidence", sure),
        voiced,
        sample_rate=sandbox.get("sample_rate"),
        n_samples=sandbox.get("n_samples"),
        duration_s=duration_s and as_number(duration_s, "duration", "file_metadata"),
    )


def _numbers(name, values):
    return np.array([as_number(value, name, _place(i)) for i, value in enumerate(values)])


def _place(i):
    return f"observation {i}"


def _frames(data):
    """Time, value and confidence of each observation."""
    if isinstance(data, dict):
        return list(zip(data["time"], data["value"], data["confidence"], strict=True))
    return [(frame["time"], frame["value"], frame["confidence"]) for frame in data]

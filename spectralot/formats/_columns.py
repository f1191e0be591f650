"""Text in columns: CREPE's CSV, and time and f0 side by side."""

import io

import numpy as np

from ..checks import ParameterError
from ..export import unvoiced_f0, write_csv
from ..files import writing
from ._points import Points, as_number, rising, short

__all__ = ["read_csv", "read_text", "write_csv", "write_mir_eval", "write_mirex"]

_NAMES = {  # SwiftF0's differ from those of CREPE and PESTO
    "time": ("time", "timestamp"), "frequency": ("frequency", "pitch_hz"),
    "confidence": ("confidence",), "voiced": ("voiced",),
}  # fmt: skip
_WORDS = {"true": True, "1": True, "false": False, "0": False}


def _lines(path, delimiter=None):
    """Number and cells of each line that is neither empty nor a comment."""
    with open(path, encoding="utf-8-sig") as file:
        for n, line in enumerate(file, 1):
            if line.strip() and not line.startswith("#"):
                yield f"line {n}", [cell.strip() for cell in line.split(delimiter)]


def read_csv(path):
    """Columns in any order, named in the first line."""
    lines = _lines(path, ",")
    where, head = next(lines, ("", None))
    if head is None:
        raise ParameterError("it is empty")
    head = [cell.lower() for cell in head]
    column = {
        key: head.index(name) for key, names in _NAMES.items() for name in names if name in head
    }
    if not {"time", "frequency"} <= column.keys():
        text = short(",".join(head))
        raise ParameterError(f"{where} must name the columns time and frequency, got {text}")
    places, found = [], {key: [] for key in column}
    for where, cells in lines:
        if len(cells) != len(head):
            raise ParameterError(f"{where} must hold {len(head)} values, got {len(cells)}")
        places.append(where)
        for key, index in column.items():
            found[key].append(_value(key, cells[index], where))
    confidence, voiced = (np.array(found[k]) if k in found else None for k in list(_NAMES)[2:])
    times = rising(found["time"], places.__getitem__)
    return Points(times, np.array(found["frequency"]), confidence, voiced)


def _value(key, text, where):
    if key == "voiced":
        if text.lower() not in _WORDS:
            raise ParameterError(f"{where}: voiced must be true or false, got {short(text)}")
        return _WORDS[text.lower()]
    value = as_number(text, key, where, nan=key == "frequency")
    if key == "confidence" and not 0 <= value <= 1:
        raise ParameterError(f"{where}: confidence must be from 0 to 1, got {value:g}")
    return value


def read_text(path):
    """Time and f0 with blanks or a tab between them; lines that begin with # are left out."""
    places, times, f0_hz = [], [], []
    for where, cells in _lines(path):
        if len(cells) != 2:
            text = short(" ".join(cells))
            raise ParameterError(f"{where} must hold a time and a frequency, got {text}")
        places.append(where)
        times.append(as_number(cells[0], "time", where))
        f0_hz.append(as_number(cells[1], "frequency", where, nan=True))
    return Points(rising(times, places.__getitem__), np.array(f0_hz))


def write_mir_eval(tracks, path, *, unvoiced="zero", overwrite=False):
    """Time and f0, as `mir_eval.io.load_time_series` reads them."""
    f0_hz = unvoiced_f0(tracks, unvoiced)
    milliseconds = 1000 * tracks.time_s.astype(np.float64)
    whole = np.allclose(milliseconds, milliseconds.round(), rtol=0, atol=1e-3)
    text = io.StringIO()
    form = ["%.3f" if whole else "%.6f", "%.3f"]
    np.savetxt(text, np.column_stack([tracks.time_s, f0_hz]), fmt=form, delimiter="\t")
    with writing(path, overwrite=overwrite) as part:
        part.write_text(text.getvalue(), encoding="ascii", newline="\n")


def write_mirex(tracks, path, *, unvoiced="negative", overwrite=False):
    """The same with a guess where there is no voice, as MIREX allows."""
    write_mir_eval(tracks, path, unvoiced=unvoiced, overwrite=overwrite)

"""Writing HarmonicTracks to files, and reading them back: CSV, JSON, NumPy archives.

Names: T frames, H harmonics.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .checks import ParameterError, one_of
from .files import check_archive, refuse_device, writing
from .hints import Array, PathLike, Unvoiced

if TYPE_CHECKING:
    from .tracks import HarmonicTracks

__all__ = ["UNVOICED", "read_npz", "unvoiced_f0", "write_csv", "write_json", "write_npz"]

UNVOICED = ("keep", "zero", "nan", "negative")

_FRAMES = ("time_s", "f0_hz", "confidence")  # always there
_NUMBERS = ("sample_rate", "n_samples", "residual_db")
_OPTIONAL = (
    "amplitudes", "phases", "voiced", "f0_std_cents", "amplitudes_std", "inharmonicity",
    "noise_db", "snr_db", "octave_costs", "octave_margin",
)  # fmt: skip
_HISTORY = "loss_history/"
_DECIMALS = {
    "time_s": 6, "f0_hz": 4, "confidence": 6, "phases": 4, "noise_db": 3, "snr_db": 3,
}  # fmt: skip
_DIGITS = {"amplitudes": 6, "octave_costs": 6, "octave_margin": 6}  # others: 4 that count
_ROWS = 4096  # frames turned into text at once


def unvoiced_f0(tracks: HarmonicTracks, unvoiced: Unvoiced) -> Array:
    """Return f0 as a file shows it.

    Parameters
    ----------
    tracks : HarmonicTracks
        What an estimator gave.
    unvoiced : {"keep", "zero", "nan", "negative"}
        What stands where `tracks` is not voiced: the best guess, 0, NaN, or minus the best guess.

    Returns
    -------
    ndarray, shape (T,)
        In Hz.

    Raises
    ------
    ParameterError
        If `unvoiced` is none of the four.

    Examples
    --------
    >>> from spectralot import HarmonicTracks
    >>> tracks = HarmonicTracks([0.0, 0.1], [100.0, 90.0], [1.0, 0.0], None, None, 8000, 1600)
    >>> unvoiced_f0(tracks, "negative")
    array([100., -90.])
    """
    one_of("unvoiced", unvoiced, UNVOICED)
    f0_hz = tracks.f0_hz
    if unvoiced == "keep":
        return f0_hz
    instead: Any = {"zero": 0.0, "nan": np.nan, "negative": -f0_hz}[unvoiced]
    return np.where(tracks.voiced, f0_hz, instead).astype(f0_hz.dtype)


def write_csv(
    tracks: HarmonicTracks, path: PathLike, *, unvoiced: Unvoiced = "keep", overwrite: bool = False
) -> None:
    """Write what `HarmonicTracks.save_csv` promises.

    Parameters
    ----------
    tracks : HarmonicTracks
        What an estimator gave.
    path : str or path-like
        The file to write.
    unvoiced : {"keep", "zero", "nan", "negative"}
        The frequency of frames that are not voiced.
    overwrite : bool
        Replace a file that is already there.
    """
    f0_hz = unvoiced_f0(tracks, unvoiced)
    milliseconds = 1000 * tracks.time_s.astype(np.float64)
    whole = np.allclose(milliseconds, milliseconds.round(), rtol=0, atol=1e-3)
    text = io.StringIO()
    text.write("time,frequency,confidence\n")
    np.savetxt(
        text,
        np.column_stack([tracks.time_s, f0_hz, tracks.confidence]),
        fmt=["%.3f" if whole else "%.6f", "%.3f", "%.6f"],
        delimiter=",",
    )
    with writing(path, overwrite=overwrite) as part:
        part.write_text(text.getvalue(), encoding="ascii", newline="\n")


def write_json(
    tracks: HarmonicTracks, path: PathLike, *, unvoiced: Unvoiced = "keep", overwrite: bool = False
) -> None:
    """Write what `HarmonicTracks.save_json` promises.

    Parameters
    ----------
    tracks : HarmonicTracks
        What an estimator gave.
    path : str or path-like
        The file to write.
    unvoiced : {"keep", "zero", "nan", "negative"}
        The frequency of frames that are not voiced; NaN becomes null.
    overwrite : bool
        Replace a file that is already there.
    """
    arrays = {name: getattr(tracks, name) for name in (*_FRAMES, *_OPTIONAL)}
    arrays["f0_hz"] = unvoiced_f0(tracks, unvoiced)
    settings = {name: _finite(value) for name, value in (tracks.settings or {}).items()}
    head = {
        "sample_rate": tracks.sample_rate,
        "n_samples": tracks.n_samples,
        "step_s": float(f"{tracks.step_s:.12g}"),
        "residual_db": None if (level := tracks.residual_db) is None else _finite(round(level, 3)),
        "settings": settings,
    }
    history = {
        stage: [_finite(float(f"{loss:.6g}")) for loss in losses]
        for stage, losses in tracks.loss_history.items()
    }
    if history:
        head["loss_history"] = history
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in head.items()]
    with writing(path, overwrite=overwrite) as part:
        with open(part, "w", encoding="ascii", newline="\n") as file:
            file.write("{\n" + ",\n".join(lines))
            for name, array in arrays.items():
                if array is not None:
                    file.write(f',\n"{name}": [')
                    for first in range(0, len(array), _ROWS):
                        file.write("," * (first > 0))
                        file.write(_rows(name, array[first : first + _ROWS]))
                    file.write("]")
            file.write("\n}\n")


def _rows(name, rows):
    """JSON of these rows, without the outer brackets."""
    if rows.dtype == bool:
        return ",".join("true" if value else "false" for value in rows)
    if name in _DECIMALS:
        decimals = _DECIMALS[name]
        texts = [repr(round(value, decimals) + 0.0) for value in rows.ravel().tolist()]
    else:
        pattern = f"%.{_DIGITS.get(name, 4)}g"
        texts = [pattern % value for value in rows.ravel().tolist()]
    if not np.isfinite(rows).all():
        good = np.isfinite(rows).ravel()
        texts = [text if fine else "null" for text, fine in zip(texts, good, strict=True)]
    if rows.ndim == 1:
        return ",".join(texts)
    width = rows.shape[1]
    return ",".join(f"[{','.join(texts[i : i + width])}]" for i in range(0, len(texts), width))


def _finite(value):
    """The value, or None where JSON has no word for it."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_npz(tracks: HarmonicTracks, path: PathLike, *, overwrite: bool = False) -> None:
    """Write what `HarmonicTracks.save_npz` promises.

    Parameters
    ----------
    tracks : HarmonicTracks
        What an estimator gave.
    path : str or path-like
        The file to write.
    overwrite : bool
        Replace a file that is already there.
    """
    fields: dict = {name: getattr(tracks, name) for name in (*_FRAMES, *_NUMBERS, *_OPTIONAL)}
    fields = {name: value for name, value in fields.items() if value is not None}
    if tracks.settings is not None:
        fields["settings"] = np.array(json.dumps(tracks.settings))
    history: dict = {_HISTORY + stage: losses for stage, losses in tracks.loss_history.items()}
    with writing(path, overwrite=overwrite) as part, open(part, "wb") as file:
        np.savez(file, **fields, **history)


def read_npz(path: PathLike, make: Callable[..., HarmonicTracks]) -> HarmonicTracks:
    """Read what `write_npz` wrote.

    Parameters
    ----------
    path : str or path-like
        The file to read. Nothing in it is executed.
    make : callable
        Takes the fields by name; its ParameterError becomes one that names the file.

    Returns
    -------
    object
        What `make` returned.
    """
    try:
        refuse_device(path)
        with open(path, "rb") as file:
            if not zipfile.is_zipfile(file):
                raise ParameterError("it is no NumPy archive, or is cut short")
            with np.load(file, allow_pickle=False) as archive:
                check_archive(archive.zip)
                stored = {name: archive[name] for name in archive.files}
        return make(**_fields(stored))
    except OSError as error:
        raise ParameterError(f"cannot load {path}: {error.strerror or error}") from None
    except (ValueError, EOFError, RecursionError, zipfile.BadZipFile, zlib.error) as error:
        reason = " ".join(str(error).split()) or "it is cut short"
        raise ParameterError(f"cannot load {path}: {reason}") from None
    except Exception:  # there is no end to what zipfile, tokenize and NumPy raise on damage
        raise ParameterError(f"cannot load {path}: it is damaged") from None


def _fields(stored):
    """The arguments of HarmonicTracks from the arrays of an archive."""
    for name in (*_FRAMES, *_NUMBERS):
        if name not in stored and name != "residual_db":
            raise ParameterError(f"it lacks {name}")
    fields = {name: stored[name] for name in _FRAMES}
    fields |= {name: stored.get(name) for name in _OPTIONAL}
    for name in (name for name in _NUMBERS if name in stored):
        if stored[name].ndim:
            raise ParameterError(f"{name} must be a single number, got shape {stored[name].shape}")
        fields[name] = stored[name].item()
    if "settings" in stored:
        text = stored["settings"]
        if text.ndim or text.dtype.kind != "U":
            raise ParameterError(f"settings must be one text, got {text.dtype} {text.shape}")
        fields["settings"] = json.loads(text.item())
    fields["loss_history"] = {
        name.removeprefix(_HISTORY): losses
        for name, losses in stored.items()
        if name.startswith(_HISTORY)
    }
    return fields

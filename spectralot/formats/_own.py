"""Files that hold every field: NPZ as it is, JSON rounded."""

import numpy as np

from ..checks import ParameterError, number, same_shape
from ..export import write_json, write_npz
from ..tracks import HarmonicTracks
from ._points import filled_f0, loaded_json, short

__all__ = ["read_json", "read_npz", "write_json", "write_npz"]

read_npz = HarmonicTracks.load_npz

_MUST = ("f0_hz", "confidence", "voiced", "sample_rate", "n_samples", "step_s")
_INFINITE = {  # what null means
    "f0_std_cents": np.inf, "noise_db": -np.inf, "octave_costs": np.inf, "octave_margin": np.inf,
}  # fmt: skip
_ARRAYS = {  # and their axes
    "amplitudes": 2, "phases": 2, "f0_std_cents": 1, "amplitudes_std": 2, "inharmonicity": 1,
    "noise_db": 1, "snr_db": 1, "octave_costs": 2, "octave_margin": 1,
}  # fmt: skip
_AS_IT_IS = ("sample_rate", "n_samples", "loss_history", "settings")


def read_json(path):
    """What `write_json` wrote. A null in snr_db is inf where voiced, else -inf."""
    stored = loaded_json(path)
    if not isinstance(stored, dict):
        raise ParameterError("it must hold one object")
    for name in _MUST:
        if name not in stored:
            raise ParameterError(f"it lacks {name}")
    f0_hz = _array(stored, "f0_hz", 1)
    voiced = np.array(stored["voiced"])
    same_shape("voiced", voiced, f0_hz.shape)
    level_db, history = stored.get("residual_db"), stored.get("loss_history", {})
    if not isinstance(history, dict):
        raise ParameterError(f"loss_history must map names to lists, got {short(history)}")
    fields = {name: stored.get(name) for name in _AS_IT_IS}
    fields |= {
        "residual_db": None if level_db is None else number("residual_db", level_db),
        "time_s": number("step_s", stored["step_s"], above=0, maximum=1e9) * np.arange(len(f0_hz)),
        "f0_hz": filled_f0(np.abs(np.nan_to_num(f0_hz))),
        "confidence": _array(stored, "confidence", 1),
        "voiced": voiced,
        "amplitudes": None,
        "phases": None,
    }
    for name, n_axes in _ARRAYS.items():
        if name in stored:
            fields[name] = _array(stored, name, n_axes)
    for name, instead in _INFINITE.items():
        if name in fields:
            fields[name][np.isnan(fields[name])] = instead
    if "snr_db" in fields:
        same_shape("snr_db", fields["snr_db"], f0_hz.shape)
        unknown = np.isnan(fields["snr_db"])
        fields["snr_db"][unknown] = np.where(voiced[unknown], np.inf, -np.inf)
    return HarmonicTracks(**fields)


def _array(stored, name, n_axes):
    """Numbers, NaN for null."""
    try:
        array = np.array(stored[name], np.float64)
    except (TypeError, ValueError, OverflowError):
        array = np.zeros(())
    if array.ndim != n_axes:
        raise ParameterError(f"{name} must be a list of numbers" + " in equal rows" * (n_axes > 1))
    return array

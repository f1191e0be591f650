"""Harmonic sounds read by spectral optimal transport, with exact gradients and no framework.

Names are loaded on first use, so ``import spectralot`` costs nothing but Python's own work.
"""

import importlib

from ._version import __version__

_HOMES = {
    "checks": ["ParameterError"],
    "synth": [
        "harmonic_forward",
        "harmonic_backward",
        "sinusoidal_forward",
        "sinusoidal_backward",
    ],
    "stft": ["stft_magnitude_forward", "stft_magnitude_backward", "frame_count", "frame_times"],
    "transforms": ["STFT", "Mel", "ConstantQ", "PitchSalience"],
    "axes": ["axis_positions", "axis_derivative", "a_weighting_db"],
    "noise_floor": ["noise_floor_forward", "noise_floor_backward"],
    "transport": ["wasserstein_1d_forward", "wasserstein_1d_backward"],
    "circular": [
        "circular_wasserstein_1d_forward",
        "circular_wasserstein_1d_backward",
        "chroma_positions",
    ],
    "plan": [
        "quantile_function",
        "transport_plan",
        "TransportPlan",
        "displacement_interpolation",
        "wasserstein_barycenter",
    ],
    "morphing": ["morph"],
    "losses": [
        "LIN",
        "LOG",
        "MSS",
        "SmoothMSS",
        "SpectralConvergence",
        "LogCosh",
        "SOT",
        "LineSOT",
        "WeightedSum",
        "preset",
        "PRESETS",
    ],
    "metrics": [
        "log_spectral_distance",
        "level_difference_db",
        "pitch_scores",
        "melody_scores",
    ],
    "tracks": ["HarmonicTracks"],
    "estimate.estimator": ["HarmonicEstimator"],
    "estimate.fit": ["fit_note"],
    "estimate.harmonics": ["fit_harmonics", "HarmonicFit"],
    "resynth": ["shift_pitch", "stretch_time", "scale_harmonics", "morph_tracks"],
    "formats": ["read_tracks", "write_tracks"],
    "audio": ["read_audio", "read_blocks", "write_wav"],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = ["__version__", *_HOME_OF]


def __getattr__(name):
    if name not in _HOME_OF:
        raise AttributeError(f"module 'spectralot' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted(__all__)

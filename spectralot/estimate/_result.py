"""What needs the whole recording: voicing, silence, phases; then the result itself.

Names: T frames, H harmonics.
"""

import numpy as np
from scipy.ndimage import uniform_filter1d

from .._version import __version__
from ..cpu import warp
from ..tracks import HarmonicTracks
from . import _voicing as voicing


def joined_chunks(parts):
    """One array a field; the chunks are given up on the way."""
    return {name: np.concatenate([part.pop(name) for part in parts]) for name in list(parts[0])}


def tracks_of(stream):
    """Join the chunks and judge what needs the whole recording: voicing, silence, phases."""
    parts, step_s, own = stream.parts, stream.step_s, stream.estimator
    joined = joined_chunks(parts)
    confidence = voicing.confidence(
        voicing_measures(joined, step_s) @ voicing.WEIGHTS.astype(np.float32), step_s
    )
    # against all of the sound: what the decimation leaves of a whistle above it is no sound
    loud = np.percentile(joined["power_of_all"], voicing.LOUD_PERCENTILE)
    silent = joined["power"] <= loud * 10 ** (own.silence_db / 10)
    confidence[silent] = 0.0
    voiced = confidence >= own.voicing_threshold
    voiced &= ~silent
    nearby = 1 + 2 * max(1, round(0.05 / step_s))
    extra = dict(amplitudes=None, phases=None)
    if stream.n_harmonics:
        extra = _partials_result(joined, voiced, stream)
    costs = 1 - np.minimum(joined.pop("saliences"), 1)
    # a Hann bin's power brought to that of all noise in the band of the partials
    noise = joined["noise_power"] * joined["window_s"] * joined["f0_hz"].astype(np.float32) / 3
    return HarmonicTracks(
        time_s=np.arange(len(voiced)) * step_s,
        f0_hz=joined["f0_hz"],
        f0_std_cents=joined["std_cents"],
        confidence=confidence.astype(np.float32),
        voiced=voiced,
        inharmonicity=_stretch(joined, voiced, nearby),
        noise_db=_decibels(noise),
        snr_db=_decibels(0.5 * joined["partial_power"]) - _decibels(noise),
        octave_costs=costs,
        octave_margin=np.delete(costs, 1, axis=1).min(axis=1) - costs[:, 1],
        sample_rate=stream.sample_rate,
        n_samples=stream.n_samples,
        settings=dict(
            version=__version__, method="signal", hop_length=float(stream.hop), fmin=own.fmin,
            fmax=float(stream.candidates.fmax), n_harmonics=own.n_harmonics,
            viterbi=own.viterbi, voicing_threshold=own.voicing_threshold,
            silence_db=own.silence_db, center=own.center,
        ),
        **extra,
    )  # fmt: skip


def _decibels(power):
    return 10 * np.log10(power + np.float32(1e-20))


def voicing_measures(joined, step_s):
    """What `voicing.WEIGHTS` weigh, (T, 7), out of the joined chunks."""
    level_db, partials_db = _decibels(joined["power"]), _decibels(0.5 * joined["partial_power"])
    snr_db = _decibels(joined["partial_power"]) - _decibels(joined["noise_power"])
    return voicing.measures(
        joined["saliences"][:, 1], snr_db, level_db - partials_db, level_db, step_s
    )


def _stretch(joined, voiced, nearby):
    """Inharmonicity B = twice the slope over k^2, averaged nearby; 0 unless it is certain."""
    sure = np.where(voiced & np.isfinite(joined["stretch_std"]), 1.0, 0.0)
    weight = sure / np.maximum(joined["stretch_std"], 1e-9) ** 2
    weight[~np.isfinite(weight)] = 0
    total = nearby * uniform_filter1d(weight, nearby, mode="constant")
    slope = nearby * uniform_filter1d(weight * joined["stretch"], nearby, mode="constant")
    slope /= np.maximum(total, 1e-30)
    # frames of one window are one measurement
    error = np.sqrt(nearby / np.maximum(total, 1e-30))
    certain = (total > 0) & (slope > 4 * error)
    return np.where(certain, np.maximum(2 * slope, 0), 0.0).astype(np.float32)


def _partials_result(joined, voiced, stream):
    """Amplitudes 0 where there is no pitch, phases relative to the synthesizer's."""
    amplitudes, phases, errors = (joined[n] for n in ("amplitudes", "phases", "amplitudes_std"))
    phase = np.empty(len(voiced))
    warp.running_phase(joined["f0_hz"], float(stream.hop), float(stream.sample_rate), phase)
    for array in (amplitudes, phases, errors):
        array[~voiced] = 0
    used = amplitudes.any(axis=0)
    H = max(1, int(used.nonzero()[0].max(initial=0)) + 1)
    if stream.estimator.n_harmonics != "auto":
        H = amplitudes.shape[1]
    for h in range(H):
        turned = phases[:, h] - (h + 1) * phase + 0.5 * np.pi
        phases[:, h] = np.where(voiced, np.remainder(turned + np.pi, 2 * np.pi) - np.pi, 0)
    return dict(amplitudes=amplitudes[:, :H], phases=phases[:, :H], amplitudes_std=errors[:, :H])

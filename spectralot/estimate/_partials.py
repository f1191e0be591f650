"""Amplitude, phase and error of every harmonic, along a refined track, at the full sample rate.

Names: T frames, H harmonics.
"""

import numpy as np

from ..cpu import warp as cpu
from ._refine import HIGHEST, RESPONSE, Warp

CLEAN_DB, NOISY_DB = 25.0, 10.0  # SNR above which two periods do, and below which six are taken


def read_partials(audio, begin, hop, rate, found, own, n_harmonics):
    """Amplitudes, phases at the centre and errors (T, H) of the frames `own` of a track."""
    T = len(found.f0_hz)
    n_periods = np.where(found.snr_db > CLEAN_DB, 2, np.where(found.snr_db > NOISY_DB, 4, 6))
    warped = Warp(audio, begin, hop, rate, found.f0_hz, np.maximum(n_periods, 4))
    outputs = tuple(np.empty((T, n_harmonics), np.float32) for _ in range(3))
    cpu.partials(
        warped.y, warped.centres, n_periods.astype(np.int64), warped.per_period, found.f0_hz,
        HIGHEST * rate, warped.scratch(np.maximum(n_periods, 4)), outputs,
    )  # fmt: skip
    amplitudes, phases, noise = (output[own].copy() for output in outputs)
    f_over_rate = found.f0_hz[own, None] / rate * np.arange(1, n_harmonics + 1)
    amplitudes /= np.maximum(np.interp(f_over_rate, *RESPONSE), 0.5).astype(np.float32)
    # noise beside each partial, over three neighbours, brought from 4 periods to the window's
    power = noise**2
    power = np.stack([power, np.roll(power, 1, axis=1), np.roll(power, -1, axis=1)])
    power[1, :, 0], power[2, :, -1] = power[0, :, 0], power[0, :, -1]
    share = 4 / n_periods[own, None]
    errors = np.sqrt(0.5 * share * power.mean(axis=0))
    return dict(amplitudes=amplitudes, phases=phases, amplitudes_std=errors.astype(np.float32))

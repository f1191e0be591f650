"""Whether a frame has a pitch at all: a few measures, weighed, then smoothed over time.

Derivation: docs/derivations/estimator.md. Names: T frames.
"""

import numpy as np
from scipy.ndimage import maximum_filter1d

from ..cpu import voicing as cpu

# found by `python -m benchmarks.voicing` on sounds made by benchmarks/material.py
MEASURES = ("1", "salience", "snr", "fill", "level", "past", "future")
WEIGHTS = np.array([3.50, 0.94, 5.80, 1.33, 2.87, 1.39, 1.76])
PAST_S, FUTURE_S = 0.2, 0.1
CHANGES_PER_S = 20.0  # between voiced and unvoiced: gaps of two frames are gaps
PRIOR = -0.5  # in nats: what is doubtful is rather not a pitch
FRAME_S = 0.01  # for which the weights were found
LOUD_PERCENTILE = 95.0  # of the level: how loud the recording is


def measures(salience, snr_db, fill_db, level_db, step_s):
    """The measures (T, 7) that `WEIGHTS` weigh (eq. 14).

    `snr_db`: partials over what lies between them; `fill_db`: short-time level over that of the
    partials, far below 0 where a window reaches over the edge of a note.
    """
    past, future = (max(1, round(span / step_s)) for span in (PAST_S, FUTURE_S))
    before = maximum_filter1d(level_db, past + 1, origin=past // 2, mode="nearest")
    after = maximum_filter1d(level_db, future + 1, origin=-(future // 2), mode="nearest")
    loud_db = np.percentile(level_db, LOUD_PERCENTILE)
    return np.stack(
        [
            np.ones_like(level_db),
            np.log(np.maximum(salience, 0.003)),
            np.clip(snr_db, -5, 12) / 10,
            np.clip(fill_db, -20, 0) / 10,
            np.clip(level_db - loud_db, -60, -25) / 20,
            np.clip(level_db - before, -30, 0) / 10,
            np.clip(level_db - after, -30, 0) / 10,
        ],
        axis=1,
    )


def confidence(logits, step_s):
    """Probability (T,) of a pitch, given the whole recording."""
    forward, out = np.empty(len(logits)), np.empty(len(logits))
    change = 0.5 - 0.5 * np.exp(-2 * CHANGES_PER_S * step_s)
    cpu.posterior((logits.astype(np.float64) + PRIOR) * (step_s / FRAME_S), change, forward, out)
    return np.clip(out, 0.0, 1.0)

"""The study of the statistical limit: its bound, its tones, its reading of curves."""

import sys
from pathlib import Path

import naive_harmonics
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import limit


@pytest.mark.parametrize("slope", [False, True])
@pytest.mark.parametrize("f0_hz, count", [(60.0, 8), (61.3, 20), (440.0, 1), (1000.0, 7)])
def test_bound_is_the_oracles(f0_hz, count, slope, rng):
    amplitudes, phases = 0.2 / np.arange(1, count + 1), rng.uniform(0, 6, count)
    expected = naive_harmonics.bound(
        f0_hz, amplitudes, phases, limit.N_SAMPLES, limit.RATE, 0.03, with_slope=slope
    )
    found = limit.bound_hz(f0_hz, amplitudes, phases, 0.03, slope=slope)
    assert found == pytest.approx(expected[0], rel=1e-6)


def test_tones_have_the_snr_asked_for(rng):
    clean, f0_hz, _ = limit.draw(rng, 220, 8, 200, 16000, False)
    assert abs(1200 * np.log2(f0_hz / 220)) <= 50
    noisy, _, bound = limit.draw(rng, 220, 8, -20, 16000, False)
    assert 10 * np.log10(np.mean(noisy**2) / np.mean(clean**2)) == pytest.approx(20.04, abs=0.3)
    assert bound > 1  # cents


def test_an_estimator_at_the_bound_is_seen_there(rng):
    bounds = iter([])

    def estimate(x):  # as good as the bound, and gross below 0 dB
        return next(bounds)

    n = len(limit.SNRS_DB)
    draws = np.random.default_rng(5)
    plan = []
    for snr_db in limit.SNRS_DB:
        for _ in range(30):
            _, f0_hz, bound = limit.draw(draws, 110, 8, snr_db, limit.N_SAMPLES, False)
            cents = bound * rng.standard_normal() + 1200 * (snr_db < 0)
            plan.append((f0_hz * 2 ** (cents / 1200), bound))
    bounds = iter(plan)
    found = limit.curve(estimate, np.random.default_rng(5), 110, 8, limit.N_SAMPLES, 30)
    ratio = np.array(found["rmse_cents"]) / found["bound_cents"]
    assert np.all(np.abs(ratio[2:] - 1) < 0.45) and limit.threshold_db(found) == 0
    assert found["gross"][:2] == [1, 1] and found["gross"][-1] == 0 and len(ratio) == n
    assert np.mean(found["coverage"][2:]) > 0.9 and found["coverage"][0] < 0.1
    assert limit.threshold_db({"rmse_cents": [9.0] * n, "bound_cents": [1.0] * n}) is None

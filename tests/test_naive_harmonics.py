"""The oracle of harmonic fits, against formulas and against its own statistics."""

import naive_harmonics as naive
import numpy as np
import pytest

RATE, N = 16000, 1024
AMPLITUDES = 0.3 / np.arange(1, 6)


@pytest.fixture
def phases(rng):
    return rng.uniform(-np.pi, np.pi, len(AMPLITUDES))


def test_a_clean_tone_is_found_exactly(phases):
    x = naive.tone(221.3, AMPLITUDES, phases, N, RATE, slope=300.0)
    found = naive.fit(x, RATE, 220.0, len(AMPLITUDES), slope=0.0)
    assert found["f0"] == pytest.approx(221.3, rel=1e-9)
    assert found["slope"] == pytest.approx(300.0, rel=1e-7)
    np.testing.assert_allclose(found["amplitudes"], AMPLITUDES, rtol=1e-7)
    np.testing.assert_allclose(found["phases"], phases, atol=1e-6)
    assert found["noise_rms"] < 1e-9


def test_derivatives_are_those_of_the_tone(phases):
    at = np.concatenate([[221.3, 200.0], AMPLITUDES, phases])
    h = len(AMPLITUDES)

    def play(p):
        return naive.tone(p[0], p[2 : 2 + h], p[2 + h :], N, RATE, slope=p[1])

    exact = naive.derivatives(221.3, AMPLITUDES, phases, N, RATE, 200.0, True)
    for k in range(len(at)):
        step = 1e-5 * max(abs(at[k]), 1) * (np.arange(len(at)) == k)
        difference = (play(at + step) - play(at - step)) / (2 * step[k])
        np.testing.assert_allclose(exact[:, k], difference, atol=1e-6 * np.abs(difference).max())


def test_bound_is_the_asymptotic_one_where_periods_are_many(phases):
    std = naive.bound(700.0, AMPLITUDES, phases, N, RATE, 0.05)
    sums = np.sum((np.arange(1, 6) * AMPLITUDES) ** 2)
    expected = np.sqrt(24 * 0.05**2 / (N * (N**2 - 1) * sums)) * RATE / (2 * np.pi)
    assert std[0] == pytest.approx(expected, rel=0.02)
    np.testing.assert_allclose(std[1:6], 0.05 * np.sqrt(2 / N), rtol=0.02)
    # the slope is even about the middle of the frame, so it costs f0 next to nothing
    with_slope = naive.bound(700.0, AMPLITUDES, phases, N, RATE, 0.05, with_slope=True)
    assert with_slope[0] == pytest.approx(std[0], rel=0.02)


def test_errors_spread_as_the_bound_says(rng, phases):
    x = naive.tone(110.0, AMPLITUDES, phases, N, RATE)
    fits = [
        naive.fit(x + 0.02 * rng.standard_normal(N), RATE, 110.2, 5, iterations=5)
        for _ in range(150)
    ]
    std = naive.bound(110.0, AMPLITUDES, phases, N, RATE, 0.02)
    spread = np.sqrt(np.mean([(f["f0"] - 110.0) ** 2 for f in fits]))
    assert 0.85 < spread / std[0] < 1.15
    assert np.mean([f["f0_std"] for f in fits]) == pytest.approx(std[0], rel=0.03)
    assert np.mean([f["noise_rms"] for f in fits]) == pytest.approx(0.02, rel=0.02)


def test_search_finds_the_octave(rng, phases):
    x = naive.tone(160.0, AMPLITUDES, phases, 512, 8000) + 0.05 * rng.standard_normal(512)
    assert naive.search(x, 8000, 5, 100, 400, 0.5) == pytest.approx(160, abs=1)

"""Voiced or not: the probability against a sum over all courses, the measures on plain cases."""

import naive_estimator as naive
import numpy as np
import pytest

from spectralot.cpu import voicing as cpu
from spectralot.estimate import _voicing as voicing


def posterior(logits, change):
    logits = np.asarray(logits, np.float64)
    forward, out = np.empty(len(logits)), np.empty(len(logits))
    cpu.posterior(logits, change, forward, out)
    return out


@pytest.mark.parametrize("change", [0.0001, 0.02, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("T", [1, 2, 9])
def test_probability_is_that_of_all_courses(T, change, rng):
    logits = 3 * rng.standard_normal(T)
    np.testing.assert_allclose(
        posterior(logits, change), naive.posterior(logits, change), rtol=1e-9
    )


def test_frames_that_tell_nothing_of_each_other(rng):
    logits = rng.standard_normal(50)
    np.testing.assert_allclose(posterior(logits, 0.5), 1 / (1 + np.exp(-logits)))


@pytest.mark.parametrize("level", [-1e4, -30.0, 0.0, 30.0, 1e4])
def test_hours_do_not_underflow(level):
    found = posterior(np.full(400_000, level), 0.04)
    assert np.isfinite(found).all()
    assert ((found >= 0) & (found <= 1)).all()
    np.testing.assert_allclose(found[1000:-1000], {-1: 0, 0: 0.5, 1: 1}[np.sign(level)], atol=1e-6)


def test_a_single_frame_does_not_break_a_note():
    logits = np.full(60, 3.0)
    logits[30] = -4.0
    assert (posterior(logits, 0.02) > 0.5).all()
    logits[20:45] = -4.0
    np.testing.assert_array_equal(posterior(logits, 0.02) < 0.5, logits < 0)


@pytest.mark.parametrize("step_s", [0.0025, 0.005, 0.02])
def test_confidence_does_not_depend_on_the_step(step_s):
    """A note of 0.4 s, looked at in steps of any size: the same at the same times."""

    def looked_at(step_s):
        time_s = np.arange(0, 1.0, step_s)
        logits = np.where((time_s > 0.3) & (time_s < 0.7), 1.5, -1.5)
        return time_s, voicing.confidence(logits, step_s)

    time_s, found = looked_at(step_s)
    expected = np.interp(time_s, *looked_at(0.01))
    assert ((found >= 0) & (found <= 1)).all()
    clear = np.abs(np.abs(time_s - 0.5) - 0.2) > 0.02
    np.testing.assert_allclose(found[clear], expected[clear], atol=0.12)


def test_every_measure_speaks_for_pitch(rng):
    """More salience, more of the partials, a louder frame: none makes it less likely."""
    assert (voicing.WEIGHTS[1:] > 0).all()
    assert len(voicing.WEIGHTS) == len(voicing.MEASURES)
    T = 80
    level = rng.uniform(-50, -10, T)
    salience, snr, fill = rng.uniform(0, 1, T), rng.uniform(-5, 12, T), rng.uniform(-20, 0, T)
    found = voicing.measures(salience, snr, fill, level, 0.01)
    assert found.shape == (T, len(voicing.WEIGHTS))
    assert np.isfinite(found).all()
    better = voicing.measures(salience + 0.1, snr + 1, fill + 1, level, 0.01)
    assert (better @ voicing.WEIGHTS >= found @ voicing.WEIGHTS).all()


def test_measures_do_not_depend_on_the_level(rng):
    level = rng.uniform(-50, -10, 80)
    rest = rng.uniform(0, 1, 80), rng.uniform(-5, 12, 80), rng.uniform(-20, 0, 80)
    quiet = voicing.measures(*rest, level - 60, 0.01)
    np.testing.assert_allclose(quiet, voicing.measures(*rest, level, 0.01), atol=1e-12)


def test_tails_and_beginnings_are_told_by_the_frames_around():
    """A frame 20 dB below those just before it: the room; below those to come: an attack."""
    level = np.full(100, -20.0)
    level[50:] = -40.0
    flat = np.zeros(100)
    found = dict(
        zip(voicing.MEASURES, voicing.measures(flat, flat, flat, level, 0.01).T, strict=True)
    )
    past, future = found["past"], found["future"]
    assert past[52] == pytest.approx(-2.0) and past[49] == 0
    assert past[90] == 0
    assert not future.any()
    again = dict(
        zip(voicing.MEASURES, voicing.measures(flat, flat, flat, level[::-1], 0.01).T, strict=True)
    )
    assert not again["past"].any()
    assert again["future"][47] == pytest.approx(-2.0) and again["future"][50] == 0


def test_silence_is_finite():
    level = np.full(20, -140.0)
    found = voicing.measures(np.zeros(20), np.zeros(20), np.zeros(20), level, 0.01)
    assert np.isfinite(found).all()

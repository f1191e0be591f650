"""Octaves over whole notes: what has faded is still there, what breaks off is gone."""

import numpy as np
import pytest

from spectralot.estimate import _octaves as octaves

RATE, HOP, STEP_S = 14700, 147.0, 0.01
T = 150
LEAP = 60  # frame
FMAX = 5000.0


def sound(f0, levels, noise=1e-4, seed=0):
    """Partials of f0 with amplitudes (N, H) over white noise."""
    n, n_harmonics = levels.shape
    t = np.arange(n) / RATE
    rng = np.random.default_rng(seed)
    phases = rng.uniform(0, 2 * np.pi, n_harmonics)
    h = np.arange(1, n_harmonics + 1)
    angle = 2 * np.pi * f0 * np.outer(t, h) + phases
    return ((levels * np.sin(angle)).sum(axis=1) + noise * rng.standard_normal(n)).astype(
        np.float32
    )


def time_s():
    return np.arange(int((T - 1) * HOP) + 1) / RATE


def partials(odd, even, n_harmonics=10):
    """Levels (N, H) of 1 / h from those of odd and even partials over time."""
    h = np.arange(1, n_harmonics + 1)
    return np.where(h % 2, odd[:, None], even[:, None]) * 0.3 / h


def settle(x, f0_hz, first=0, fmax=FMAX):
    return octaves.settle(x, 0.0, HOP, RATE, f0_hz, first, STEP_S, 20.0, fmax)


def leaping(f0, ratio=2.0):
    f0_hz = np.full(T, f0)
    f0_hz[LEAP:] *= ratio
    return f0_hz


def test_odd_partials_that_fade_are_still_there():
    """A plucked string, whose odd partials decay faster: the track leapt, the note did not."""
    t = time_s()
    x = sound(110.0, partials(np.exp(-4.0 * t), np.exp(-1.5 * t)))
    raw = leaping(110.0)
    before = raw.copy()
    np.testing.assert_allclose(settle(x, raw), 110.0)
    np.testing.assert_array_equal(raw, before)  # the track that was given stays as it is


def test_odd_partials_that_break_off_are_gone():
    """A true leap by an octave, legato: the odd partials end within a frame or two."""
    t = time_s()
    odd = 1 / (1 + np.exp((t - LEAP * STEP_S) / 0.002))
    x = sound(110.0, partials(odd, np.ones_like(t)))
    np.testing.assert_allclose(settle(x, leaping(110.0)), leaping(110.0))


def test_a_new_note_an_octave_higher_stays_one():
    """Plucked anew: it is louder than what was before."""
    t, at = time_s(), LEAP * STEP_S
    low = sound(110.0, partials(*[np.exp(-3 * t)] * 2))
    high = sound(220.0, partials(*[np.where(t > at, np.exp(-3 * (t - at)), 0)] * 2, 5))
    np.testing.assert_allclose(settle(low + high, leaping(110.0)), leaping(110.0))


def test_an_attack_does_not_drag_the_note_down():
    """A few frames of noise in which the track lay an octave lower."""
    t = time_s()
    attack = 0.2 * np.exp(-(((t - 0.02) / 0.02) ** 2))
    noise = np.random.default_rng(3).standard_normal(len(t)) * attack
    x = sound(220.0, partials(*[np.exp(-1.5 * t)] * 2)) + noise.astype(np.float32)
    raw = np.full(T, 220.0)
    raw[:5] = 110.0
    np.testing.assert_allclose(settle(x, raw)[5:], 220.0)


def test_a_leap_down_into_what_was_always_there():
    """The track began an octave too high: the odd partials were there from the first frame."""
    t = time_s()
    x = sound(110.0, partials(np.exp(-1.5 * t), np.exp(-2.5 * t)))
    np.testing.assert_allclose(settle(x, leaping(220.0, 0.5)), 110.0)


def test_a_leap_down_to_partials_that_appear_is_kept():
    t = time_s()
    odd = 1 / (1 + np.exp(-(t - LEAP * STEP_S) / 0.002))
    x = sound(110.0, partials(odd, np.ones_like(t)))
    np.testing.assert_allclose(settle(x, leaping(220.0, 0.5)), leaping(220.0, 0.5))


def test_a_twelfth_is_settled_like_an_octave():
    t = time_s()
    h = np.arange(1, 13)
    levels = 0.3 / h * np.where(h % 3, np.exp(-4 * t)[:, None], np.exp(-1.5 * t)[:, None])
    x = sound(110.0, levels)
    np.testing.assert_allclose(settle(x, leaping(110.0, 3.0)), 110.0)


@pytest.mark.parametrize("ratio", [1.5, 1.9, 2.4, 5.0])
def test_other_intervals_are_left_alone(ratio):
    t = time_s()
    x = sound(110.0, partials(np.exp(-4.0 * t), np.exp(-1.5 * t)))
    np.testing.assert_array_equal(settle(x, leaping(110.0, ratio)), leaping(110.0, ratio))


@pytest.mark.parametrize("ratio", [2.0, 3.0])
def test_a_note_whose_own_partials_are_never_there_is_raised(ratio):
    x = sound(110.0 * ratio, partials(*[np.ones(len(time_s()))] * 2), noise=0.01)
    np.testing.assert_allclose(settle(x, np.full(T, 110.0)), 110.0 * ratio)
    # but not above what was asked for, nor where it is too short to tell
    kept = settle(x, np.full(T, 110.0), fmax=110.0 * ratio - 1)
    assert (kept < 110.0 * ratio - 1).all()
    short = np.full(T, 110.0 * ratio)
    short[70:75] = 110.0
    np.testing.assert_array_equal(settle(x, short)[70:75], 110.0)


def test_a_weak_fundamental_is_no_reason_to_leave():
    levels = partials(*[np.ones(len(time_s()))] * 2)
    levels[:, 0] = 0
    np.testing.assert_allclose(settle(sound(110.0, levels), np.full(T, 110.0)), 110.0)


def test_frames_before_the_first_are_as_they_were():
    t = time_s()
    x = sound(110.0, partials(np.exp(-4.0 * t), np.exp(-1.5 * t)))
    raw = np.full(T, 110.0)
    raw[20:40] = raw[90:] = 220.0
    found = settle(x, raw, first=50)
    np.testing.assert_array_equal(found[:50], raw[:50])
    np.testing.assert_allclose(found[50:], 110.0)


def test_notes_are_the_stretches_between_leaps():
    f0_hz = np.array([100, 101, 102, 204, 205, 100, 300, 301.0])
    starts, ends = octaves.notes(f0_hz)
    np.testing.assert_array_equal(starts, [0, 3, 5, 6])
    np.testing.assert_array_equal(ends, [2, 4, 5, 7])
    starts, ends = octaves.notes(np.array([100.0]))
    assert (starts, ends) == ([0], [0])


def test_same_bits_for_one_and_two_threads(with_threads):
    t = time_s()
    x = sound(110.0, partials(np.exp(-4.0 * t), np.exp(-1.5 * t)), noise=0.01)
    one, two = (with_threads(n, settle, x, leaping(110.0)) for n in (1, 2))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(("odd", "found"), [(0.3, 110.0), (0.02, 220.0)])
def test_odd_partials_of_half_of_f0_decide_by_how_strong_they_are(odd, found):
    """At -10 dB they belong to the sound, at -34 dB they are a subharmonic of the octave above."""
    x = sound(110.0, partials(np.full(len(time_s()), odd), np.ones(len(time_s()))))
    np.testing.assert_allclose(settle(x, np.full(T, 220.0)), found)


@pytest.mark.parametrize(("left", "expected"), [(0.4, 1.0), (0.1, 2.0)])
def test_how_far_odd_partials_fall_decides(left, expected):
    """By 8 dB at once they have faded, by 20 dB they have broken off, noise or no noise."""
    t = time_s()
    odd = left + (1 - left) / (1 + np.exp((t - LEAP * STEP_S) / 0.002))
    x = sound(110.0, partials(0.3 * odd, np.ones_like(t)), noise=1e-5)
    found = settle(x, leaping(110.0))
    np.testing.assert_allclose(found[:LEAP], 110.0)
    np.testing.assert_allclose(found[LEAP:], 110.0 * expected)


@pytest.mark.parametrize(("before", "expected"), [(0.15, 1.0), (0.03, 2.0)])
def test_how_far_odd_partials_rise_decides(before, expected):
    """At a leap downwards: 2 dB more of them is the same note, 16 dB is another."""
    t = time_s()
    odd = before + (0.19 - before) / (1 + np.exp(-(t - LEAP * STEP_S) / 0.002))
    x = sound(110.0, partials(odd, np.ones_like(t)), noise=1e-5)
    found = settle(x, leaping(220.0, 0.5))
    np.testing.assert_allclose(found[:LEAP], 110.0 * expected)
    np.testing.assert_allclose(found[LEAP:], 110.0)

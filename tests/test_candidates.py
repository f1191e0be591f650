"""Salience, noise floors and the track against plain loops, and what they are meant to do."""

import naive_estimator as naive
import numpy as np
import pytest

from spectralot.cpu import candidates as cpu
from spectralot.estimate import _candidates as module
from spectralot.estimate._candidates import Candidates

RATE = 8000


def tone(f0, n, rate=RATE, n_harmonics=10):
    t = np.arange(n) / rate
    partials = range(1, 1 + min(n_harmonics, int(0.45 * rate / f0)))
    return sum(np.sin(2 * np.pi * h * f0 * t + h * h) / h for h in partials)


@pytest.fixture(scope="module")
def found():
    """Candidates of a sound of tone and noise, noise floors on the axis, centres, salience."""
    rng = np.random.default_rng(5)
    x = (0.1 * tone(180.0, 4000) + 0.02 * rng.standard_normal(4000)).astype(np.float32)
    candidates = Candidates(RATE, 60.0, 900.0)
    centres = np.array([0, 700, 1999, 2500, 3990])
    noise = candidates.floor.on_axis(candidates.floor.rows(x, centres))
    return candidates, x, centres, noise, candidates.salience(x, 0, centres, noise)


def test_salience_matches_the_loops(found, full_scale_error):
    candidates, x, centres, noise, salience = found
    step = module.ERB_STEP
    n_axis = noise.shape[1]
    axis_hz = [naive.erb_hz(naive.erb_number(12.0) + step * i) for i in range(n_axis)]
    assert naive.erb_hz(naive.erb_number(12.0) + step * n_axis) >= candidates.top - 1e-6
    f0_hz = candidates.f0_hz
    for t, centre in enumerate(centres):
        sums, correlations = np.zeros(len(f0_hz)), np.zeros(len(f0_hz))
        for j in range(module.WINDOWS):
            length = round(max(module.PERIODS / (module.BASE_HZ * 2**j), module.SHORTEST_S) * RATE)
            window = naive.hann(length)
            place = np.clip(np.log2(f0_hz / module.BASE_HZ), 0, module.WINDOWS - 1)
            share = np.maximum(1 - np.abs(place - j), 0)
            if not share.any():
                continue
            n_fft = next(w.n_fft for w in candidates.bank if len(w.window) == length)
            n_bins = min(int(candidates.top / (RATE / n_fft)) + 2, n_fft // 2 + 1)
            row = naive.frame(x, centre - length // 2, window)
            magnitude = naive.magnitudes(row, n_fft, n_bins)
            level = module.SUPPRESSION * np.sqrt(np.sum(window**2)) * noise[t].astype(float)
            loudness = naive.specific_loudness(magnitude, RATE / n_fft, axis_hz, level)
            for c in np.flatnonzero(share)[::7]:
                kernel = naive.harmonic_kernel(axis_hz, f0_hz[c], module.DECAY)
                sums[c] += share[c] * np.dot(kernel, loudness)
            for c in np.flatnonzero(share):
                lag = RATE / f0_hz[c]
                correlations[c] += share[c] * naive.correlation(magnitude, n_fft, lag, window)
        some = np.flatnonzero(sums)
        expected = np.maximum(sums, 0) * naive.less_ridge(correlations)
        assert len(some) > 20
        np.testing.assert_allclose(salience[t, some], expected[some], atol=0.004)


def test_salience_peaks_at_the_pitch(found):
    candidates, _, _, _, salience = found
    for row in salience[1:4]:
        off = 1200 * np.log2(candidates.f0_hz[row.argmax()] / 180.0)
        assert abs(off) <= module.STEP_CENTS
        assert 0.3 < row.max() <= 1.0


@pytest.mark.parametrize("f0", [27.5, 55.0, 440.0, 1760.0, 3520.0])
def test_every_octave_is_resolved(f0):
    candidates, rate = Candidates(16000, 25.0, 5000.0), 16000
    x = tone(f0, 8000, rate, 20).astype(np.float32)
    noise = np.full((1, len(candidates.bank[0].axis[0])), 1e-7, np.float32)
    row = candidates.salience(x, 0, np.array([4000]), noise)[0]
    assert abs(1200 * np.log2(candidates.f0_hz[row.argmax()] / f0)) <= 1.5 * module.STEP_CENTS


def test_salience_of_a_part_is_that_of_the_whole(found):
    candidates, x, centres, noise, salience = found
    part = candidates.salience(x[900:], 900, centres[2:4], noise[2:4])
    np.testing.assert_array_equal(part, salience[2:4])


def test_salience_of_silence_is_zero(found):
    candidates, x, centres, noise, _ = found
    assert not candidates.salience(0 * x, 0, centres, noise).any()


def test_salience_does_not_depend_on_the_level(found):
    candidates, x, centres, noise, salience = found
    louder = candidates.salience(1000 * x, 0, centres, 1000 * noise)
    np.testing.assert_allclose(louder, salience, atol=1e-4)


def test_only_what_rises_again_tells_a_period(rng):
    sums = rng.uniform(-0.2, 1, (6, 90)).astype(np.float32)
    correlations = rng.uniform(-0.3, 1.1, (6, 90)).astype(np.float32)
    correlations[:, 60:] = np.linspace(0.3, 1.0, 30)  # the ridge at short lags
    correlations[3:] = 0.5 + 0.5 * np.abs(correlations[3:])  # never a dip to 0
    expected = np.maximum(sums, 0) * [naive.less_ridge(row) for row in correlations]
    found = sums.copy()
    cpu.combine(found, correlations)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert not found[:, 60:].any() and found[:, :60].any(axis=1).all()


def test_noise_floor_is_the_rank_of_the_picked_bins(rng):
    x = rng.standard_normal(3000).astype(np.float32)
    floor = Candidates(RATE, 60.0, 900.0).floor
    centres = np.array([0, 1500, 2999])
    rows = floor.rows(x, centres)
    for t, centre in enumerate(centres):
        start = centre - len(floor.window) // 2
        row = naive.frame(x, start, floor.window.astype(np.float64))
        magnitude = naive.magnitudes(row, floor.n_fft, floor.n_fft // 2 + 1)
        expected = [np.sort(magnitude[bins])[module.FLOOR_RANK] for bins in floor.picked]
        np.testing.assert_allclose(rows[t], expected, rtol=1e-4, atol=1e-6)


def test_noise_floor_lies_between_partials(rng):
    """30 dB of harmonics hardly raise the floor, but noise does in proportion."""
    n, noise = 16000, rng.standard_normal(16000)
    floor = Candidates(RATE, 60.0, 900.0).floor
    centres = np.arange(1000, 15000, 640)

    def level(x):
        return np.median(floor.over_time(floor.rows(x.astype(np.float32), centres)))

    alone = level(0.01 * noise)
    assert level(0.1 * noise) == pytest.approx(10 * alone, rel=1e-3)
    assert level(0.01 * noise + 0.5 * tone(300.0, n)) < 2 * alone


@pytest.mark.parametrize("seed", range(6))
def test_track_is_the_best_of_all_paths(seed):
    """On real numbers, and on whole ones, where many paths are equally good."""
    rng = np.random.default_rng(seed)
    rewards = rng.random((30, 17)) if seed % 2 else rng.integers(0, 3, (30, 17))
    rewards = rewards.astype(np.float32)
    for move, jump in ((0.1, 0.55), (0.5, 1.0), (1.0, 1e9), (0.0, 0.0), (0.25, 0.25)):
        pointers = np.empty(rewards.shape, np.int16)
        best, moved = np.zeros(17), np.empty((2, 17))
        cpu.viterbi(rewards[:11], move, jump, pointers[:11], best, moved)
        cpu.viterbi(rewards[11:], move, jump, pointers[11:], best, moved)
        path = np.empty(len(rewards), np.int64)
        cpu.trace(pointers, int(best.argmax()), path)
        _, score = naive.viterbi(rewards, move, jump)
        assert naive.path_score(rewards, path, move, jump) == pytest.approx(score, abs=1e-5)


def test_track_goes_on_where_the_frames_are_silent():
    rewards = np.zeros((40, 25), np.float32)
    rewards[:15, 8] = rewards[25:, 8] = 1.0
    rewards[18:20, 20] = 0.3  # not worth the leap
    pointers, best = np.empty(rewards.shape, np.int16), np.zeros(25)
    cpu.viterbi(rewards, 0.05, 0.5, pointers, best, np.empty((2, 25)))
    path = np.empty(40, np.int64)
    cpu.trace(pointers, int(best.argmax()), path)
    assert (path == 8).all()


def test_costs_of_long_tracks_stay_exact():
    """Paths are compared with the best one, not with zero: an hour later nothing is rounded."""
    rewards = np.tile(np.linspace(0, 1, 9, dtype=np.float32), (100_000, 1))
    pointers, best = np.empty(rewards.shape, np.int16), np.zeros(9)
    cpu.viterbi(rewards, 0.1, 1.0, pointers, best, np.empty((2, 9)))
    assert np.abs(best).max() < 3
    assert best.argmax() == 8


def test_decimation_is_a_filter(rng):
    x = rng.standard_normal(500).astype(np.float32)
    taps = rng.standard_normal(37).astype(np.float32)
    y = np.empty((500 - 37) // 3 + 1, np.float32)
    cpu.decimate(x, taps, 3, y)
    expected = [np.dot(x[m * 3 : m * 3 + 37].astype(float), taps) for m in range(len(y))]
    np.testing.assert_allclose(y, expected, atol=2e-5)


def test_same_bits_for_one_and_two_threads(found, with_threads):
    candidates, x, centres, noise, salience = found
    taps = np.ones(25, np.float32)
    for threads in (1, 2):
        other = with_threads(threads, candidates.salience, x, 0, centres, noise)
        np.testing.assert_array_equal(other, salience)
        rows = with_threads(threads, candidates.floor.rows, x, centres)
        np.testing.assert_array_equal(candidates.floor.on_axis(rows), noise)
        y = np.empty(400, np.float32)
        with_threads(threads, cpu.decimate, x, taps, 2, y)
        expected = np.empty(400, np.float32)
        with_threads(1, cpu.decimate, x, taps, 2, expected)
        np.testing.assert_array_equal(y, expected)

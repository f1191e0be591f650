"""Partials along a moving f0 against plain sums, and on tones whose every number is known."""

import naive_estimator as naive
import numpy as np
import pytest

from spectralot.cpu import warp as cpu
from spectralot.estimate._partials import read_partials
from spectralot.estimate._refine import HIGHEST, TABLE, Warp, measure, refine
from spectralot.synth import harmonic_forward

RATE, HOP = 16000, 160.0
STEP_S = HOP / RATE


def glide(T, low=200.0, octaves=0.5):
    return low * 2 ** (octaves * np.linspace(0, 1, T))


def vibrato(T, f0=220.0, cents=40.0, rate_hz=5.5):
    return f0 * 2 ** (cents / 1200 * np.sin(2 * np.pi * rate_hz * np.arange(T) * STEP_S))


def voice(f0_hz, n_harmonics=8, rate=RATE, hop=HOP, inharmonicity=None):
    """Partials 0.3 / h along f0; frame t stands at sample t hop, as the estimator has it."""
    T = len(f0_hz)
    x, _ = harmonic_forward(
        f0_hz, np.tile(0.3 / np.arange(1, n_harmonics + 1), (T, 1)), hop_length=hop,
        n_samples=int((T - 1) * hop) + 1, sample_rate=rate, inharmonicity=inharmonicity,
    )  # fmt: skip
    return x.astype(np.float32)


def cents(found, expected):
    return 1200 * np.log2(found / expected)


TRACKS = {"steady": np.full(60, 311.1), "glide": glide(60), "vibrato": vibrato(60)}


@pytest.mark.parametrize("name", TRACKS)
def test_samples_lie_at_equal_steps_of_phase(name):
    f0_hz = TRACKS[name]
    n_periods = np.full(len(f0_hz), 4)
    warp_grid = (HOP, 0.0, float(RATE))
    segments = np.array([[0, len(f0_hz) - 1, 64, 0]])
    cycles, centres = np.empty(len(f0_hz)), np.empty(len(f0_hz))
    total = cpu.layout(f0_hz, n_periods, warp_grid, segments, cycles, centres)
    places = np.empty(total)
    cpu.positions(f0_hz, warp_grid, segments, cycles, centres, places)
    frames = np.arange(len(f0_hz)) * HOP
    np.testing.assert_allclose(naive.cycles_at(f0_hz, HOP, RATE, frames), cycles, atol=1e-6)
    inside = (places >= 0) & (places <= frames[-1])
    expected = cycles[0] + (np.arange(total)[inside] - centres[0]) / 64
    found = naive.cycles_at(f0_hz, HOP, RATE, places[inside])
    np.testing.assert_allclose(found, expected, atol=2e-5)
    # steady before the first frame and after the last, as far as windows reach
    np.testing.assert_allclose(np.diff(places[~inside & (places < 0)]), RATE / f0_hz[0] / 64)
    np.testing.assert_allclose(np.diff(places[places > frames[-1]]), RATE / f0_hz[-1] / 64)
    assert (np.diff(places) > 0).all()
    assert centres.min() >= 2 * 64 and centres.max() <= total - 2 * 64
    np.testing.assert_allclose(
        np.interp(centres, np.arange(total), places), frames, atol=1e-3
    )  # a frame's centre is the frame


def test_segments_do_not_overlap():
    f0_hz = np.concatenate([np.full(20, 100.0), np.full(1, 400.0), np.full(30, 230.0)])
    n_periods = np.full(51, 6)
    warp = Warp(np.zeros(9000, np.float32), 0.0, HOP, RATE, f0_hz, n_periods)
    for t in range(51):
        reach = 3 * warp.per_period[t]
        same = f0_hz == f0_hz[t]
        others = warp.centres[~same]
        gap = np.abs(others - warp.centres[t]) - 3 * warp.per_period[~same]
        assert (gap >= reach - 1).all()
    assert warp.centres.min() >= 3 * warp.per_period[0]
    assert len(warp.y) - warp.centres.max() >= 3 * warp.per_period[-1]


@pytest.mark.parametrize(("highest", "error_db"), [(0.25, -85), (0.3, -75), (0.35, -50)])
def test_interpolation_of_band_limited_noise(highest, error_db, rng):
    """The sum of many sines is known between samples, too."""
    frequencies = rng.uniform(0, highest, 60)
    phases = rng.uniform(0, 2 * np.pi, 60)

    def at(places):
        return np.sin(2 * np.pi * np.outer(places, frequencies) + phases).sum(axis=1)

    places = np.sort(rng.uniform(cpu.HALF, 999 - cpu.HALF, 3000))
    y = np.empty(len(places), np.float32)
    cpu.interpolate(at(np.arange(1000)).astype(np.float32), places, TABLE, y)
    error = y - at(places)
    assert 10 * np.log10(np.mean(error**2) / np.mean(at(places) ** 2)) < error_db


def test_there_is_nothing_beyond_the_sound():
    x = np.ones(100, np.float32)
    y = np.empty(5, np.float32)
    cpu.interpolate(x, np.array([-1e6, -0.5, 50.25, 99.5, 1e6]), TABLE, y)
    np.testing.assert_allclose(y, [0, 0, 1, 0, 0], atol=1e-4)


@pytest.mark.parametrize("name", TRACKS)
def test_measures_match_plain_sums(name):
    f0_hz = TRACKS[name]
    rng = np.random.default_rng(1)
    x = voice(f0_hz * 1.003)
    x += 0.003 * rng.standard_normal(len(x)).astype(np.float32)
    periods, K = 6, 5
    n_periods = np.full(len(f0_hz), periods)
    warp = Warp(x, 0.0, HOP, RATE, f0_hz, n_periods)
    M = int(warp.per_period[0])
    assert (warp.per_period == M).all()
    assert M >= RATE / f0_hz.min()
    T = len(f0_hz)
    outputs = np.empty(T), np.empty((T, K)), np.empty((T, K + 1)), np.empty((T, 7))
    cpu.measure(
        warp.y, warp.centres, n_periods, warp.per_period, f0_hz, HIGHEST * RATE,
        warp.scratch(n_periods), outputs,
    )  # fmt: skip
    error_hz, amplitudes, between, sums = outputs
    for t in range(8, T - 8, 11):
        where = (warp.y, round(warp.centres[t]), periods, M)
        own = [naive.projection(*where, k)[0] for k in range(1, K + 1)]
        beside = [naive.projection(*where, k + 0.5)[0] for k in range(K + 1)]
        np.testing.assert_allclose(amplitudes[t], own, rtol=2e-5)
        np.testing.assert_allclose(between[t], beside, rtol=1e-3, atol=1e-7)
        off = np.array([naive.offset_hz(*where, k, f0_hz[t]) for k in range(1, K + 1)])
        k = np.arange(1, K + 1)
        noise = 0.5 * (np.square(beside[:-1]) + np.square(beside[1:]))
        weight = k * own * (1 - noise / np.square(own))
        assert error_hz[t] == pytest.approx(np.dot(weight, off / k) / weight.sum(), rel=1e-4)
        sure = np.square(own) * k**2 / noise
        expected = [
            weight.sum(), np.sum((weight / k) ** 2 * noise / np.square(own)), sure.sum(),
            np.dot(sure, k**2), np.dot(sure, k**4), np.dot(sure, off / (k * f0_hz[t])),
            np.dot(sure, off * k / f0_hz[t]),
        ]  # fmt: skip
        np.testing.assert_allclose(sums[t], expected, rtol=3e-3)


@pytest.mark.parametrize("name", TRACKS)
def test_amplitudes_and_phases_along_the_true_track_are_exact(name):
    f0_hz = TRACKS[name]
    x = voice(f0_hz)
    expected = 0.3 / np.arange(1, 9)
    inner = slice(6, -6)
    amplitudes, between = measure(x, 0.0, HOP, RATE, f0_hz)
    np.testing.assert_allclose(amplitudes[inner, :8], np.tile(expected, (48, 1)), rtol=2e-4)
    assert between[inner].max() < 3e-5

    found = refine(x, 0.0, HOP, RATE, f0_hz, STEP_S)
    parts = read_partials(x, 0.0, HOP, RATE, found, slice(None), 8)
    np.testing.assert_allclose(parts["amplitudes"][inner], np.tile(expected, (48, 1)), rtol=5e-4)
    h = np.arange(1, 9)
    running = naive.running_phase(f0_hz, HOP, RATE)
    turned = parts["phases"] - h * running[:, None] + 0.5 * np.pi
    turned = np.remainder(turned[inner] + np.pi, 2 * np.pi) - np.pi
    assert np.abs(turned).max() < 0.01


@pytest.mark.parametrize(("name", "bound"), [("steady", 0.05), ("glide", 0.5), ("vibrato", 0.5)])
def test_f0_is_found_from_a_track_beside_it(name, bound):
    f0_hz = TRACKS[name]
    found = refine(voice(f0_hz), 0.0, HOP, RATE, f0_hz * 2 ** (15 / 1200), STEP_S)
    error = cents(found.f0_hz, f0_hz)[10:-10]
    assert np.abs(error).max() < bound
    assert (found.snr_db[10:-10] > 25).all()


def test_partials_move_f0_by_so_much_and_no_more():
    found = refine(voice(np.full(60, 311.1)), 0.0, HOP, RATE, np.full(60, 350.0), STEP_S)
    assert np.abs(cents(found.f0_hz, 350.0)).max() < 60.5


@pytest.mark.parametrize("stretch", [0.0, 1e-4, 4e-4])
def test_sums_of_inharmonicity(stretch):
    """The slope of the partials' deviations over k^2 is B / 2 (small B)."""
    T, f0 = 60, 180.0
    x = voice(np.full(T, f0), inharmonicity=stretch)
    rng = np.random.default_rng(0)
    x += 1e-4 * rng.standard_normal(len(x)).astype(np.float32)
    sums = refine(x, 0.0, HOP, RATE, np.full(T, f0), STEP_S).inharmonicity_sums
    weight, k2, k4, part, part_k2 = sums[10:-10].T
    slope = (weight * part_k2 - k2 * part) / (weight * k4 - k2**2)
    assert 2 * np.median(slope) == pytest.approx(stretch, rel=0.06, abs=2e-6)


@pytest.mark.parametrize("noise", [0.003, 0.03])
def test_snr_and_between_follow_the_noise(noise, rng):
    x = voice(np.full(200, 200.0))
    x += noise * rng.standard_normal(len(x)).astype(np.float32)
    _, between = measure(x, 0.0, HOP, RATE, np.full(200, 200.0))
    # a Hann window of L samples has the bandwidth of 1.5 bins: 6 sigma^2 / L of peak amplitude^2
    expected = noise * np.sqrt(6 / (6 / 200.0 * RATE))
    assert np.sqrt(np.mean(between[10:-10, 1:] ** 2)) == pytest.approx(expected, rel=0.15)


def test_smoothing_stays_within_its_bounds(rng):
    octaves = rng.standard_normal(30)
    reach = np.full(30, 3.3)
    bounds = np.repeat([[0, 11], [12, 29]], [12, 18], axis=0)
    out = np.empty(30)
    cpu.smooth(octaves, reach, bounds, out)
    for t in range(30):
        side = min(3, t - bounds[t, 0], bounds[t, 1] - t)
        i = np.arange(-side, side + 1)
        weight = 0.5 + 0.5 * np.cos(np.pi * i / 3.3)
        assert out[t] == pytest.approx(np.average(octaves[t + i], weights=weight))
    straight = np.linspace(5, 6, 30)
    cpu.smooth(straight, reach, bounds, out)
    np.testing.assert_allclose(out, straight)  # a glide is not bent, at its ends neither


def test_levels_are_weighted_mean_squares(rng):
    x = rng.standard_normal(50).astype(np.float32)
    window, out = np.hanning(11), np.empty(3)
    cpu.levels(x, np.array([0, 20, 49]), window, out)
    padded = np.concatenate([np.zeros(5), x, np.zeros(5)]) ** 2
    expected = [np.dot(padded[c : c + 11], window) / window.sum() for c in (0, 20, 49)]
    np.testing.assert_allclose(out, expected, rtol=1e-6)


@pytest.mark.parametrize("hop", [160.0, 220.5, 1.0, 3.7])
def test_running_phase_is_the_synthesizers(hop):
    f0_hz = vibrato(14)
    phase = np.empty(14)
    cpu.running_phase(f0_hz, hop, float(RATE), phase)
    turns = (phase - naive.running_phase(f0_hz, hop, RATE)) / (2 * np.pi)
    np.testing.assert_allclose(turns, np.round(turns), atol=1e-9)
    if hop == round(hop):
        options = dict(n_samples=int(13 * hop) + 1, sample_rate=RATE, hop_length=hop)
        sound, _ = harmonic_forward(f0_hz, np.ones((14, 1)), **options)
        np.testing.assert_allclose(sound[:: int(hop)], np.sin(phase), atol=1e-9)


def test_same_bits_for_one_and_two_threads(with_threads):
    f0_hz = np.concatenate([vibrato(90), glide(90, 90.0)])
    rng = np.random.default_rng(2)
    x = voice(f0_hz) + 0.01 * rng.standard_normal(int(179 * HOP) + 1).astype(np.float32)
    one = with_threads(1, refine, x, 0.0, HOP, RATE, f0_hz, STEP_S)
    two = with_threads(2, refine, x, 0.0, HOP, RATE, f0_hz, STEP_S)
    for name, value in vars(one).items():
        np.testing.assert_array_equal(value, getattr(two, name), err_msg=name)
    ones, twos = (
        with_threads(n, read_partials, x, 0.0, HOP, RATE, one, slice(None), 12) for n in (1, 2)
    )
    for name in ones:
        np.testing.assert_array_equal(ones[name], twos[name], err_msg=name)

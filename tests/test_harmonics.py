"""The harmonic fit against plain least squares, finite differences, and the Cramer-Rao bound."""

import dataclasses

import naive_harmonics as naive
import numpy as np
import pytest

from spectralot import ParameterError, fit_harmonics
from spectralot.cpu.harmonics import fill_columns, nested_energies
from spectralot.estimate import _harmonic_model as model

RATE, N = 16000, 1024
STRETCH = 3e-4


def play(f0, amplitudes, phases, n=N, slope=0.0, stretch=0.0):
    """The tone of the fit's documentation, by its formula."""
    t, h = naive.times(n, RATE), np.arange(1, len(amplitudes) + 1)
    k = h * np.sqrt(1 + stretch * h**2)
    angle = 2 * np.pi * k * (f0 * t + slope * t**2 / 2)[:, None]
    return np.cos(angle + phases) @ amplitudes


def spectrum(rng, n_harmonics, level=0.3):
    phases = rng.uniform(-3, 3, n_harmonics)
    return level / np.arange(1, n_harmonics + 1), phases


def noisy(rng, f0, n_harmonics, snr_db, n=N, slope=0.0):
    """A frame with its noise, and the bound of f0 in cents."""
    amplitudes, phases = spectrum(rng, n_harmonics)
    rms = np.sqrt(0.5 * np.sum(amplitudes**2)) * 10 ** (-snr_db / 20)
    std = naive.bound(f0, amplitudes, phases, n, RATE, rms, slope=slope)[0]
    x = play(f0, amplitudes, phases, n, slope) + rms * rng.standard_normal(n)
    return x, 1200 / np.log(2) * std / f0


def task_of(x, order="auto", slope=False, stretch=False):
    return model.Task(x - x.mean(), RATE, order, slope, stretch, np.log(160))


def cents(found, truth):
    return 1200 * np.log2(found / truth)


@pytest.mark.parametrize(("slope", "stretch"), [(0.0, 0.0), (250.0, 0.0), (250.0, STRETCH)])
def test_columns_are_those_of_the_formula(slope, stretch):
    columns = np.empty((21, N))
    fill_columns(naive.times(N, RATE), 311.7, slope, stretch, columns)
    for h in range(1, 11):
        one = np.arange(1, 11) == h
        np.testing.assert_allclose(columns[0], 1)
        cosine = play(311.7, one, np.zeros(10), N, slope, stretch)
        sine = play(311.7, one, np.full(10, -np.pi / 2), N, slope, stretch)
        np.testing.assert_allclose(columns[2 * h - 1], cosine, atol=1e-11)
        np.testing.assert_allclose(columns[2 * h], sine, atol=1e-11)


@pytest.mark.parametrize("f0", [25.0, 61.3, 440.0, 2666.0])
@pytest.mark.parametrize("n", [1024, 1025])
def test_energies_of_all_orders_are_those_of_least_squares(rng, f0, n):
    x = rng.standard_normal(n)
    x -= x.mean()
    count = min(40, int(0.5 * RATE / f0))
    expected = []
    for order in range(1, count + 1):
        matrix = np.column_stack([np.ones(n), naive.columns(f0, order, n, RATE)])
        residual = x - matrix @ np.linalg.lstsq(matrix, x, rcond=None)[0]
        expected.append(x @ x - residual @ residual)
    state = model.choose(task_of(x), model.State(f0))
    np.testing.assert_allclose(np.cumsum(state.energy), expected, rtol=1e-9)

    columns = naive.columns(f0, count, n, RATE)
    cosines, sines = np.split(columns.T @ x, 2)
    omega, width = np.full(3, 2 * np.pi * f0 / RATE), 2  # one whole row of lanes, one in part
    energy = np.empty((3, count))
    spaces = ((2 * count + 1, width), (count + 1, count + 1, width), (count + 1, width))
    nested_energies(
        omega, np.tile(cosines, (3, 1)), np.tile(sines, (3, 1)), np.array([count, 1, count]), n,
        *(np.full(shape, np.nan) for shape in spaces), energy,
    )  # fmt: skip
    np.testing.assert_allclose(np.cumsum(energy[0]), expected, rtol=1e-9)
    np.testing.assert_array_equal(energy[2], energy[0])
    assert energy[1, 0] == energy[0, 0] and not energy[1, 1:].any()


def test_derivatives_against_differences(rng):
    x = rng.standard_normal(N)
    task = task_of(x, slope=True, stretch=True)
    state = model.State(311.7, slope=250.0, stretch=STRETCH, order=10)
    state, columns, factor = model.solve(task, state)
    rows = model._derivatives(task, state, columns)
    a, b = state.solution[1::2], state.solution[2::2]

    def tone(f0, slope, stretch):
        return play(f0, np.hypot(a, b), np.arctan2(-b, a), N, slope, stretch)

    at = np.array([state.f0, state.slope, state.stretch])
    for k, step in enumerate((1e-5, 1e-3, 1e-8)):
        move = step * (np.arange(3) == k)
        difference = (tone(*(at + move)) - tone(*(at - move))) / (2 * step)
        np.testing.assert_allclose(rows[k], difference, atol=1e-6 * np.abs(difference).max())
    off, _ = model.project(task, state, columns, factor)
    assert np.abs(off @ columns.T).max() < 1e-9 * np.abs(rows @ columns.T).max()


@pytest.mark.parametrize("start", ["unknown", "near"])
@pytest.mark.parametrize(
    ("f0", "n_harmonics", "slope", "stretch", "n"),
    [
        (221.3, 5, 0.0, 0.0, 1024),
        (221.3, 5, 300.0, 0.0, 1024),
        (221.3, 12, 0.0, STRETCH, 1024),
        (110.0, 20, 200.0, STRETCH, 1024),
        (26.1, 12, 0.0, 0.0, 1024),  # 1.7 periods
        (75.0, 8, 0.0, 0.0, 401),  # 1.9
        (3900.0, 2, 0.0, 0.0, 1024),
        (1500.0, 1, 0.0, 0.0, 1024),
    ],
)
def test_without_noise_everything_is_exact(rng, f0, n_harmonics, slope, stretch, n, start):
    amplitudes, phases = spectrum(rng, n_harmonics)
    x = 0.7 + play(f0, amplitudes, phases, n, slope, stretch)
    first = None if start == "unknown" else f0 * 1.004
    fit = fit_harmonics(
        x, RATE, first, slope=slope != 0, inharmonicity=stretch != 0, fmin=max(25, 1.6 * RATE / n)
    )
    assert fit.n_harmonics == n_harmonics
    assert fit.f0_hz == pytest.approx(f0, rel=1e-10)
    assert fit.f0_slope_hz_s == pytest.approx(slope, abs=1e-7)
    assert fit.inharmonicity == pytest.approx(stretch, abs=1e-11)
    np.testing.assert_allclose(fit.amplitudes, amplitudes, atol=1e-9)
    np.testing.assert_allclose(fit.phases, phases, atol=1e-8)
    assert fit.noise_rms < 1e-9 and fit.snr_db > 170 and fit.f0_std_cents < 1e-6
    assert np.argmin(fit.octave_costs) == 1 and fit.octave_costs[1] == fit.cost


@pytest.mark.parametrize("slope", [None, 150.0])
@pytest.mark.parametrize(("f0", "n"), [(29.0, 1024), (221.3, 1024), (700.0, 511)])
def test_a_noisy_fit_is_that_of_plain_least_squares(rng, f0, n, slope):
    x, _ = noisy(rng, f0, 6, 45, n, slope or 0.0)
    x -= x.mean()
    fit = fit_harmonics(x, RATE, f0 * 1.002, n_harmonics=6, slope=slope is not None)
    # the oracle knows no offset: take off the one that belongs to the tone
    offset = x.mean() - naive.tone(
        fit.f0_hz, fit.amplitudes, fit.phases, n, RATE, fit.f0_slope_hz_s
    ).mean()  # fmt: skip
    other = naive.fit(x - offset, RATE, f0, 6, slope=None if slope is None else 0.0)
    assert cents(fit.f0_hz, other["f0"]) == pytest.approx(0, abs=0.1 * fit.f0_std_cents)
    np.testing.assert_allclose(fit.amplitudes, other["amplitudes"], atol=0.1 * other["noise_rms"])
    assert fit.noise_rms == pytest.approx(other["noise_rms"], rel=0.01)
    if f0 > 100:  # below, the offset costs what the oracle does not pay
        std = 1200 / np.log(2) * other["f0_std"] / other["f0"]
        assert fit.f0_std_cents == pytest.approx(std, rel=0.02)
        np.testing.assert_allclose(fit.amplitudes_std, other["amplitudes_std"], rtol=0.02)


def test_standard_errors_hold_with_slope_and_stretch(rng):
    amplitudes, phases = spectrum(rng, 10)
    errors, stds = [], []
    for _ in range(100):
        x = play(221.3, amplitudes, phases, N, 200.0, STRETCH) + 0.02 * rng.standard_normal(N)
        fit = fit_harmonics(x, RATE, 221.0, n_harmonics=10, slope=True, inharmonicity=True)
        errors.append(np.r_[cents(fit.f0_hz, 221.3), fit.amplitudes - amplitudes])
        stds.append(np.r_[fit.f0_std_cents, fit.amplitudes_std])
    ratio = np.sqrt(np.mean(np.square(errors), axis=0)) / np.mean(stds, axis=0)
    assert np.abs(ratio - 1).max() < 0.3 and np.abs(ratio.mean() - 1) < 0.07


def test_the_bound_is_met_and_the_intervals_hold(rng):
    ratio, inside = [], []
    for f0 in (60.0, 233.0, 930.0):
        for snr_db in (3, 30, 60):
            for _ in range(40):
                truth = f0 * 2 ** (rng.uniform(-50, 50) / 1200)
                x, bound = noisy(rng, truth, 8, snr_db)
                fit = fit_harmonics(x, RATE)
                error = cents(fit.f0_hz, truth)
                ratio.append(error / bound)
                inside.append(abs(error) < 1.96 * fit.f0_std_cents)
    assert 0.9 < np.sqrt(np.mean(np.square(ratio))) < 1.1
    assert 0.92 < np.mean(inside) < 0.98


def test_a_sinusoid_gets_no_harmonics(rng):
    orders = [fit_harmonics(noisy(rng, 700.0, 1, s)[0], RATE).n_harmonics for s in [0, 20, 50] * 15]
    assert np.mean(np.array(orders) == 1) > 0.95


def test_the_octave_is_told(rng):
    amplitudes, phases = spectrum(rng, 8)
    for factor in (np.ones(8), [0, 0, 1, 1, 1, 1, 1, 1], [0.1, 1] * 4, [1, 0] * 4):
        x = play(180.0, amplitudes * factor, phases) + 0.005 * rng.standard_normal(N)
        fit = fit_harmonics(x, RATE)
        assert cents(fit.f0_hz, 180.0) == pytest.approx(0, abs=3)
        assert np.all(np.delete(fit.octave_costs, 1) > fit.cost + 20)
    below = fit_harmonics(x, RATE, 90.0)
    assert np.argmin(below.octave_costs) == 2
    assert below.octave_costs[2] == pytest.approx(fit.cost, abs=1)
    assert fit_harmonics(x, RATE, 30.0).octave_costs[0] == np.inf  # less than 1.5 periods
    assert fit_harmonics(x, RATE, 3000.0).octave_costs[3] == np.inf  # above Nyquist


def test_noise_is_called_noise(rng):
    costs = [fit_harmonics(rng.standard_normal(N), RATE).cost for _ in range(20)]
    assert min(costs) > -4 and np.median(costs) > 0
    assert fit_harmonics(noisy(rng, 300.0, 8, 0)[0], RATE).cost < -100


@pytest.mark.parametrize("f0", [60.0, 220.0, 1000.0])
def test_a_start_may_be_nearly_sixty_cents_off(rng, f0):
    for off in (-55, -30, 20, 55):
        x, bound = noisy(rng, f0, 8, 20)
        fit = fit_harmonics(x, RATE, f0 * 2 ** (off / 1200))
        assert abs(cents(fit.f0_hz, f0)) < 5 * bound


def test_level_and_offset_change_nothing_else(rng):
    x, _ = noisy(rng, 200.0, 5, 30)
    fit, other = fit_harmonics(x, RATE), fit_harmonics(1e-7 * (x + 20), RATE)
    for name in ("f0_hz", "f0_std_cents", "phases", "snr_db", "cost", "octave_costs"):
        np.testing.assert_allclose(getattr(other, name), getattr(fit, name), rtol=1e-6)
    for name in ("amplitudes", "amplitudes_std", "noise_rms"):
        np.testing.assert_allclose(getattr(other, name), 1e-7 * getattr(fit, name), rtol=1e-6)
    short = fit_harmonics(np.round(32767 * x / 2).astype(np.int16), RATE)
    assert cents(short.f0_hz, fit.f0_hz) == pytest.approx(0, abs=0.1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        fit.f0_hz = 0.0


def test_the_number_of_harmonics_may_be_given(rng):
    x, _ = noisy(rng, 200.0, 5, 30)
    assert fit_harmonics(x, RATE, n_harmonics=5).n_harmonics == 5
    assert fit_harmonics(x, RATE, 200.0, n_harmonics=9).n_harmonics == 9
    assert fit_harmonics(x, RATE, 200.0, n_harmonics=200).n_harmonics == 39  # 8000 Hz is Nyquist
    fit = fit_harmonics(x, RATE, 200.0, n_harmonics=1, inharmonicity=True)
    assert fit.inharmonicity == 0 and fit.amplitudes.shape == fit.phases.shape == (1,)


def test_any_rate_and_any_corner_of_the_range(rng):
    x = np.cos(2 * np.pi * 0.11 * np.arange(200)) + 1e-3 * rng.standard_normal(200)
    assert fit_harmonics(x, 1.0, 0.111).f0_hz == pytest.approx(0.11, abs=1e-5)
    assert fit_harmonics(x, 1, fmin=0.01).f0_hz == pytest.approx(0.11, abs=1e-5)
    top = fit_harmonics(rng.standard_normal(6), 44100, fmin=21137.0, fmax=21700.0)
    assert 0 < top.f0_hz < 22050
    # a stretch near its least one, of which 2 f0 has four times as much
    x = play(100.0, *spectrum(rng, 12), stretch=-1e-4)
    fit = fit_harmonics(x, RATE, 100.0, inharmonicity=True)
    assert fit.inharmonicity == pytest.approx(-1e-4, rel=1e-6)


def test_a_sweep_of_two_bins_is_found_without_help(rng):
    for slope in (-500.0, 500.0):
        x, bound = noisy(rng, 440.0, 8, 20, slope=slope)
        fit = fit_harmonics(x, RATE, slope=True)
        assert abs(cents(fit.f0_hz, 440.0)) < 5 * bound
        assert fit.f0_slope_hz_s == pytest.approx(slope, rel=0.02)


@pytest.mark.parametrize("n", [7, 8, 12, 40])
def test_the_shortest_frames_are_survived(rng, n):
    x = rng.standard_normal(n)
    for keywords in ({}, {"slope": True, "inharmonicity": True}):
        fmin = 1.5 * RATE / n
        fit = fit_harmonics(x, RATE, fmin=fmin, fmax=max(4000, 1.2 * fmin), **keywords)
        assert np.isfinite(fit.f0_hz) and fit.f0_std_cents >= 0 and fit.noise_rms >= 0


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"frame": np.zeros(N)}, "frame must not be silent or constant"),
        ({"frame": np.full(N, 3.3)}, "frame must not be silent or constant"),
        ({"frame": np.ones((2, N))}, "frame must have 1 dimension"),
        ({"frame": [1.0, np.nan]}, "frame must be finite, got nan at index"),
        ({"frame": []}, "frame must not be empty"),
        (
            {"frame": [1.0, 2.0, 1.0, 3.0], "fmin": 7000.0, "fmax": 7500.0},
            "at least 5 samples, got 4",
        ),
        ({"fmin": 23.0}, r"at least 1.5 periods of fmin, 23 Hz, got 1024 samples = 1.47 periods"),
        ({"f0_hz": 10.0}, r"at least 1.5 periods of f0_hz, 10 Hz"),
        ({"f0_hz": 8000.0}, "f0_hz must be at most 7999"),
        ({"f0_hz": -1.0}, "f0_hz must be above 0"),
        ({"f0_hz": np.inf}, "f0_hz must be finite"),
        ({"fmin": 300.0, "fmax": 200.0}, "fmax must be above 300, got 200"),
        ({"fmax": 9000.0}, "fmax must be at most 7999"),
        ({"sample_rate": 0}, "sample_rate must be above 0"),
        ({"n_harmonics": 0}, "n_harmonics must be at least 1, got 0"),
        ({"n_harmonics": "many"}, "n_harmonics must be an integer, got 'many'"),
    ],
)
def test_errors_in_one_line(rng, keywords, message):
    arguments = {"frame": rng.standard_normal(N), "sample_rate": RATE} | keywords
    with pytest.raises(ParameterError, match=message) as caught:
        fit_harmonics(**arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seed", [18, 301])
def test_a_lone_partial_is_the_first_however_clean(seed):
    """Noise once made a fifth of f0 the better guess, and no octave leads back from there."""
    rng = np.random.default_rng(seed)
    f0 = 440 * 2 ** (rng.uniform(-50, 50) / 1200)
    t = (np.arange(1024) - 511.5) / 16000
    x = np.cos(2 * np.pi * f0 * t + rng.uniform(0, 6.28))
    x += rng.standard_normal(1024) * np.sqrt(0.5e-5)
    assert abs(cents(fit_harmonics(x, 16000).f0_hz, f0)) < 0.1

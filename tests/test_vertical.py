"""Smooth, relative and weighted vertical losses against loops and finite differences."""

import functools

import gradcheck
import naive_vertical as naive
import numpy as np
import pytest

from spectralot import LIN, LOG, MSS, ParameterError
from spectralot.cpu.stft import _compare
from spectralot.cpu.vertical import log_cosh
from spectralot.losses.pointwise import PRIMES, LogCosh, SmoothMSS, SpectralConvergence

pytestmark = pytest.mark.usefixtures("one_thread")

RATE = 16000
A = {"weighting": "A", "sample_rate": RATE}


def frames(term, *sizes, **options):
    """Values of each item by loops; sizes are (n_fft, hop_length)."""

    def value(a, b):
        return sum(
            naive.pointwise_frames(term, a, b, n_fft=n, hop_length=hop, **options).mean()
            for n, hop in sizes
        )

    return value


def relative(*sizes, **options):
    return lambda a, b: sum(
        naive.convergence(a, b, n_fft=n, hop_length=hop, **options) for n, hop in sizes
    )


FLOORED = functools.partial(naive.log, floor=0.02)
FLAT = {"window": "flattop"}
# a loss, and the value of one item by loops
CASES = {
    "smooth": (SmoothMSS((67, 128)), frames(naive.smooth, (67, 33), (128, 64), **FLAT)),
    "smooth gain": (
        SmoothMSS(100, gain=30.0, hop_length=41, window="hann", padding="center"),
        frames(naive.smooth, (100, 41), gain=30.0, padding="center"),
    ),
    "smooth A": (
        SmoothMSS(129, weighting="A", sample_rate=8000),
        frames(naive.smooth, (129, 64), weighting="A", sample_rate=8000, **FLAT),
    ),
    "log cosh": (LogCosh((128, 65)), frames(naive.log_cosh, (128, 32), (65, 16))),
    "log cosh A": (LogCosh(128, **A), frames(naive.log_cosh, (128, 32), **A)),
    "convergence": (SpectralConvergence((128, 65)), relative((128, 32), (65, 16))),
    "convergence A": (
        SpectralConvergence(128, hop_length=50, padding="none", **A),
        relative((128, 50), padding="none", **A),
    ),
    "LIN": (
        LIN((64, 33), hop_length=20, padding="center"),
        frames(naive.linear, (64, 20), (33, 20), padding="center"),
    ),
    "LOG": (
        LOG((64, 65), floor=0.02, padding="center"),
        frames(FLOORED, (64, 16), (65, 16), padding="center"),
    ),
    "MSS": (
        MSS(64, hop_length=50, floor=0.02, padding="none"),
        frames(lambda y, x: naive.linear(y, x) + FLOORED(y, x), (64, 50), padding="none"),
    ),
    "LIN A": (LIN((128, 64), **A), frames(naive.linear, (128, 32), (64, 16), **A)),
    "LOG A": (LOG(128, floor=0.02, **A), frames(FLOORED, (128, 32), **A)),
    "MSS A": (
        MSS((128, 64), floor=0.02, **A),
        frames(lambda y, x: naive.linear(y, x) + FLOORED(y, x), (128, 32), (64, 16), **A),
    ),
}  # fmt: skip
LOSSES = {name: loss for name, (loss, _) in CASES.items()}
ONE_SIZE = [name for name, loss in LOSSES.items() if len(loss.prepare(np.ones(900)).spectra) == 1]
every = pytest.mark.parametrize("name", CASES)


@pytest.fixture
def sounds(rng):
    """Two tones in noise against two other ones, (2, 700) each."""
    time = np.arange(700) / RATE
    target, estimate = (
        np.stack([np.sin(2 * np.pi * f * time) for f in pair]) for pair in [(440, 1200), (700, 900)]
    )
    return (
        target + 0.3 * rng.standard_normal(target.shape),
        0.8 * estimate + 0.3 * rng.standard_normal(estimate.shape),
    )


# --- values and gradients ------------------------------------------------------------------------


@every
def test_values_match_the_loops(name, sounds):
    loss, value_of = CASES[name]
    expected = [value_of(a, b) for a, b in zip(*sounds, strict=True)]
    value, d_estimate = loss(*sounds)
    assert isinstance(value, float) and value == pytest.approx(np.mean(expected), rel=1e-10)
    assert d_estimate.shape == sounds[1].shape and d_estimate.dtype == np.float64
    values, d_items = loss.per_item(*sounds)
    np.testing.assert_allclose(values, expected, rtol=1e-10)
    np.testing.assert_allclose(d_items, 2 * d_estimate, rtol=1e-12)


def test_the_last_sample_counts_where_it_is_a_piece_of_its_own(sounds):
    target, estimate = (side[0, :257] for side in sounds)  # threads own 4 frames' lengths
    for loss in (LIN(64), MSS(64, floor=0.02)):
        _, d_estimate = loss(target, estimate)
        loss._fused = False
        _, expected = loss(target, estimate)
        np.testing.assert_allclose(d_estimate, expected, rtol=1e-9, atol=1e-15)
        assert abs(d_estimate[-1]) > 1e-6


@every
def test_gradient(name, sounds, rng):
    loss, (target, estimate) = LOSSES[name], sounds
    _, d_estimate = loss(target, estimate)
    gradcheck.check_projected(
        lambda x: loss(target, x)[0], (estimate,), (d_estimate,), 1.0, rng=rng, step=1e-7
    )


@every
def test_one_signal_is_a_batch_of_one(name, sounds):
    loss, (target, estimate) = LOSSES[name], sounds
    value, d_estimate = loss(target[0], estimate[0])
    batch_value, d_batch = loss(target[:1], estimate[:1])
    assert value == batch_value and np.array_equal(d_estimate, d_batch[0])
    assert loss(loss.prepare(target[0]), estimate[0])[0] == value


@pytest.mark.parametrize("name", ONE_SIZE)
def test_the_mean_of_the_frames_is_the_value(name, sounds):
    loss = LOSSES[name]
    assert loss.per_frame(*sounds).mean() == pytest.approx(loss(*sounds)[0], rel=1e-12)


def test_frames_of_a_pointwise_loss_match_the_loops(sounds):
    expected = [
        naive.pointwise_frames(naive.log_cosh, a, b, n_fft=128, hop_length=32)
        for a, b in zip(*sounds, strict=True)
    ]
    np.testing.assert_allclose(LogCosh(128).per_frame(*sounds), expected, rtol=1e-10)


def test_frames_of_the_convergence_share_by_squares(sounds):
    loss, (target, estimate) = SpectralConvergence(64, padding="none"), sounds
    shares = loss.per_frame(target[0], estimate[0])
    a, b = naive.spectra(target[0], estimate[0], n_fft=64, hop_length=16, padding="none")
    squares = ((b - a) ** 2).sum(axis=1)
    np.testing.assert_allclose(shares / shares.sum(), squares / squares.sum(), rtol=1e-10)


def test_the_defaults_of_the_smooth_loss_are_the_papers(rng):
    target, estimate = rng.standard_normal((2, 3000))
    assert PRIMES == (67, 127, 257, 509, 1021, 2053)
    expected = frames(naive.smooth, *((n, n // 2) for n in PRIMES), window="flattop")
    assert SmoothMSS()(target, estimate)[0] == pytest.approx(expected(target, estimate), rel=1e-10)


def test_without_a_curve_the_weighted_path_is_the_fused_one(sounds):
    for loss in (LIN((128, 64)), LOG(128), MSS((128, 64), floor=0.02)):
        value, d_estimate = loss(*sounds)
        loss._fused = False
        general, d_general = loss(*sounds)
        assert general == pytest.approx(value, rel=1e-12)
        np.testing.assert_allclose(d_general, d_estimate, rtol=1e-9, atol=1e-15)


def test_the_curve_decides_what_is_heard():
    time = np.arange(4096) / RATE
    low, high = (np.sin(2 * np.pi * f * time) for f in (60, 2500))
    for kind in (LIN, LogCosh, SmoothMSS):
        flat, weighted = kind(2048, padding="none"), kind(2048, padding="none", weighting="A")
        silence = np.zeros(4096)
        before = flat(silence, low)[0] / flat(silence, high)[0]
        assert weighted(silence, low)[0] < 0.1 * before * weighted(silence, high)[0]


# --- special points ------------------------------------------------------------------------------


@every
def test_equal_inputs_have_no_gradient(name, sounds):
    value, d_estimate = LOSSES[name](sounds[0], sounds[0])
    assert value == 0 and not d_estimate.any()


@every
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [0.0, 1e-12, 1e6])
def test_every_level_is_finite(name, dtype, scale, sounds):
    target, estimate = (side.astype(dtype) for side in sounds)
    loss, level = LOSSES[name], dtype(scale)
    quiet = level * target, level * estimate
    for a, b in ((quiet[0], estimate), (target, quiet[1]), quiet):
        value, d_estimate = loss(a, b)
        assert np.isfinite(value) and value >= 0
        assert np.isfinite(d_estimate).all() and d_estimate.dtype == dtype
        if not scale and not b.any():
            assert not d_estimate.any()  # zero bins pull nowhere


def test_a_magnitude_at_the_floor_pulls_nowhere_in_the_logarithm():
    magnitude, target = np.array([0.5, 0.25, 1.0]), np.array([0.75, 1.0, 0.5])
    slopes = np.empty(3)
    value = _compare(magnitude, target, 0.0, 1.0, 0.5, np.empty(3), slopes)
    assert value == pytest.approx(np.log(1.5) + 2 * np.log(2)) and slopes.tolist() == [0, 0, 1]
    _compare(magnitude, target, 3.0, 1.0, 0.5, np.empty(3), slopes)
    assert slopes.tolist() == [-3, -3, 4]


@every
def test_one_bin_is_finite(name):
    time = np.arange(1024)
    for k in (0, 8, 64):
        tone = np.cos(2 * np.pi * k * time / 128)
        for a, b in ((tone, 0.5 * tone), (np.zeros(1024), tone), (tone, np.zeros(1024))):
            value, d_estimate = LOSSES[name](a, b)
            assert np.isfinite(value) and np.isfinite(d_estimate).all()


@every
def test_float32_is_close_to_float64(name, sounds, relative_error):
    loss = LOSSES[name]
    value, d_estimate = loss(*sounds)
    rough, d_rough = loss(*(side.astype(np.float32) for side in sounds))
    assert rough == pytest.approx(value, rel=1e-5) and d_rough.dtype == np.float32
    assert relative_error(d_rough, d_estimate) < 1e-3
    # the gradient's type is the estimate's
    assert loss(sounds[0], sounds[1].astype(np.float32))[1].dtype == np.float32


@pytest.mark.parametrize("scale", [1e-12, 1e-6, 1e6])
def test_convergence_does_not_hear_the_level(scale, sounds):
    loss = SpectralConvergence(128)
    value, d_estimate = loss(*sounds)
    scaled, d_scaled = loss(*(scale * side for side in sounds))
    assert scaled == pytest.approx(value, rel=1e-9)
    np.testing.assert_allclose(d_scaled * scale, d_estimate, rtol=1e-6, atol=1e-12)


def test_a_silent_target_counts_nothing_for_the_convergence(sounds):
    loss, (target, estimate) = SpectralConvergence(128), sounds
    target[0] = 0.0
    values, d_estimate = loss.per_item(target, estimate)
    assert values[0] == 0 and not d_estimate[0].any()
    assert values[1] > 0 and d_estimate[1].any()


@pytest.mark.parametrize("apart", [1e-8, 1e-4, 0.9e-3, 1.1e-3, 0.5, 3.0, 800.0])
def test_log_cosh_keeps_its_digits(apart):
    values, slopes = np.empty(1), np.empty((1, 1))
    log_cosh(np.array([[apart]]), np.zeros((1, 1)), np.ones(1), 1.0, values, slopes)
    exact = (
        apart**2 / 2 - apart**4 / 12 + apart**6 / 45
        if apart < 1e-2
        else (apart + np.log1p(np.exp(-2 * apart)) - np.log(2))
    )
    assert values[0] == pytest.approx(exact, rel=1e-11, abs=0)
    assert slopes[0, 0] == pytest.approx(np.tanh(apart), rel=1e-12, abs=0)


@every
def test_threads_change_nothing(name, sounds, with_threads):
    target, estimate = (np.tile(side, (3, 3)) for side in sounds)
    one, two = (with_threads(n, LOSSES[name], target, estimate) for n in (1, 2))
    assert one[0] == two[0] and one[1].tobytes() == two[1].tobytes()


# --- arguments -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SmoothMSS(1), "n_fft must be at least 2, got 1"),
        (lambda: SmoothMSS(()), r"n_fft must name at least one size, got \(\)"),
        (lambda: SmoothMSS(gain=0), "gain must be above 0, got 0"),
        (lambda: LogCosh(2), "n_fft must be at least 4, got 2"),
        (lambda: LIN(64, weighting="C"), "weighting must be one of None, 'A', got 'C'"),
        (lambda: LogCosh(64, sample_rate=0), "sample_rate must be above 0, got 0"),
        (
            lambda: SpectralConvergence((64, 32)).per_frame(np.ones(99), np.ones(99)),
            "per_frame needs a loss with one resolution, got 2",
        ),
        (
            lambda: SmoothMSS(64)(np.ones(99), np.ones(98)),
            r"estimate must have shape \(99,\), got \(98,\)",
        ),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ParameterError, match=message):
        make()

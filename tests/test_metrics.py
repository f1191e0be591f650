"""Metrics against loops, the reference's number and their own rules."""

import naive_vertical
import numpy as np
import pytest

from spectralot import ParameterError
from spectralot.metrics import level_difference_db, log_spectral_distance

pytestmark = pytest.mark.usefixtures("one_thread")

# of the stored signals x and xh, by the reference implementation of arXiv:2312.14507 in float64
REFERENCE_LSD = 159.58360118422863


@pytest.fixture
def sounds(rng):
    return rng.standard_normal((2, 900)), 0.1 * rng.standard_normal((2, 900))


def test_the_reference_implementations_number(reference):
    signals = reference("signals")
    distances = log_spectral_distance(signals["x"], signals["xh"], average="square")
    assert distances.shape == (4,)
    assert distances.mean() == pytest.approx(REFERENCE_LSD, rel=1e-9)


@pytest.mark.parametrize("average", ["rms", "square"])
@pytest.mark.parametrize(
    "options",
    [
        {"n_fft": 128, "hop_length": 50, "floor_db": -10.0},
        {"n_fft": 65, "hop_length": 16, "floor_db": -80.0, "window": "hamming"},
        {"n_fft": 64, "hop_length": 64, "floor_db": 3.0, "padding": "none"},
    ],
)
def test_distance_matches_the_loops(options, average, sounds):
    options = options | {"average": average}
    expected = [
        naive_vertical.log_spectral_distance(a, b, **options) for a, b in zip(*sounds, strict=True)
    ]
    np.testing.assert_allclose(log_spectral_distance(*sounds, **options), expected, rtol=1e-10)
    alone = log_spectral_distance(sounds[0][0], sounds[1][0], **options)
    assert isinstance(alone, float) and alone == pytest.approx(expected[0], rel=1e-10)


def test_a_gain_is_a_distance_in_decibels(rng):
    noise = rng.standard_normal(8000)
    louder = 10 ** (7 / 20) * noise
    assert log_spectral_distance(noise, louder, floor_db=-300) == pytest.approx(7, rel=1e-9)
    assert log_spectral_distance(noise, louder, floor_db=-300, average="square") == (
        pytest.approx(49, rel=1e-9)
    )
    assert level_difference_db(noise, louder) == pytest.approx(7, rel=1e-12)
    assert level_difference_db(louder, noise) == pytest.approx(-7, rel=1e-12)


def test_level_difference_of_a_batch(sounds):
    found = level_difference_db(*sounds)
    expected = [
        20 * np.log10(np.linalg.norm(b) / np.linalg.norm(a)) for a, b in zip(*sounds, strict=True)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("metric", [log_spectral_distance, level_difference_db])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_silence_and_every_level_are_finite(metric, dtype, sounds):
    target, estimate = (side.astype(dtype) for side in sounds)
    for scale in (0.0, 1e-30, 1e-12, 1e6, 1e18):
        level = dtype(scale)
        quiet = level * estimate
        for a, b in ((level * target, estimate), (target, quiet), (target * 0, quiet)):
            assert np.isfinite(metric(a, b)).all()
    assert not np.any(metric(target, target)) and not np.any(metric(0 * target, 0 * target))


def test_silence_stands_at_the_floor():
    silence, full = np.zeros(100), np.ones(100)
    assert level_difference_db(full, silence) == pytest.approx(-120)
    assert level_difference_db(full, silence, floor_db=-60) == pytest.approx(-60)
    rectangular = {"n_fft": 2, "hop_length": 2, "window": np.ones(2), "floor_db": -40}
    # bin 0 has the magnitude sqrt 2, bin 1 none
    expected = (40 + 20 * np.log10(np.sqrt(2))) / np.sqrt(2)
    assert log_spectral_distance(silence, full, **rectangular) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda x: log_spectral_distance(x, x, average="mean"),
            "average must be one of 'rms', 'square', got 'mean'",
        ),
        (
            lambda x: log_spectral_distance(x, x[:-1]),
            r"estimate must have shape \(99,\), got \(98,\)",
        ),
        (
            lambda x: log_spectral_distance(x, x, floor_db=-301),
            "floor_db must be at least -300, got -301",
        ),
        (lambda x: log_spectral_distance(x, x, n_fft=1), "n_fft must be at least 2, got 1"),
        (lambda x: level_difference_db(x, x * np.nan), "estimate must be finite, got nan"),
        (lambda x: level_difference_db(x, x, floor_db=np.inf), "floor_db must be finite, got inf"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call(np.ones(99))

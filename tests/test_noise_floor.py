"""Noise floor against loops, finite differences and its own rules."""

import gradcheck
import naive_vertical
import numpy as np
import pytest

from spectralot import ParameterError
from spectralot.noise_floor import noise_floor_backward, noise_floor_forward

pytestmark = pytest.mark.usefixtures("one_thread")
SIZES = [1, 2, 3, 4, 7, 8, 9, 64, 257, 1025]


def rows_like(kind, rng, shape):
    if kind == "noise":
        return rng.exponential(size=shape)
    if kind == "ties":
        return rng.integers(0, 4, size=shape).astype(float)
    if kind == "sparse":  # most bins are silent
        return rng.exponential(size=shape) * (rng.random(shape) < 0.2)
    if kind == "range":  # every exponent there is
        return 10.0 ** rng.uniform(-300, 300, size=shape)
    # floats next to each other, from odd and even ones on
    first = np.float64(0.7).view(np.int64) + rng.integers(0, 4, size=(*shape[:-1], 1))
    return rng.permuted(first + np.arange(shape[-1]), axis=-1).view(np.float64)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["noise", "ties", "sparse", "range", "neighbours"])
def test_values_match_the_loops(kind, size, rng):
    for weights in rows_like(kind, rng, (20, size)):
        for factor in (0.0, 0.5, 1.0, 3.0):
            expected = naive_vertical.noise_floor(weights, factor)
            result, _ = noise_floor_forward(weights, factor)
            # where the floor takes nearly all, its own rounding is all that is left
            near = 1e-15 * factor * np.median(weights)
            np.testing.assert_allclose(result, expected, rtol=1e-14, atol=near)
            assert np.all(result >= 0)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["noise", "ties", "sparse", "neighbours"])
def test_gradients_match_the_loops(kind, size, rng):
    for weights in rows_like(kind, rng, (10, size)):
        d_result = rng.standard_normal(size)
        for factor in (0.0, 0.6, 1.7):
            expected = naive_vertical.noise_floor_gradient(d_result, weights, factor)
            found = noise_floor_backward(d_result, noise_floor_forward(weights, factor)[1])
            if factor:
                np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)
            else:
                assert np.array_equal(found, d_result)  # zeros too: the identity


@pytest.mark.parametrize("size", [1, 2, 5, 6, 33, 64])
@pytest.mark.parametrize("factor", [0.0, 0.4, 1.3])
def test_gradient_by_finite_differences(size, factor, rng):
    # distinct weights, away from the floor: there it has a kink
    weights = np.stack([rng.permutation(np.arange(1.0, size + 1)) for _ in range(4)])
    weights += rng.uniform(-0.1, 0.1, size=weights.shape)
    if size > 1:
        floor = factor * np.median(weights, axis=1, keepdims=True)
        weights[np.abs(weights - floor) < 1e-3] += 0.01
    d_result = rng.standard_normal(weights.shape)
    _, saved = noise_floor_forward(weights, factor)
    gradcheck.check_elements(
        lambda w: noise_floor_forward(w, factor)[0],
        (weights,), (noise_floor_backward(d_result, saved),), d_result, step=1e-5,
    )  # fmt: skip


def test_a_clipped_row_has_no_gradient(rng):
    weights = np.tile(rng.uniform(1, 2, size=9), (2, 1))
    result, saved = noise_floor_forward(weights, 3.0)
    assert not result.any() and not noise_floor_backward(np.ones_like(weights), saved).any()


def test_an_even_row_shares_between_its_two_middle_weights():
    _, saved = noise_floor_forward([1.0, 2.0, 4.0, 20.0], 2.0)
    assert noise_floor_backward([0.0, 0.0, 0.0, 1.0], saved).tolist() == [0.0, -1.0, -1.0, 1.0]


def test_ties_share_equally_and_silence_pulls_nowhere():
    _, saved = noise_floor_forward([1.0, 2.0, 2.0, 2.0, 9.0], 3.0)
    expected = [0.0, -1.0, -1.0, -1.0, 1.0]
    assert noise_floor_backward([0.0, 0.0, 0.0, 0.0, 1.0], saved) == pytest.approx(expected)
    result, saved = noise_floor_forward([0.0, 0.0, 0.0, 5.0], 3.0)
    assert result.tolist() == [0.0, 0.0, 0.0, 5.0]
    assert noise_floor_backward(np.ones(4), saved).tolist() == [0.0, 0.0, 0.0, 1.0]


def test_silence_gives_zeros():
    weights = np.zeros((3, 65), np.float32)
    weights[1] = -0.0
    result, saved = noise_floor_forward(weights, 2.0)
    assert not result.any() and not noise_floor_backward(np.ones_like(weights), saved).any()


def test_equal_rows_stay_equal(rng):
    row = rng.exponential(size=129).astype(np.float32)
    result, _ = noise_floor_forward(np.stack([row, row]), 1.5)
    assert np.array_equal(result[0], result[1])
    alone, _ = noise_floor_forward(row, 1.5)
    assert np.array_equal(alone, result[0])


@pytest.mark.parametrize("scale", [1e-36, 1e-12, 1e6, 1e36])
def test_float32_stays_float32_at_any_scale(scale, rng):
    weights = rng.exponential(size=(2, 3, 65)).astype(np.float32)
    scaled = (weights * np.float32(scale)).astype(np.float32)
    result, saved = noise_floor_forward(scaled, 1.25)
    d_weights = noise_floor_backward(np.ones(weights.shape), saved)
    assert result.dtype == d_weights.dtype == np.float32
    assert result.shape == d_weights.shape == (2, 3, 65)
    assert np.isfinite(result).all() and np.isfinite(d_weights).all()
    expected = [
        naive_vertical.noise_floor(row, 1.25) for row in scaled.reshape(6, 65).astype(float)
    ]
    np.testing.assert_allclose(result.reshape(6, 65), expected, rtol=1e-5, atol=1e-7 * scale)


def test_a_huge_factor_stays_finite():
    result, saved = noise_floor_forward(np.array([1.0, 2.0, 3e38], np.float32), 1e300)
    assert not result.any() and np.isfinite(noise_floor_backward(np.ones(3), saved)).all()


def test_whole_numbers_become_float64():
    assert noise_floor_forward([1, 2, 6], 2)[0].dtype == np.float64


def test_inputs_are_left_alone_and_outputs_new(rng):
    weights = rng.exponential(size=(2, 9))
    before = weights.copy()
    for factor in (0, 1):
        result, saved = noise_floor_forward(weights, factor)
        d_result = np.ones_like(weights)
        d_weights = noise_floor_backward(d_result, saved)
        assert not np.shares_memory(result, weights)
        assert not np.shares_memory(d_weights, d_result)
    assert np.array_equal(weights, before)


def test_threads_change_nothing(rng, with_threads):
    weights = rng.exponential(size=(37, 513)).astype(np.float32)
    d_result = rng.standard_normal(weights.shape).astype(np.float32)

    def both():
        result, saved = noise_floor_forward(weights, 2.0)
        return result, noise_floor_backward(d_result, saved)

    for one, two in zip(with_threads(1, both), with_threads(2, both), strict=True):
        assert one.tobytes() == two.tobytes()


@pytest.mark.parametrize(
    ("weights", "factor", "message"),
    [
        ([1.0, -2.0], 1, "weights must not be negative, got -2"),
        ([1.0, np.nan], 1, r"weights must be finite, got nan at index \(1\)"),
        ([], 1, r"weights must not be empty, got shape \(0,\)"),
        ([1.0], -1, "factor must be at least 0, got -1"),
        ([1.0], "loud", "factor must be a number, got 'loud'"),
    ],
)
def test_bad_arguments(weights, factor, message):
    with pytest.raises(ParameterError, match=message):
        noise_floor_forward(weights, factor)


def test_bad_gradients():
    _, saved = noise_floor_forward([1.0, 2.0], 1)
    with pytest.raises(ParameterError, match=r"d_result must have shape \(2,\), got \(3,\)"):
        noise_floor_backward([1.0, 2.0, 3.0], saved)

"""The gradient checks themselves: a right gradient passes, a slightly wrong one does not."""

import gradcheck
import numpy as np
import pytest

N = 12


def forward(x, y):
    """A smooth nonlinear map of two inputs with outputs of another shape."""
    return np.stack([np.sin(x) * y, np.cumsum(x) ** 2 * np.exp(y)], axis=1)


def backward(d_output, x, y):
    total = np.cumsum(x)
    d_total = d_output[:, 1] * 2 * total * np.exp(y)
    d_x = d_output[:, 0] * np.cos(x) * y + np.cumsum(d_total[::-1])[::-1]
    d_y = d_output[:, 0] * np.sin(x) + d_output[:, 1] * total**2 * np.exp(y)
    return d_x, d_y


@pytest.fixture
def case():
    rng = np.random.default_rng(5)
    inputs = (rng.uniform(0.5, 1.0, N), rng.uniform(-1.0, 1.0, N))
    d_output = rng.standard_normal((N, 2))
    return inputs, backward(d_output, *inputs), d_output


def projected(inputs, gradients, d_output, **options):
    rng = np.random.default_rng(7)
    gradcheck.check_projected(forward, inputs, gradients, d_output, rng=rng, **options)


def elements(inputs, gradients, d_output, **options):
    gradcheck.check_elements(forward, inputs, gradients, d_output, **options)


CHECKS = pytest.mark.parametrize("check", [projected, elements])


@CHECKS
def test_right_gradient_passes(check, case):
    check(*case)
    check(*case, scales=(0.3, np.linspace(0.5, 2.0, N)))


@CHECKS
@pytest.mark.parametrize("index", [0, 1])
def test_gradient_wrong_by_a_thousandth_is_rejected(check, case, index):
    inputs, gradients, d_output = case
    wrong = [g * (1.001 if i == index else 1.0) for i, g in enumerate(gradients)]
    with pytest.raises(gradcheck.GradientError, match=f"input {index}"):
        check(inputs, wrong, d_output)


@CHECKS
@pytest.mark.parametrize("element", range(0, N, 3))
def test_one_element_wrong_by_a_thousandth_is_rejected(check, case, element):
    inputs, gradients, d_output = case
    wrong = gradients[0].copy()
    wrong[element] *= 1.001
    with pytest.raises(gradcheck.GradientError, match="input 0"):
        check(inputs, (wrong, gradients[1]), d_output)


@CHECKS
def test_a_missing_sign_a_nan_and_a_wrong_shape_are_rejected(check, case):
    inputs, (d_x, d_y), d_output = case
    with pytest.raises(gradcheck.GradientError, match="input 1"):
        check(inputs, (d_x, -d_y), d_output)
    with pytest.raises(gradcheck.GradientError, match="input 0"):
        check(inputs, (np.full(N, np.nan), d_y), d_output)
    with pytest.raises(gradcheck.GradientError, match="shape"):
        check(inputs, (d_x[:-1], d_y), d_output)


@CHECKS
def test_zero_gradient_passes_only_where_the_function_is_flat(check, case):
    inputs, (_, d_y), d_output = case
    check(inputs, (None, d_y), d_output)
    with pytest.raises(gradcheck.GradientError, match="input 0"):
        check(inputs, (np.zeros(N), d_y), d_output)
    check(inputs, (np.zeros(N), np.zeros(N)), np.zeros((N, 2)))


def test_samplers_keep_away_from_kinks():
    rng = np.random.default_rng(11)
    u, v = gradcheck.separate_levels(rng, 7, 5, (3,))
    assert u.shape == (3, 7) and v.shape == (3, 5) and u.min() > 0 and v.min() > 0
    levels = np.sort(
        np.concatenate(
            [np.cumsum(u / u.sum(1, keepdims=True), 1)[:, :-1],
             np.cumsum(v / v.sum(1, keepdims=True), 1)[:, :-1]], axis=1
        ), axis=1
    )  # fmt: skip
    assert np.diff(levels, axis=1).min() > 1e-3
    for v_mass in (0.6, 1.7):
        u, v = gradcheck.separate_levels(rng, 7, 5, mass="cutoff", v_mass=v_mass)
        assert np.abs(np.cumsum(v) / u.sum() - 1.0).min() > 1e-3
        assert v.sum() / u.sum() == pytest.approx(v_mass)
    places = np.concatenate(gradcheck.separate_positions(rng, 6, 4, (2,)), axis=1)
    assert np.diff(np.sort(places, axis=1), axis=1).min() > 1e-3
    assert gradcheck.below_nyquist(rng, 9, 20, 16000).max() * 20 < 8000

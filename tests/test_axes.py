"""Ground axes against plain formulas, published values and finite differences."""

import naive_transforms as naive
import numpy as np
import pytest

from spectralot import ParameterError
from spectralot.axes import AXES, a_weighting_db, axis_derivative, axis_positions

BINS = np.arange(1025) * 16000 / 2048


@pytest.mark.parametrize("axis", ["hz", "log", "cents", "mel", "erb"])
def test_positions_match_the_plain_formula(axis):
    f = np.geomspace(1e-3, 2e4, 50)
    expected = [naive.position(x, axis) for x in f]
    np.testing.assert_allclose(axis_positions(f, axis), expected, rtol=1e-12, atol=1e-12)


def test_published_values():
    assert axis_positions(1000.0, "mel") == pytest.approx(1000, abs=0.02)
    # the width of an ERB, 24.7 (4.37 f + 1) Hz with f in kHz, is the slope's inverse
    erb_hz = 1 / axis_derivative([100.0, 1000.0, 4000.0], "erb")
    np.testing.assert_allclose(erb_hz, 24.7 * (4.37 * np.array([0.1, 1, 4]) + 1), rtol=5e-3)
    # IEC 61672-1, table 3, at its exact frequencies 1000 * 10^(n / 10)
    table = {-17: -50.5, -10: -19.1, -5: -6.6, 0: 0.0, 4: 1.3, 6: 1.0, 10: -2.5, 13: -9.3}
    found = a_weighting_db([1000 * 10 ** (0.1 * n) for n in table])
    np.testing.assert_allclose(found, list(table.values()), atol=0.06)


def test_the_axes_of_the_paper(reference):
    stored = reference("sot")
    assert np.array_equal(axis_positions(BINS, "linear"), np.arange(1025) / 1024)
    for n_fft in (512, 2048):
        f = np.arange(n_fft // 2 + 1) * 16000 / n_fft
        found = axis_positions(f, "linear"), axis_positions(f, "log")
        np.testing.assert_allclose(found[0], stored[f"positions_lin_{n_fft}"], atol=1e-12)
        np.testing.assert_allclose(found[1], stored[f"positions_log_{n_fft}"], atol=1e-12)


@pytest.mark.parametrize("axis", AXES)
def test_derivative_is_that_of_the_positions(axis):
    f = np.array([[31.0, 100.0, 440.0], [3.0, 2000.0, 9000.0]])
    reference = 5000.0 if axis in ("linear", "cents") else None
    step = 1e-4 * f
    high = axis_positions(f + step, axis, reference_hz=reference)
    low = axis_positions(f - step, axis, reference_hz=reference)
    found = axis_derivative(f, axis, reference_hz=reference)
    np.testing.assert_allclose(found, (high - low) / (2 * step), rtol=1e-7)
    assert found.shape == f.shape and found.dtype == np.float64


def test_references():
    assert axis_positions([0, 50.0, 100], "linear", reference_hz=200).tolist() == [0, 0.25, 0.5]
    assert axis_positions([100.0, 200], "cents", reference_hz=100).tolist() == [0, 1200]
    assert axis_derivative([10.0, 20.0], "linear").tolist() == [0.05, 0.05]


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("f", [np.zeros(3), np.array([0.0]), BINS, 1e-12 * BINS, 1e6 * BINS])
def test_everything_is_finite(axis, f):
    assert np.isfinite(axis_positions(f, axis)).all()
    assert np.isfinite(axis_derivative(f, axis)).all()
    assert np.isfinite(a_weighting_db(f)).all()


def test_zero_hertz_stands_below_the_lowest_frequency():
    places = axis_positions(BINS, "cents")
    assert places[0] == places[1] - 1200
    assert axis_derivative(BINS, "cents")[0] == axis_derivative(BINS, "log")[0] == 0
    for axis in ("hz", "linear", "cents", "mel", "erb"):
        assert np.all(np.diff(axis_positions(BINS, axis)) > 0)


def test_positions_of_ones_own_are_copied():
    own = np.array([3.0, 1.0, 2.0])
    found = axis_positions([1, 2, 3], own)
    assert found is not own and np.array_equal(found, own)
    f = np.array([1.0, 2.0])
    assert axis_positions(f, "hz") is not f


@pytest.mark.parametrize("function", [axis_positions, axis_derivative])
@pytest.mark.parametrize(
    ("f", "axis", "options", "message"),
    [
        ([1, -2.0], "hz", {}, "frequencies_hz must be at least 0, got -2"),
        ([1, np.nan], "hz", {}, "frequencies_hz must be finite"),
        ([1], "bark", {}, "axis must be one of 'hz', 'linear', .*, got 'bark'"),
        ([1], "mel", {"reference_hz": 3}, "reference_hz must be None on the axis 'mel', got 3"),
        ([1], "cents", {"reference_hz": 0}, "reference_hz must be above 0, got 0"),
    ],
)
def test_errors(function, f, axis, options, message):
    with pytest.raises(ParameterError, match=message):
        function(f, axis, **options)


def test_errors_of_positions_of_ones_own():
    with pytest.raises(ParameterError, match=r"axis must have shape \(2,\), got \(3,\)"):
        axis_positions([1, 2], [1.0, 2, 3])
    with pytest.raises(
        ParameterError, match=r"axis must be one of .* for a derivative, got an arr"
    ):
        axis_derivative([1, 2], [1.0, 2])
    with pytest.raises(ParameterError, match="frequencies_hz must be at least 0, got -1"):
        a_weighting_db(-1.0)

"""Transport on a circle against every cut, POT and finite differences."""

import gradcheck
import naive_plans
import numpy as np
import ot
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralot import ParameterError, wasserstein_1d_forward
from spectralot.circular import (
    chroma_positions,
    circular_wasserstein_1d_backward,
    circular_wasserstein_1d_forward,
)

pytestmark = pytest.mark.usefixtures("one_thread")

POWERS = [1, 1.5, 2, 3]
SIZES = [(1, 1), (1, 6), (7, 1), (5, 5), (9, 4)]


def value_of(u, v, **options):
    return circular_wasserstein_1d_forward(u, v, **options)[0]


def gradients_of(u, v, d_value=None, **options):
    value, saved = circular_wasserstein_1d_forward(u, v, **options)
    d_value = np.ones_like(value) if d_value is None else d_value
    return circular_wasserstein_1d_backward(d_value, saved)


def cost_matrix(x, y, p, period=1.0):
    apart = np.abs(np.asarray(x)[:, None] - y) % period
    return np.minimum(apart, period - apart) ** p


# --- values --------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", POWERS)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_value_matches_every_cut(sizes, p, rng):
    rows, (n, m) = (2, 2), sizes
    u, v = rng.uniform(0, 1, (*rows, n)), rng.uniform(0, 5, (*rows, m))
    u[..., 1::3], v[..., 1::4] = 0.0, 0.0
    per_row = rng.normal(0, 4, (*rows, n)), rng.normal(0, 4, (*rows, m))
    for x, y in [per_row, (per_row[0][0, 0], per_row[1]), (per_row[0], per_row[1][0, 0])]:
        value = value_of(u, v, u_positions=x, v_positions=y, p=p, period=2.5)
        assert value.shape == rows and value.dtype == np.float64
        x_rows, y_rows = np.broadcast_to(x, u.shape), np.broadcast_to(y, v.shape)
        for r in np.ndindex(*rows):
            expected = naive_plans.circular_cost(u[r], v[r], x_rows[r], y_rows[r], p, 2.5)
            assert value[r] == pytest.approx(expected, rel=1e-11, abs=1e-14)


@given(st.integers(0, 2**32 - 1), st.sampled_from(POWERS), st.booleans())
def test_value_matches_the_linear_program(seed, p, coarse):
    """Coarse: weights and places of few values, so that levels and places of both sides meet."""
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, 12, 2)
    if coarse:
        u, v = rng.integers(0, 3, n) + 0.0, rng.integers(0, 3, m) + 0.0
        x, y = rng.integers(0, 6, n) / 6, rng.integers(0, 6, m) / 6
        u[0], v[0] = 1, 1
    else:
        u, v, x, y = (rng.uniform(0, 1, k) for k in (n, m, n, m))
    expected = ot.emd2(u / u.sum(), v / v.sum(), cost_matrix(x, y, p))
    value = value_of(u, v, u_positions=x, v_positions=y, p=p)
    assert value == pytest.approx(expected, rel=1e-10, abs=1e-14)


def test_value_of_many_bins_matches_pot(rng):
    n, m = 300, 257
    u, v = rng.uniform(0, 1, n) ** 6, rng.uniform(0, 1, m) ** 6
    x, y = rng.uniform(0, 1, n), 0.3 * rng.uniform(0, 1, m)
    for p in (1, 2):
        expected = ot.wasserstein_circle(x, y, u / u.sum(), v / v.sum(), p=p)[0]
        assert value_of(u, v, u_positions=x, v_positions=y, p=p) == pytest.approx(expected, 1e-9)


@pytest.mark.parametrize("p", POWERS)
def test_nothing_changes_when_the_circle_is_turned(p, rng):
    u, v = rng.uniform(0, 1, 20), rng.uniform(0, 1, 20)
    x = rng.uniform(0, 1, 20)
    value = value_of(u, v, u_positions=x, p=p)
    for turn in (0.37, -2.9, 5.0):
        assert value_of(u, v, u_positions=x + turn, p=p) == pytest.approx(value, rel=1e-12)
    assert value_of(v, u, u_positions=x, p=p) == pytest.approx(value, rel=1e-12)
    on_a_line, _ = wasserstein_1d_forward(u, v, u_positions=x, p=p)
    assert value <= on_a_line


def test_by_hand():
    ends = [0.05, 0.95]
    assert value_of([1, 0], [0, 1], u_positions=ends) == pytest.approx(0.1)
    assert value_of([1, 0], [0, 1], u_positions=ends, p=2) == pytest.approx(0.01)
    assert value_of([1, 0], [0, 1], u_positions=ends, period=1.5) == pytest.approx(0.6)
    assert value_of([1, 1], [1, 1], u_positions=[0.1, 0.2], v_positions=[0.9, 0.0]) == (
        pytest.approx(0.2)
    )
    assert value_of([1], [7], u_positions=[0.0], v_positions=[0.5]) == pytest.approx(0.5)
    assert value_of([1], [7], u_positions=[-1e-300], v_positions=[0.25]) == pytest.approx(0.25)


# --- gradients -----------------------------------------------------------------------------------


@pytest.mark.parametrize("p", POWERS)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_gradients(sizes, p, rng):
    rows = (3,)
    u, v = gradcheck.separate_levels(rng, *sizes, rows)
    x, y = gradcheck.separate_positions(rng, *sizes, rows)
    x += rng.integers(-3, 3, x.shape)

    def forward(u, v, x, y):
        return value_of(u, v, u_positions=x, v_positions=y, p=p)

    d_value = rng.standard_normal(rows)
    gradients = gradients_of(u, v, d_value, u_positions=x, v_positions=y, p=p)
    # one point against one: the weights do not matter at all
    flat = [np.max(np.abs(g)) < 1e-14 for g in gradients]
    checked = [None if f else g for f, g in zip(flat, gradients, strict=True)]
    assert not any(flat[2:])
    options = {"step": 1e-7, "tolerance": 1e-6}
    gradcheck.check_projected(forward, (u, v, x, y), checked, d_value, rng=rng, **options)
    gradcheck.check_elements(forward, (u, v, x, y), checked, d_value, **options)


@pytest.mark.parametrize("p", [1, 2])
def test_gradients_of_shared_positions_sum_over_the_rows(p, rng):
    rows, n, m = (2, 3), 6, 5
    u, v = gradcheck.separate_levels(rng, n, m, rows)
    x, y = gradcheck.separate_positions(rng, n, m)

    def forward(x, y):
        return value_of(u, v, u_positions=x, v_positions=y, p=p)

    d_value = rng.standard_normal(rows)
    _, _, d_x, d_y = gradients_of(u, v, d_value, u_positions=x, v_positions=y, p=p)
    gradcheck.check_elements(forward, (x, y), (d_x, d_y), d_value, step=1e-7)


@pytest.mark.parametrize("p", [1, 2])
def test_weight_gradient_on_an_even_grid(p, rng):
    """On it the median of p = 1 is an interval: the gradient is the same from either end."""
    u, v = gradcheck.separate_levels(rng, 12, 12, (4,))
    x = np.arange(12) / 12

    def forward(u, v):
        return value_of(u, v, u_positions=x, p=p)

    d_u, d_v, _, _ = gradients_of(u, v, u_positions=x, p=p)
    gradcheck.check_elements(forward, (u, v), (d_u, d_v), np.ones(4), step=1e-7)


@pytest.mark.parametrize("empty", [False, True])
@pytest.mark.parametrize("p", POWERS)
def test_gradient_is_a_pair_of_dual_potentials(p, empty, rng):
    """f_i + g_j <= c_ij everywhere, and their means make up the cost: optimal, exactly."""
    n, m = 40, 31
    u, v = rng.uniform(0, 1, (5, n)) ** 3, rng.uniform(0, 1, (5, m)) ** 3
    if empty:  # their slopes are one-sided: what a first bit of weight would change
        u[rng.uniform(0, 1, u.shape) < 0.5], v[rng.uniform(0, 1, v.shape) < 0.5] = 0, 0
    x, y = rng.uniform(0, 1, n), rng.uniform(0, 1, m)
    value = value_of(u, v, u_positions=x, v_positions=y, p=p)
    d_u, d_v, _, _ = gradients_of(u, v, u_positions=x, v_positions=y, p=p)
    for r in range(5):
        f, g = d_u[r] * u[r].sum(), d_v[r] * v[r].sum()  # both of mean 0
        excess = f[:, None] + g + value[r] - cost_matrix(x, y, p)
        assert np.max(excess[u[r] > 0]) < 1e-12 and np.max(excess[:, v[r] > 0]) < 1e-12


@pytest.mark.parametrize("p", POWERS)
def test_subgradient_where_all_levels_meet(p, rng):
    """A transposed spectrum on an even grid: every level of one side is tied with the other's."""
    n = 24
    u = rng.uniform(0.1, 1, (6, n))
    v = np.stack([3 * np.roll(row, k) for k, row in enumerate(u)])
    u[5], v[5] = 1.0, 1.0
    x = np.arange(n) / n
    y = x + np.where(np.arange(6)[:, None] == 5, 0.3 / n, 0.0)
    x_rows = np.broadcast_to(x, y.shape)
    value = value_of(u, v, u_positions=x, v_positions=y, p=p)
    d_u, d_v, _, _ = gradients_of(u, v, u_positions=x, v_positions=y, p=p)
    for r in range(6):
        f, g = d_u[r] * u[r].sum(), d_v[r] * v[r].sum()
        excess = f[:, None] + g + value[r] - cost_matrix(x_rows[r], y[r], p)
        assert np.max(excess) < 1e-12
        assert abs(f @ u[r]) < 1e-12 and abs(g @ v[r]) < 1e-12


@pytest.mark.parametrize("p", [1, 2])
def test_slope_of_the_first_weight_in_an_empty_bin(p, rng):
    u, v = gradcheck.separate_levels(rng, 12, 9, (5,))
    u[:, [0, 3, 4, 11]], v[:, [0, 5, 8]] = 0.0, 0.0
    x, y = np.sort(rng.uniform(0, 1, 12)), np.sort(rng.uniform(0, 1, 9))
    options = {"u_positions": x, "v_positions": y, "p": p}
    value = value_of(u, v, **options)
    d_u, d_v, _, _ = gradients_of(u, v, **options)
    for k in (0, 3, 4, 11):
        more = u + 1e-7 * (np.arange(12) == k)
        rise = (value_of(more, v, **options) - value) / 1e-7
        np.testing.assert_allclose(rise, d_u[:, k], rtol=1e-5, atol=1e-6)
    for k in (0, 5, 8):
        more = v + 1e-7 * (np.arange(9) == k)
        rise = (value_of(u, more, **options) - value) / 1e-7
        np.testing.assert_allclose(rise, d_v[:, k], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("p", POWERS)
def test_equal_sides_have_gradient_exactly_zero(p, rng):
    x = rng.uniform(0, 1, 24)
    single = rng.uniform(0, 1, (3, 24)).astype(np.float32)
    drawn = rng.uniform(0, 1, (3, 24)), rng.integers(0, 2, (4, 24))
    for u in (single, *drawn, np.ones((1, 24)), np.eye(24)[:3], np.zeros((2, 24))):
        assert not value_of(u, u, u_positions=x, p=p).any()
        for gradient in gradients_of(u, u, u_positions=x, p=p):
            assert not gradient.any()


@pytest.mark.parametrize("p", [1, 2])
def test_silence_and_scales(p, rng):
    u, v = rng.uniform(0, 1, (2, 4, 16))
    x = rng.uniform(0, 1, 16)
    value = value_of(u, v, u_positions=x, p=p)
    gradients = gradients_of(u, v, u_positions=x, p=p)
    for scale in (1e-12, 1e6):
        np.testing.assert_allclose(value_of(u * scale, v, u_positions=x, p=p), value, rtol=1e-12)
        found = gradients_of(u * scale, v * scale, u_positions=x, p=p)
        for k, power in enumerate((-1, -1, 0, 0)):
            np.testing.assert_allclose(found[k], gradients[k] * scale**power, rtol=1e-9)
    u[1], v[2] = 0.0, 0.0
    assert value_of(u, v, u_positions=x, p=p)[[1, 2]].tolist() == [0, 0]
    d_u, d_v, _, _ = gradients_of(u, v, u_positions=x, p=p)
    assert not d_u[[1, 2]].any() and not d_v[[1, 2]].any() and d_u[[0, 3]].any()
    assert not value_of(u, v, u_positions=x, p=p, mass_floor=1e9).any()


def test_dtypes_and_threads(rng, with_threads):
    u, v = rng.uniform(0, 1, (2, 37, 50)).astype(np.float32)
    x = rng.uniform(0, 1, 50)

    def call():
        value, saved = circular_wasserstein_1d_forward(u, v, u_positions=x)
        return value, *circular_wasserstein_1d_backward(np.ones(37), saved)

    found = with_threads(2, call)
    assert all(np.array_equal(a, b) for a, b in zip(found, with_threads(1, call), strict=True))
    assert [a.dtype.itemsize for a in found] == [8, 4, 4, 4, 4]
    exact = gradients_of(u.astype(float), v.astype(float), u_positions=x)
    for a, b in zip(found[1:], exact, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6 * np.abs(b).max())


# --- pitch classes -------------------------------------------------------------------------------


def test_chroma_positions():
    c, a, below = chroma_positions([440 * 2 ** (-9 / 12), 440, 440 * 2 ** (-10 / 12)])
    assert c == 0 and a == pytest.approx(0.75) and below == pytest.approx(11 / 12)
    assert chroma_positions([0, 55, 220], reference_hz=110).tolist() == [0, 0, 0]
    assert chroma_positions(np.full((2, 3), 30.0)).shape == (2, 3)
    tiny = chroma_positions(np.r_[5e-324, 1e308, np.nextafter(440, 0)], reference_hz=440)
    assert np.all((tiny >= 0) & (tiny < 1))


def test_octaves_are_no_distance_and_a_semitone_is_one():
    frequencies = np.array([110.0, 220.0, 233.08188, 880.0])
    x = chroma_positions(frequencies)
    assert value_of([1, 0, 0, 0], [0, 0.5, 0, 1], u_positions=x) == pytest.approx(0, abs=1e-15)
    assert value_of([1, 0, 0, 0], [0, 0, 1, 0], u_positions=x) == pytest.approx(1 / 12, abs=1e-7)


# --- messages ------------------------------------------------------------------------------------

X = {"u_positions": [0, 0.5]}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: value_of([1, -1], [1, 1], **X), "u_weights must not be negative, got -1.0"),
        (lambda: value_of([1, 1], [1, np.inf], **X), "v_weights must be finite, got inf"),
        (lambda: value_of([1, 1], [1, 1], period=0, **X), "period must be above 0, got 0"),
        (lambda: value_of([1, 1], [1, 1], p=0.5, **X), "p must be at least 1, got 0.5"),
        (lambda: value_of([1, 1], [1, 1, 1], **X), "v_positions must be given when"),
        (lambda: value_of([1, 1], [1, 1], u_positions=[1]), r"u_positions must have shape \(2,\)"),
        (lambda: gradients_of([1, 1], [1, 1], [1.0], **X), "d_value must have 0 dimension"),
        (lambda: chroma_positions([100, -3]), "frequencies_hz must not be negative, got -3"),
        (lambda: chroma_positions([100], reference_hz=0), "reference_hz must be above 0, got 0"),
    ],
)
def test_messages(call, message):
    with pytest.raises(ParameterError, match=message):
        call()

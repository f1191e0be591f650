"""Quantiles, plans, displacement interpolation and barycenters against loops, POT and SciPy."""

import naive_plans
import numpy as np
import ot
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralot import ParameterError, wasserstein_1d_forward
from spectralot.plan import (
    displacement_interpolation,
    quantile_function,
    transport_plan,
    wasserstein_barycenter,
)

pytestmark = pytest.mark.usefixtures("one_thread")

SIZES = [(1, 1), (1, 6), (7, 1), (5, 5), (9, 4)]


def draw(rng, n, m=None):
    """Weights with empty bins for two sides, and their positions in no order."""
    m = n if m is None else m
    u, v = rng.uniform(0.1, 1, n), 3 * rng.uniform(0.1, 1, m)
    u[1::3], v[2::4] = 0.0, 0.0
    return u, v, rng.normal(size=n), rng.normal(size=m)


# --- quantiles -----------------------------------------------------------------------------------


def test_quantiles_match_the_loops(rng):
    levels = np.r_[0.0, rng.uniform(0, 1, 9), 1.0]
    rows, n = (2, 3), 8
    w = np.stack([draw(rng, n)[0] * rng.uniform(0.1, 3) for _ in range(6)]).reshape(*rows, n)
    own = rng.normal(size=(*rows, n))
    for x in (own, own[0, 0], np.sort(own), np.sort(own[0, 0])):
        found = quantile_function(w, levels, positions=x)
        assert found.shape == (*rows, 11) and found.dtype == np.float64
        for r in np.ndindex(*rows):
            row = np.broadcast_to(x, w.shape)[r]
            assert found[r].tolist() == [naive_plans.quantile(w[r], row, s) for s in levels]
    each = rng.uniform(0, 1, (*rows, 4))
    found = quantile_function(w, each, positions=own)
    assert np.array_equal(found[1, 2], quantile_function(w[1, 2], each[1, 2], positions=own[1, 2]))


def test_quantiles_at_jumps_and_of_one_level():
    x = [3.0, 1.0, 2.0]  # in order of position the weights are 1, 0, 1
    assert quantile_function([1, 1, 0], [0, 0.5, 0.501, 1], positions=x).tolist() == [1, 1, 3, 3]
    one = quantile_function(np.ones((4, 3)), 0.5, positions=x)
    assert one.tolist() == [2.0] * 4
    assert quantile_function([0, 1, 0], 0.3, positions=x).shape == ()


def test_quantiles_of_silence_and_of_extreme_scales(rng):
    assert quantile_function(np.zeros(3), [0, 0.5, 1], positions=[3, 1, 2]).tolist() == [1, 1, 1]
    u, _, x, _ = draw(rng, 9)
    levels = rng.uniform(0, 1, 20)
    expected = quantile_function(u, levels, positions=x)
    for scale in (1e-300, 1e-12, 1e6):
        assert np.array_equal(quantile_function(u * scale, levels, positions=x), expected)


# --- the plan ------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_plan_matches_the_loops_and_pot(sizes, rng):
    u, v, x, y = draw(rng, *sizes)
    plan = transport_plan(u, v, u_positions=x, v_positions=y)
    expected = naive_plans.plan(u, v, x, y)
    assert list(zip(plan.source, plan.target, strict=True)) == [(i, j) for i, j, _ in expected]
    np.testing.assert_allclose(plan.mass, [mass for _, _, mass in expected], rtol=1e-12)
    assert len(plan.mass) <= sum(sizes) - 1 and plan.mass.min() > 0
    assert plan.mass.sum() == pytest.approx(1, abs=1e-15)
    dense = plan.toarray()
    np.testing.assert_allclose(dense.sum(1), u / u.sum(), atol=1e-15)
    np.testing.assert_allclose(dense.sum(0), v / v.sum(), atol=1e-15)
    np.testing.assert_allclose(
        dense, ot.emd_1d(x, y, u / u.sum(), v / v.sum(), metric="euclidean"), atol=1e-14
    )
    for p in (1, 1.5, 2, 3):
        value, _ = wasserstein_1d_forward(u, v, u_positions=x, v_positions=y, p=p)
        assert plan.cost(p) == pytest.approx(float(value), rel=1e-12)
        distances = np.abs(x[:, None] - y) ** p
        assert plan.cost(p) == pytest.approx(ot.emd2(u / u.sum(), v / v.sum(), distances))


def test_plan_is_in_order_and_can_be_followed(rng):
    u, v, x, y = draw(rng, 12, 7)
    plan = transport_plan(u, v, u_positions=x, v_positions=y)
    assert np.array_equal(plan.positions_at(0), x[plan.source])
    np.testing.assert_allclose(plan.positions_at(1), y[plan.target], rtol=1e-15)
    middle = plan.positions_at(0.3)
    np.testing.assert_allclose(middle, 0.7 * x[plan.source] + 0.3 * y[plan.target], rtol=1e-14)
    assert np.all(np.diff(middle) >= 0)


def test_plan_of_equal_sides_stays_where_it_is(rng):
    for u in (rng.uniform(0, 1, 50), np.ones(7, np.float32), np.eye(4)[2]):
        plan = transport_plan(u, u, u_positions=rng.normal(size=len(u)))
        assert np.array_equal(plan.source, plan.target) and plan.cost(1) == 0
    for scale in (1e-12, 1e6):
        plan = transport_plan(u * scale, u, u_positions=rng.normal(size=4))
        assert plan.source.tolist() == plan.target.tolist() == [2] and plan.mass.tolist() == [1.0]


# --- interpolation -------------------------------------------------------------------------------


def test_interpolation_matches_the_loops(rng):
    rows, n = (2, 2), 9
    drawn = [draw(rng, n) for _ in range(4)]
    u, v, own, _ = (np.reshape([d[k] for d in drawn], (*rows, n)) for k in range(4))
    times = rng.uniform(0, 1, rows)
    for x in (own, own[0, 0], np.sort(own[0, 0])):
        for t in (0.25, times):
            found = displacement_interpolation(u, v, t, positions=x)
            for r in np.ndindex(*rows):
                expected = naive_plans.interpolation(
                    u[r], v[r], np.broadcast_to(t, rows)[r], np.broadcast_to(x, u.shape)[r]
                )
                np.testing.assert_allclose(found[r], expected, rtol=1e-10, atol=1e-12)


@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_interpolation_keeps_mass_and_mean(seed, t):
    rng = np.random.default_rng(seed)
    u, v, x, _ = draw(rng, 11)
    w = displacement_interpolation(u, v, t, positions=x)
    total = (1 - t) * u.sum() + t * v.sum()
    mean = (1 - t) * (u @ x) / u.sum() + t * (v @ x) / v.sum()
    assert w.min() >= 0 and w.sum() == pytest.approx(total, rel=1e-13)
    assert w @ x / total == pytest.approx(mean, abs=1e-12)


def test_interpolation_at_its_ends_and_between_equals(rng):
    u, v, x, _ = draw(rng, 30)
    assert np.array_equal(displacement_interpolation(u, v, 0, positions=x), u)
    assert np.array_equal(displacement_interpolation(u, v, 1, positions=x), v)
    u[3:6] = 1e-14, 3e-17, 1e-12  # a wide range of levels stays itself, bin by bin
    np.testing.assert_allclose(displacement_interpolation(u, u, 0.4, positions=x), u, rtol=1e-12)
    glide = displacement_interpolation([u] * 3, [v] * 3, [0, 0.4, 1], positions=x)
    assert np.array_equal(glide[0], u) and np.array_equal(glide[2], v)
    assert np.array_equal(glide[1], displacement_interpolation(u, v, 0.4, positions=x))


def test_interpolation_moves_peaks_and_distances_go_linearly(rng):
    x = np.arange(101.0)
    u, v = np.zeros(101), np.zeros(101)
    u[[20, 50]], v[[40, 90]] = (1, 2), (1, 2)
    w = displacement_interpolation(u, v, 0.5, positions=x)
    assert np.flatnonzero(w).tolist() == [30, 70] and w[[30, 70]].tolist() == [1, 2]
    u, v = rng.uniform(0, 1, 101), rng.uniform(0, 1, 101) * x
    whole, part = (
        float(wasserstein_1d_forward(u, w, u_positions=x, p=1)[0])
        for w in (v, displacement_interpolation(u, v, 0.3, positions=x))
    )
    assert part == pytest.approx(0.3 * whole, rel=1e-2)  # the grid blurs a little


def test_interpolation_of_silence_one_bin_and_extreme_scales(rng):
    u, v, x, _ = draw(rng, 6)
    silent = np.zeros(6)
    for scale in (1e-300, 1e-12, 1.0, 1e6):
        w = displacement_interpolation(u * scale, v * scale, 0.5, positions=x)
        np.testing.assert_allclose(
            w / scale, displacement_interpolation(u, v, 0.5, positions=x), rtol=1e-12
        )
        fade = displacement_interpolation(silent, v * scale, 0.25, positions=x)
        np.testing.assert_allclose(fade, 0.25 * v * scale, rtol=1e-15)
    assert not displacement_interpolation(silent, silent, 0.5, positions=x).any()
    assert displacement_interpolation([2.0], [4.0], 0.5, positions=[7.0]).tolist() == [3.0]
    same_place = displacement_interpolation(u, v, 0.5, positions=np.ones(6))
    assert same_place.sum() == pytest.approx(0.5 * (u.sum() + v.sum()))


def test_dtypes_and_threads(rng, with_threads):
    u, v = rng.uniform(0, 1, (2, 33, 40)).astype(np.float32)
    x = np.arange(40.0)
    single, double = (
        displacement_interpolation(u.astype(d), v.astype(d), 0.3, positions=x)
        for d in (np.float32, np.float64)
    )
    assert single.dtype == np.float32 and double.dtype == np.float64
    np.testing.assert_allclose(single, double, rtol=1e-6)
    assert displacement_interpolation(u, v.astype(float), 0.3, positions=x).dtype == np.float64
    assert wasserstein_barycenter(u, positions=x).dtype == np.float32
    for call in (
        lambda: displacement_interpolation(u, v, 0.3, positions=x),
        lambda: quantile_function(u, [0.1, 0.9], positions=x),
    ):
        assert np.array_equal(with_threads(1, call), with_threads(2, call))


# --- barycenters ---------------------------------------------------------------------------------


def test_barycenter_matches_the_loops(rng):
    S, n = 4, 7
    w = np.stack([draw(rng, n)[0] * rng.uniform(0.5, 2) for _ in range(S)])
    shares = rng.uniform(0.1, 1, S)
    shares /= shares.sum()
    x, own = rng.normal(size=n), rng.normal(size=(S, n))
    grid = rng.uniform(-1, 1, 5)  # narrower than the positions, and in no order
    expected = naive_plans.barycenter(w, shares, [x] * S, x)
    np.testing.assert_allclose(
        wasserstein_barycenter(w, 3 * shares, positions=x), expected, rtol=1e-10, atol=1e-12
    )
    expected = naive_plans.barycenter(w, shares, own, grid)
    np.testing.assert_allclose(
        wasserstein_barycenter(w, shares, positions=own, grid=grid), expected, rtol=1e-10
    )


@pytest.mark.parametrize("t", [0.0, 0.3, 1.0])
def test_barycenter_of_two_is_the_interpolation(t, rng):
    u, v, x, _ = draw(rng, 25)
    np.testing.assert_allclose(
        wasserstein_barycenter([u, v], [1 - t, t], positions=x),
        displacement_interpolation(u, v, t, positions=x),
        rtol=1e-10, atol=1e-13,
    )  # fmt: skip


def test_barycenter_is_the_cheapest(rng):
    """No other weights on a fine grid have a smaller mean W_2^2."""
    x = np.linspace(0, 1, 401)
    w = np.stack([np.exp(-(((x - c) / 0.05) ** 2)) for c in (0.2, 0.35, 0.7)])
    shares = np.array([0.5, 0.3, 0.2])

    def mean_cost(weights):
        values, _ = wasserstein_1d_forward(w, np.stack([weights] * 3), u_positions=x, p=2)
        return float(shares @ values)

    best = wasserstein_barycenter(w, shares, positions=x)
    assert np.argmax(best) == pytest.approx(400 * (0.5 * 0.2 + 0.3 * 0.35 + 0.2 * 0.7), abs=2)
    for other in (*w, shares @ w, np.roll(best, 3), np.roll(best, -3)):
        assert mean_cost(other) > mean_cost(best) + 1e-5


def test_barycenter_of_silence_of_equals_and_of_one(rng):
    u, v, x, _ = draw(rng, 8)
    silent = np.zeros(8)
    assert not wasserstein_barycenter([silent, silent], positions=x).any()
    np.testing.assert_allclose(
        wasserstein_barycenter([silent, v], [0.75, 0.25], positions=x), 0.25 * v, atol=1e-14
    )
    np.testing.assert_allclose(wasserstein_barycenter([u, u, u], positions=x), u, atol=1e-14)
    np.testing.assert_allclose(wasserstein_barycenter([u], positions=x), u, atol=1e-14)
    for scale in (1e-300, 1e-12, 1e6):
        np.testing.assert_allclose(
            wasserstein_barycenter([scale * u, scale * v], positions=x) / scale,
            wasserstein_barycenter([u, v], positions=x), rtol=1e-12,
        )  # fmt: skip


# --- messages ------------------------------------------------------------------------------------

TWO = {"positions": [0, 1]}
X = {"u_positions": [0, 1]}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: quantile_function([1, -2], 0.5, **TWO),
         r"weights must not be negative, got -2.0 at index \(1,\)"),
        (lambda: quantile_function([1, 2], 1.5, **TWO), "levels must lie between 0 and 1, got 1.5"),
        (lambda: quantile_function([1, 2], -0.5, **TWO), "levels must lie .* got -0.5"),
        (lambda: quantile_function([1, np.nan], 0.5, **TWO), "weights must be finite, got nan"),
        (lambda: quantile_function(np.ones((3, 2)), np.ones((2, 1)), **TWO),
         r"levels must have the leading shape of weights \(3,\) or none, got \(2,\)"),
        (lambda: quantile_function([1, 2], 0.5, positions=[1, 2, 3]),
         r"positions must have shape \(2,\), got \(3,\)"),
        (lambda: quantile_function(1, 0.5, **TWO), r"weights must have 1 dimension\(s\), got"),
        (lambda: quantile_function([], 0.5, **TWO), "weights must not be empty"),
        (lambda: transport_plan([0, 0], [1, 2], **X), "u_weights must have mass, got a sum of 0"),
        (lambda: transport_plan([1, 2], [0, 0], **X), "v_weights must have mass, got a sum of 0"),
        (lambda: transport_plan([1, 2], [1, 2, 3], **X), "v_positions must be given when"),
        (lambda: transport_plan([[1, 2]], [[1, 2]], **X), "u_weights must have 1 dimension"),
        (lambda: transport_plan([1, 2], [1, 2], **X).cost(0.5), "p must be at least 1, got 0.5"),
        (lambda: transport_plan([1, 2], [1, 2], **X).positions_at(2), "t must lie between 0 and 1"),
        (lambda: displacement_interpolation([1, 2], [1, 2, 3], 0.5, **TWO),
         r"v_weights must have shape \(2,\), got \(3,\)"),
        (lambda: displacement_interpolation([1, 2], [1, 2], 1.01, **TWO),
         "t must lie between 0 and 1, got 1.01"),
        (lambda: displacement_interpolation(np.ones((3, 2)), np.ones((3, 2)), [0, 1], **TWO),
         r"t must have shape \(\) or \(3,\), got \(2,\)"),
        (lambda: wasserstein_barycenter([1, 2], **TWO), "weights must have 2 dimension"),
        (lambda: wasserstein_barycenter([[1, 2]], [1, 1], **TWO),
         r"shares must have shape \(1,\), got \(2,\)"),
        (lambda: wasserstein_barycenter([[1, 2]], [-1], **TWO),
         r"shares must not be negative and one must be above 0, got \[-1.0\]"),
        (lambda: wasserstein_barycenter([[1, 2]], [0], **TWO), "one must be above 0"),
        (lambda: wasserstein_barycenter(np.ones((2, 2)), positions=np.ones((2, 2))),
         r"grid must be given when each spectrum has positions of its own, got \(2, 2\)"),
    ],
)  # fmt: skip
def test_messages(call, message):
    with pytest.raises(ParameterError, match=message):
        call()

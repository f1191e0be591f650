"""1-D optimal transport against loops, finite differences, the reference, POT and SciPy."""

import gradcheck
import naive
import numpy as np
import ot
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from spectralot import ParameterError, wasserstein_1d_backward, wasserstein_1d_forward
from spectralot.cpu.transport import charge_silence

pytestmark = pytest.mark.usefixtures("one_thread")

MASSES = ["balanced", "cutoff"]
POWERS = [1, 1.5, 2, 3]
SIZES = [(1, 1), (1, 6), (7, 1), (5, 5), (9, 4)]  # points of u and of v

both_masses = pytest.mark.parametrize("mass", MASSES)
all_powers = pytest.mark.parametrize("p", POWERS)


def value_of(u, v, **options):
    return wasserstein_1d_forward(u, v, **options)[0]


def gradients_of(u, v, d_value=None, **options):
    value, saved = wasserstein_1d_forward(u, v, **options)
    return wasserstein_1d_backward(np.ones_like(value) if d_value is None else d_value, saved)


# --- values --------------------------------------------------------------------------------------


@all_powers
@both_masses
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_value_matches_the_loops(sizes, mass, p, rng):
    n, m = sizes
    rows = (2, 3)
    u, v = rng.uniform(0, 1, (*rows, n)), rng.uniform(0, 1, (*rows, m))
    u[..., 1::3] = 0.0  # empty bins
    v[..., 1::4] = 0.0
    v *= rng.uniform(0.2, 2.0, (*rows, 1)) * u.sum(-1, keepdims=True) / v.sum(-1, keepdims=True)
    per_row = rng.normal(0, 2, (*rows, n)), rng.normal(0, 2, (*rows, m))
    for x, y in [(per_row[0], per_row[1]), (per_row[0][0, 0], per_row[1]),
                 (per_row[0], per_row[1][0, 0]), (np.sort(per_row[0][0, 0]), per_row[1][0, 0]),
                 (np.sort(per_row[0]), np.sort(per_row[1]))]:  # fmt: skip
        value = value_of(u, v, u_positions=x, v_positions=y, p=p, mass=mass)
        assert value.shape == rows and value.dtype == np.float64
        x_rows, y_rows = np.broadcast_to(x, u.shape), np.broadcast_to(y, v.shape)
        for r in np.ndindex(*rows):
            expected = naive.wasserstein_1d(u[r], v[r], x_rows[r], y_rows[r], p=p, mass=mass)
            assert value[r] == pytest.approx(expected, rel=1e-11, abs=1e-14)


@both_masses
def test_one_row_gives_one_number_and_rows_are_independent(mass, rng):
    u, v = rng.uniform(0, 1, (4, 8)), rng.uniform(0, 1, (4, 6))
    x, y = rng.normal(size=8), rng.normal(size=6)
    options = {"u_positions": x, "v_positions": y, "mass": mass}
    value = value_of(u, v, **options)
    d_u, d_v, d_x, d_y = gradients_of(u, v, **options)
    rows = [wasserstein_1d_forward(u[r], v[r], **options) for r in range(4)]
    singles = [wasserstein_1d_backward(1.0, saved) for _, saved in rows]
    for r in range(4):
        assert isinstance(rows[r][0], np.float64) and rows[r][0] == value[r]
        assert np.array_equal(singles[r][0], d_u[r]) and np.array_equal(singles[r][1], d_v[r])
    np.testing.assert_allclose(d_x, sum(s[2] for s in singles), rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(d_y, sum(s[3] for s in singles), rtol=1e-13, atol=1e-15)


@both_masses
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_grid_without_position_gradients_is_the_same_transport(mass, dtype, rng):
    u, v = rng.uniform(0, 1, (2, 30, 17)).astype(dtype)
    u[:, 1::3] = 0.0
    v[:10] *= 3.0
    v[10:20, :4] = u[10:20, :4]  # levels tie under cutoff
    u[20], v[21], u[22], u[23] = 0.0, 0.0, v[22], np.eye(17)[5]
    for x in (np.sort(rng.normal(size=17)), rng.normal(size=17), np.arange(17) // 2):
        options = {"u_positions": x, "p": 1, "mass": mass, "mass_floor": 1e-9}
        value, saved = wasserstein_1d_forward(u, v, position_gradients=False, **options)
        expected, merged = wasserstein_1d_forward(u, v, **options)
        np.testing.assert_allclose(value, expected, rtol=1e-12, atol=1e-14)
        for side, weights in (("u", u), ("v", v)):
            there = weights > 0  # bins without can only gain: the two may differ in that slope
            found, wanted = saved.unit(side)[there], merged.unit(side)[there]
            np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-7)


@all_powers
@both_masses
def test_without_position_gradients_nothing_else_changes(mass, p, rng):
    u, v = rng.uniform(0.1, 1, (2, 3, 6))
    x, rows = np.sort(rng.normal(size=(2, 6)), axis=1), np.sort(rng.normal(size=(3, 6)), axis=1)
    for options in ({"u_positions": x[0]}, {"u_positions": x[0], "v_positions": x[1]},
                    {"u_positions": rows}, {"u_positions": rows, "v_positions": x[0]}):  # fmt: skip
        value, saved = wasserstein_1d_forward(u, v, p=p, mass=mass, **options)
        fewer, fewer_saved = wasserstein_1d_forward(
            u, v, p=p, mass=mass, position_gradients=False, **options
        )
        np.testing.assert_allclose(fewer, value, rtol=1e-12)
        *of_weights, d_x, d_y = wasserstein_1d_backward(np.ones(3), fewer_saved)
        assert d_x is None and d_y is None
        wanted = wasserstein_1d_backward(np.ones(3), saved)
        for found, expected in zip(of_weights, wanted, strict=False):
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@both_masses
@pytest.mark.parametrize("n_rows", range(1, 10))
def test_every_row_counts(n_rows, mass, rng):
    """Rows go in fours: none of the last ones is left out."""
    u, v = rng.uniform(0.1, 1, (2, n_rows, 5))
    x = np.sort(rng.normal(size=5))
    expected = [naive.wasserstein_1d(*row, x, x, p=1, mass=mass) for row in zip(u, v, strict=True)]
    for moved in (True, False):
        value = value_of(u, v, u_positions=x, p=1, mass=mass, position_gradients=moved)
        np.testing.assert_allclose(value, expected, rtol=1e-11)


@both_masses
def test_one_grid_gradients(mass, rng):
    u, v = gradcheck.separate_levels(rng, 9, 9, (4,), mass=mass, v_mass=0.8)
    x = np.sort(rng.normal(size=9))
    options = {"u_positions": x, "p": 1, "mass": mass, "position_gradients": False}
    d_value = rng.normal(size=4)
    d_u, d_v, d_x, d_y = gradients_of(u, v, d_value, **options)
    assert d_x is None and d_y is None
    gradcheck.check_elements(
        lambda u, v: value_of(u, v, **options), (u, v), (d_u, d_v), d_value, step=1e-6
    )


@pytest.mark.parametrize("far", ["u", "v", "both"])
@pytest.mark.parametrize("shared", [True, False])
def test_gradients_beyond_their_dtype_are_its_largest_number(far, shared):
    near, wide = np.array([[0.0, 1.0], [0.0, 2.0]]), np.array([[0.0, 1.0], [0.0, 1e25]])
    x, y = (wide if far in (side, "both") else near for side in "uv")
    if shared:
        x, y = x[1], y[1]
    u, v = np.array([[[1, 1], [1, 3]], [[3, 1], [4, 1]]], np.float32)
    *found, _, _ = gradients_of(u, v, u_positions=x, v_positions=y)
    *wanted, _, _ = gradients_of(*(w.astype(float) for w in (u, v)), u_positions=x, v_positions=y)
    largest = np.finfo(np.float32).max
    assert all(np.array_equal(f, np.clip(w, -largest, largest).astype(np.float32))
               for f, w in zip(found, wanted, strict=True))  # fmt: skip
    assert max(np.abs(f).max() for f in found) == largest


@pytest.mark.parametrize("far", ["u", "v"])
@pytest.mark.parametrize("row", [0, 1])
def test_powers_beyond_floats_are_refused(far, row):
    places = {"u": np.array([[0.0, 1.0], [0.0, 2.0]]), "v": np.array([[0.0, 1.0], [0.0, 2.0]])}
    places[far][row] = [-1e25, 1e25]
    weights = np.ones((2, 2))
    for x, y in ((places["u"], places["v"]), (places["u"][row], places["v"][row])):
        options = {"u_positions": x, "v_positions": y}
        with pytest.raises(ParameterError, match=r"p must be .*2e[+]25 to the power of 13"):
            value_of(weights, weights, p=13, **options)
        value_of(weights, weights, p=12, **options)


def test_sums_beyond_floats_and_ragged_rows_are_refused():
    with pytest.raises(ParameterError, match=r"weights must have a finite sum, got .* in row 0"):
        value_of([1e308, 1e308], [1, 1], u_positions=[0, 1])
    with pytest.raises(ParameterError, match="u_weights must be an array of real numbers"):
        value_of([[1, 2], [3]], [1, 1], u_positions=[0, 1])


def test_by_hand():
    x = np.array([0.0, 1.0, 3.0])
    u, v = np.array([1.0, 1.0, 0.0]), np.array([0.0, 1.0, 1.0])
    assert value_of(u, v, u_positions=x, p=1) == pytest.approx(0.5 * 1 + 0.5 * 2)
    assert value_of(u, v, u_positions=x, p=2) == pytest.approx(0.5 * 1 + 0.5 * 4)
    # twice the mass: only the first of v's two units is below the level 1
    assert value_of(u, 2 * v, u_positions=x, mass="cutoff") == pytest.approx(0.5 * 1 + 0.5 * 0)
    # half the mass: the upper half of u goes to v's last position
    assert value_of(u, v / 2, u_positions=x, mass="cutoff") == pytest.approx(
        0.25 * 1 + 0.25 * 9 + 0.5 * 4
    )
    # the last position serves even if v has no mass there
    v = np.array([0.5, 0.0, 0.0])
    assert value_of(u, v, u_positions=x, mass="cutoff") == pytest.approx(0.25 * 9 + 0.5 * 4)


# --- gradients -----------------------------------------------------------------------------------

GRADIENT_CASES = [("balanced", 1.0), ("cutoff", 0.6), ("cutoff", 1.7)]


@all_powers
@pytest.mark.parametrize(("mass", "v_mass"), GRADIENT_CASES)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_gradients_of_rows_with_their_own_positions(sizes, mass, v_mass, p, rng):
    rows = (3,)
    u, v = gradcheck.separate_levels(rng, *sizes, rows, mass=mass, v_mass=v_mass)
    x, y = gradcheck.separate_positions(rng, *sizes, rows)

    def forward(u, v, x, y):
        return value_of(u, v, u_positions=x, v_positions=y, p=p, mass=mass)

    d_value = rng.standard_normal(rows)
    gradients = gradients_of(u, v, d_value, u_positions=x, v_positions=y, p=p, mass=mass)
    inputs = (u, v, x, y)
    # one point against one: in balanced mode the weights do not matter at all
    flat = [np.max(np.abs(g)) < 1e-14 for g in gradients]
    checked = [None if f else g for f, g in zip(flat, gradients, strict=True)]
    assert not any(flat[2:])
    options = {"step": 1e-6, "tolerance": 1e-6}
    gradcheck.check_projected(forward, inputs, checked, d_value, rng=rng, **options)
    gradcheck.check_elements(forward, inputs, checked, d_value, **options)


@both_masses
def test_gradients_of_shared_positions_sum_over_the_rows(mass, rng):
    rows, n, m = (2, 3), 6, 4
    u, v = gradcheck.separate_levels(rng, n, m, rows, mass=mass, v_mass=0.8)
    x, y = gradcheck.separate_positions(rng, n, m)

    def forward(x, y):
        return value_of(u, v, u_positions=x, v_positions=y, mass=mass)

    d_value = rng.standard_normal(rows)
    _, _, d_x, d_y = gradients_of(u, v, d_value, u_positions=x, v_positions=y, mass=mass)
    gradcheck.check_elements(forward, (x, y), (d_x, d_y), d_value)


@both_masses
def test_shared_positions_of_many_rows_sum_over_all(mass, rng):
    """More rows than pieces of work."""
    u, v = rng.uniform(0.1, 1, (2, 150, 4))
    x, y, d_value = rng.normal(size=4), rng.normal(size=4), rng.standard_normal(150)
    options = {"mass": mass, "v_positions": y}
    *_, d_x, d_y = gradients_of(u, v, d_value, u_positions=x, **options)
    own = np.broadcast_to(x, u.shape)
    *_, own_x, same_y = gradients_of(u, v, d_value, u_positions=own, **options)
    np.testing.assert_allclose(d_x, own_x.sum(axis=0), rtol=1e-11, atol=1e-13)
    np.testing.assert_array_equal(d_y, same_y)
    *_, own_y = gradients_of(
        u, v, d_value, u_positions=x, v_positions=np.broadcast_to(y, v.shape), mass=mass
    )
    np.testing.assert_allclose(d_y, own_y.sum(axis=0), rtol=1e-11, atol=1e-13)


@all_powers
@both_masses
def test_one_set_of_positions_for_both_sides(mass, p, rng):
    u, v = gradcheck.separate_levels(rng, 7, 7, (4,), mass=mass, v_mass=0.7)
    x, _ = gradcheck.separate_positions(rng, 7, 1)
    d_value = rng.standard_normal(4)
    shared = gradients_of(u, v, d_value, u_positions=x, p=p, mass=mass)
    twice = gradients_of(u, v, d_value, u_positions=x, v_positions=x.copy(), p=p, mass=mass)
    assert all(np.array_equal(a, b) for a, b in zip(shared, twice, strict=True))
    assert shared[3].shape == x.shape

    def forward(u, v, x):
        return value_of(u, v, u_positions=x, p=p, mass=mass)

    total = (shared[0], shared[1], shared[2] + shared[3])
    gradcheck.check_elements(forward, (u, v, x), total, d_value, step=1e-6)


def test_gradients_are_scaled_by_d_value(rng):
    u, v = rng.uniform(0.1, 1, (3, 5)), rng.uniform(0.1, 1, (3, 5))
    x = rng.normal(size=(3, 5))
    one = gradients_of(u, v, np.ones(3), u_positions=x)
    scaled = gradients_of(u, v, np.array([2.0, 0.0, -4.0]), u_positions=x)
    for a, b in zip(one, scaled, strict=True):
        assert np.array_equal(b, a * np.array([[2.0], [0.0], [-4.0]]))


# levels that meet exactly: multiples of 1/8 and 1/4
TIES = [
    ([1, 2, 1, 4], [2, 1, 1, 4], 1.0),
    ([2, 2, 2, 2], [2, 2, 2, 2], 1.0),
    ([1, 1, 1, 1], [2, 2, 2, 2], 0.5),
    ([4, 1, 2, 1], [1, 3, 2, 2], 1.0),
    ([1, 5, 1, 1], [3, 3, 1, 1], 1.0),
]


@all_powers
@both_masses
@pytest.mark.parametrize(("u", "v", "scale"), TIES)
def test_at_ties_the_weight_gradient_is_the_mean_of_both_sides(u, v, scale, mass, p):
    """A central difference across a kink is just that mean."""
    u, v = np.array(u, dtype=float), np.array(v) * scale
    x, y = np.array([0.1, 0.3, 0.75, 1.0]), np.array([0.0, 0.4, 0.6, 0.9])
    options = {"u_positions": x, "v_positions": y, "p": p, "mass": mass}
    d_u, d_v, _, _ = gradients_of(u, v, **options)
    gradcheck.check_elements(
        lambda u, v: value_of(u, v, **options), (u, v), (d_u, d_v), 1.0, step=1e-6, tolerance=1e-5
    )


@all_powers
@both_masses
@pytest.mark.parametrize(
    ("u", "v"),
    [
        ([0, 2, 2, 4], [0, 2, 2, 4]), ([0, 2, 2, 4], [2, 0, 2, 4]), ([2, 0, 2, 4], [0, 2, 2, 4]),
        ([0, 0, 4, 4], [0, 4, 0, 4]), ([2, 2, 4, 0], [2, 2, 0, 4]), ([2, 2, 4, 0], [0, 4, 4, 0]),
        ([0, 3, 5, 0], [0, 0, 3, 5]), ([3, 5, 0, 0], [0, 0, 8, 0]), ([1, 7, 0, 0], [1, 0, 7, 0]),
    ],
)  # fmt: skip
def test_at_ties_beside_empty_bins_the_gradient_lies_between_both_sides(u, v, mass, p):
    """Where there is weight: an empty bin can only gain."""
    sides = {"u": np.array(u, float), "v": np.array(v, float)}
    x, y = np.array([0.1, 0.3, 0.75, 1.0]), np.array([0.0, 0.4, 0.6, 0.9])
    options = {"u_positions": x, "v_positions": y, "p": p, "mass": mass}
    value, gradients = value_of(u, v, **options), gradients_of(u, v, **options)
    for (name, weights), gradient in zip(sides.items(), gradients, strict=False):
        for k in np.flatnonzero(weights):
            slopes = []
            for step in (1e-7, -1e-7):
                moved = weights + step * (np.arange(4) == k)
                slopes.append(
                    (value_of(*(sides | {name: moved}).values(), **options) - value) / step
                )
            assert min(slopes) - 1e-6 <= gradient[k] <= max(slopes) + 1e-6


@all_powers
@both_masses
def test_equal_inputs_cost_nothing_and_pull_nowhere(mass, p, rng):
    u = rng.uniform(0, 1, (50, 33))
    u[:, 5:9] = 0.0
    for x in (np.linspace(0, 1, 33), rng.normal(size=33), rng.normal(size=u.shape)):
        assert np.all(value_of(u, u, u_positions=x, p=p, mass=mass) == 0)
        for gradient in gradients_of(u, u.copy(), u_positions=x, p=p, mass=mass):
            assert np.all(gradient == 0)


@both_masses
def test_sorting_changes_nothing(mass, rng):
    u, v = gradcheck.separate_levels(rng, 6, 5, mass=mass, v_mass=0.8)
    x, y = gradcheck.separate_positions(rng, 6, 5)
    i, j = np.argsort(x), np.argsort(y)
    found = gradients_of(u, v, u_positions=x, v_positions=y, mass=mass)
    ordered = gradients_of(u[i], v[j], u_positions=x[i], v_positions=y[j], mass=mass)
    assert value_of(u, v, u_positions=x, v_positions=y, mass=mass) == value_of(
        u[i], v[j], u_positions=x[i], v_positions=y[j], mass=mass
    )
    for a, b, order in zip(found, ordered, (i, j, i, j), strict=True):
        assert np.array_equal(a[order], b)


# --- mass ----------------------------------------------------------------------------------------


@both_masses
def test_silence_costs_nothing_and_pulls_nowhere(mass):
    x = np.linspace(0, 1, 5)
    u, v = np.ones((4, 5)), np.ones((4, 5)) * np.arange(5)
    u[0] = u[1] = v[1] = v[2] = 0.0
    value = value_of(u, v, u_positions=x, mass=mass)
    gradients = gradients_of(u, v, u_positions=x, mass=mass)
    assert np.all(np.isfinite(value)) and all(np.all(np.isfinite(g)) for g in gradients)
    silent = [0, 1, 2] if mass == "balanced" else [0, 1]
    assert np.all(value[silent] == 0)
    for gradient in gradients[:2]:
        assert np.all(gradient[silent] == 0) and np.any(gradient[3] != 0)
    if mass == "cutoff":  # a silent estimate lies wholly at the last position
        assert value[2] == pytest.approx(np.mean((x - 1.0) ** 2))
        assert np.any(gradients[1][2] != 0)
        alone = gradients_of(u[2], v[2], u_positions=x, mass=mass)
        gradcheck.check_elements(
            lambda u, x, y: value_of(u, v[2], u_positions=x, v_positions=y, mass=mass),
            (u[2], x, x), (alone[0], alone[2], alone[3]), 1.0,
        )  # fmt: skip


@both_masses
def test_rows_at_or_below_the_mass_floor_count_as_silent(mass, rng):
    x = np.linspace(0, 1, 4)
    u, v = rng.uniform(0.2, 1, (3, 4)), rng.uniform(0.2, 1, (3, 4))
    u[0] *= 1e-3 / u[0].sum()
    v[1] *= 1e-3 / v[1].sum()
    options = {"u_positions": x, "mass": mass}
    free = value_of(u, v, **options)
    value = value_of(u, v, mass_floor=2e-3, **options)
    gradients = gradients_of(u, v, mass_floor=2e-3, **options)
    silent = [0, 1] if mass == "balanced" else [0]
    audible = [r for r in range(3) if r not in silent]
    assert np.all(free != 0) and np.all(value[silent] == 0)
    assert np.array_equal(value[audible], free[audible])
    assert all(np.all(g[silent] == 0) and np.all(np.any(g[audible], 1)) for g in gradients[:2])


@pytest.mark.parametrize("side", ["u", "v"])
def test_a_mass_of_just_the_floor_is_silent(side):
    sides = {"u": np.array([1.0, 0.5]), "v": np.array([0.5, 2.0]), side: np.array([0.25, 0.5])}
    for mass_floor, silent in ((0.75, True), (np.nextafter(0.75, 0), False)):
        value = value_of(*sides.values(), u_positions=[0, 1], mass_floor=mass_floor)
        assert (value == 0) == silent


@pytest.mark.parametrize("scale", [1e-30, 1e30])
@both_masses
def test_tiny_and_huge_masses(mass, scale, rng):
    u, v = gradcheck.separate_levels(rng, 6, 6, mass=mass, v_mass=0.8)
    x = np.linspace(0, 1, 6)
    expected = gradients_of(u, v, u_positions=x, mass=mass)
    found = gradients_of(scale * u, scale * v, u_positions=x, mass=mass)
    for a, b, unit in zip(found, expected, (scale, scale, 1.0, 1.0), strict=True):
        np.testing.assert_allclose(a * unit, b, rtol=1e-10, atol=1e-12)


@both_masses
def test_a_subnormal_mass_gives_no_nan(mass):
    for u in ([0.0, 0.0, 1e-310], [0.0, 1.0, 0.0]):
        value = value_of(np.array(u), [1e-310, 0.0, 0.0], u_positions=[0.0, 1.0, 2.0], mass=mass)
        assert np.isfinite(value)


# --- properties ----------------------------------------------------------------------------------


@st.composite
def problems(draw):
    """Two weighted point sets, sizes and powers drawn, numbers from a seed."""
    n, m = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    u, v = rng.uniform(0, 1, n), rng.uniform(0, 1, m)
    if draw(st.booleans()):  # whole numbers bring ties, empty bins and equal positions
        u, v = np.round(4 * u), np.round(4 * v)
        u[0] += 1.0
        v[-1] += 1.0
    x, y = rng.normal(size=n), rng.normal(size=m)
    if draw(st.booleans()):
        x, y = np.round(2 * x), np.round(2 * y)
    return u, v, x, y, draw(st.sampled_from(POWERS))


@given(problems())
def test_balanced_is_symmetric(problem):
    u, v, x, y, p = problem
    one = value_of(u, v, u_positions=x, v_positions=y, p=p)
    other = value_of(v, u, u_positions=y, v_positions=x, p=p)
    assert one == pytest.approx(other, rel=1e-12, abs=1e-14)
    d_u, d_v, d_x, d_y = gradients_of(u, v, u_positions=x, v_positions=y, p=p)
    e_v, e_u, e_y, e_x = gradients_of(v, u, u_positions=y, v_positions=x, p=p)
    for a, b in [(d_u, e_u), (d_v, e_v), (d_x, e_x), (d_y, e_y)]:
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


@given(problems(), st.integers(0, 11))
def test_zero_exactly_for_equal_distributions(problem, moved):
    u, _, x, _, p = problem
    assert value_of(u, u, u_positions=x, p=p) == 0
    assert value_of(u, u, u_positions=x, p=p, mass="cutoff") == 0
    moved %= len(u)
    y = x.copy()
    y[moved] += 1.0
    value = value_of(u, u, u_positions=x, v_positions=y, p=p)
    assert (value > 1e-12) == (u[moved] > 0)


@given(problems(), st.floats(-3, 3))
def test_a_shift_costs_its_power(problem, shift):
    u, _, x, _, p = problem
    for mass in MASSES:
        value = value_of(u, u, u_positions=x, v_positions=x + shift, p=p, mass=mass)
        assert value == pytest.approx(abs(shift) ** p, rel=1e-9, abs=1e-12)


@given(problems(), st.floats(-4, 4).filter(lambda c: abs(c) > 1e-3))
def test_scaling_the_axis_scales_by_the_power(problem, factor):
    u, v, x, y, p = problem
    value = value_of(u, v, u_positions=x, v_positions=y, p=p)
    scaled = value_of(u, v, u_positions=factor * x, v_positions=factor * y, p=p)
    assert scaled == pytest.approx(abs(factor) ** p * value, rel=1e-9, abs=1e-12)


@given(problems(), st.floats(1e-6, 1e6), st.floats(1e-6, 1e6))
def test_scaling_the_weights_changes_nothing(problem, a, b):
    u, v, x, y, p = problem
    options = {"u_positions": x, "v_positions": y, "p": p}
    assert value_of(a * u, b * v, **options) == pytest.approx(
        value_of(u, v, **options), rel=1e-9, abs=1e-12
    )
    cut = value_of(u, v, mass="cutoff", **options)  # here only a common factor cancels
    assert value_of(a * u, a * v, mass="cutoff", **options) == pytest.approx(
        cut, rel=1e-9, abs=1e-12
    )


@given(problems(), st.integers(0, 11), st.floats(0, 1))
def test_splitting_a_bin_changes_nothing(problem, where, share):
    u, v, x, y, p = problem
    where %= len(u)
    u_split = np.insert(u, where, share * u[where])
    u_split[where + 1] -= u_split[where]
    x_split = np.insert(x, where, x[where])
    for mass in MASSES:
        value = value_of(u, v, u_positions=x, v_positions=y, p=p, mass=mass)
        split = value_of(u_split, v, u_positions=x_split, v_positions=y, p=p, mass=mass)
        assert split == pytest.approx(value, rel=1e-9, abs=1e-12)


@given(problems())
def test_a_heavier_estimate_beyond_the_cutoff_changes_nothing(problem):
    """Mass of v above the level 1 is free: what the paper's frequency cutoff is for."""
    u, v, x, y, p = problem
    v = v * 1.5 * u.sum() / v.sum()
    far = max(x.max(), y.max()) + 1.0
    options = {"u_positions": x, "p": p, "mass": "cutoff"}
    value = value_of(u, v, v_positions=y, **options)
    more = value_of(u, np.append(v, 7.0), v_positions=np.append(y, far), **options)
    assert more == pytest.approx(value, rel=1e-9, abs=1e-12)


@given(problems())
def test_agrees_with_pot(problem):
    u, v, x, y, p = problem
    value = value_of(u, v, u_positions=x, v_positions=y, p=p)
    expected = ot.wasserstein_1d(x, y, u / u.sum(), v / v.sum(), p=p)
    assert value == pytest.approx(float(expected), rel=1e-9, abs=1e-12)


@given(problems())
def test_agrees_with_scipy(problem):
    u, v, x, y, _ = problem
    value = value_of(u, v, u_positions=x, v_positions=y, p=1)
    expected = scipy.stats.wasserstein_distance(x, y, u, v)
    assert value == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(problems())
def test_gradients_obey_the_scaling_laws(problem):
    """Euler: p W = <d_x, x> + <d_y, y> after centring; weights of a side pull without net."""
    u, v, x, y, p = problem
    value = value_of(u, v, u_positions=x, v_positions=y, p=p)
    d_u, d_v, d_x, d_y = gradients_of(u, v, u_positions=x, v_positions=y, p=p)
    assert d_x @ x + d_y @ y == pytest.approx(p * value, rel=1e-8, abs=1e-9)
    assert d_x.sum() + d_y.sum() == pytest.approx(0.0, abs=1e-9)
    assert d_u @ u == pytest.approx(0.0, abs=1e-9) and d_v @ v == pytest.approx(0.0, abs=1e-9)


# --- the reference -------------------------------------------------------------------------------

VARIANTS = [
    (n_fft, p, cut, axis)
    for n_fft in (2048, 512)
    for p, cut, axis in [
        (1, "nocut", "lin"), (1, "cut", "lin"), (2, "nocut", "lin"), (2, "nocut", "log"),
        (2, "cut", "lin"), (2, "cut", "log"),
    ]
]  # fmt: skip

# Rows (item, frame) of n_fft 2048 whose running sum of u ends above 1 by one to seven roundings.
# There the reference drops the last step of the cutoff altogether, which here is exactly 1.
ROUNDED = [(0, 14), (1, 12), (1, 13), (1, 14), (2, 12), (3, 9), (3, 11)]

PRECISIONS = pytest.mark.parametrize(
    ("dtype", "value_tolerance", "gradient_tolerance"),
    [(np.float64, 1e-9, 1e-7), (np.float32, 1e-5, 2e-4)],
    ids=["float64", "float32"],
)


def mass_of(cut):
    return "cutoff" if cut == "cut" else "balanced"


@PRECISIONS
@pytest.mark.parametrize(("n_fft", "p", "cut", "axis"), VARIANTS)
def test_reference_rows(
    n_fft, p, cut, axis, dtype, value_tolerance, gradient_tolerance, reference,
    full_scale_error, relative_error,
):  # fmt: skip
    stored = reference("sot")
    key = f"{n_fft}_p{p}_{cut}_{axis}"
    frames = stored["frames"]
    magnitude = stored[f"Y_{n_fft}"].astype(dtype)
    value, saved = wasserstein_1d_forward(
        stored[f"X_{n_fft}"].astype(dtype) ** 2, magnitude**2, p=p, mass=mass_of(cut),
        u_positions=stored[f"positions_{axis}_{n_fft}"].astype(dtype),
    )  # fmt: skip
    d_weights = wasserstein_1d_backward(np.full(len(frames), 1 / 64, dtype), saved)[1]
    assert value.dtype == np.float64 and d_weights.dtype == dtype  # a sum of one row
    expected = stored[f"loss_{key}"][0, frames]
    if dtype == np.float64:
        rounded = [n_fft == 2048 and cut == "cut" and (0, t) in ROUNDED for t in frames]
        tolerance = np.where(rounded, 1e-4, value_tolerance)
        assert np.all(np.abs(value - expected) <= tolerance * expected)
    else:
        assert full_scale_error(value, expected) < value_tolerance
    expected = stored[f"dY_of_mean_{key}"]
    expected = expected[frames] if len(expected) == 16 else expected
    assert relative_error(d_weights * 2 * magnitude, expected) < gradient_tolerance


@pytest.mark.parametrize(("n_fft", "p", "cut", "axis"), VARIANTS)
def test_reference_values_of_all_rows(n_fft, p, cut, axis, reference):
    stored, signals = reference("sot"), reference("signals")
    options = {"n_fft": n_fft, "hop_length": 256, "window": "flattop", "power": 2}
    u, v = (
        np.stack([naive.stft_magnitude(x, **options) for x in signals[name]])
        for name in ("x", "xh")
    )
    value = value_of(u, v, u_positions=stored[f"positions_{axis}_{n_fft}"], p=p, mass=mass_of(cut))
    expected = stored[f"loss_{n_fft}_p{p}_{cut}_{axis}"]
    tolerance = np.full((4, 16), 1e-9)
    if n_fft == 2048 and cut == "cut":
        tolerance[tuple(np.transpose(ROUNDED))] = 1e-4
    assert np.all(np.abs(value - expected) <= tolerance * expected)


# --- reproducibility, dtypes, memory -------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@both_masses
def test_bitwise_equal_for_any_thread_count_and_on_repetition(mass, dtype, rng, with_threads):
    u, v = (rng.uniform(0, 1, (67, n)).astype(dtype) for n in (31, 40))
    x, y = (rng.normal(size=n).astype(dtype) for n in (31, 40))
    d_value = rng.standard_normal(67).astype(dtype)

    def run():
        value, saved = wasserstein_1d_forward(u, v, u_positions=x, v_positions=y, mass=mass)
        return value, *wasserstein_1d_backward(d_value, saved)

    first = with_threads(2, run)
    for n_threads in (1, 2, 1):
        again = with_threads(n_threads, run)
        assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


@both_masses
def test_dtypes_follow_the_inputs(mass, rng, full_scale_error):
    u, v = rng.integers(0, 9, (5, 20)), rng.integers(0, 9, (5, 20))
    x = rng.integers(-20, 20, 20)

    def run(u, v, x):
        value, saved = wasserstein_1d_forward(u, v, u_positions=x, mass=mass)
        gradients = wasserstein_1d_backward(np.ones(5), saved)
        assert value.dtype == np.float64  # a sum of one row
        return value, *gradients

    expected = run(*(a.astype(np.float64) for a in (u, v, x)))
    assert {g.dtype for g in expected} == {np.dtype(np.float64)}
    for given_ in [(u, v, x), (u.tolist(), v.tolist(), x.tolist())]:
        assert all(np.array_equal(a, b) for a, b in zip(run(*given_), expected, strict=True))
    single = run(*(a.astype(np.float32) for a in (u, v, x)))
    assert {g.dtype for g in single[1:]} == {np.dtype(np.float32)}
    for a, b in zip(single, expected, strict=True):
        assert full_scale_error(a, b) < 1e-6


@both_masses
def test_inputs_may_be_strided_and_are_never_written_to(mass, rng):
    plain = [rng.uniform(0, 1, (3, 9)), rng.uniform(0, 1, (3, 7)),
             rng.normal(size=(3, 9)), rng.normal(size=7)]  # fmt: skip
    spread = [np.repeat(a, 2, axis=-1)[..., ::2] for a in plain]
    for a in spread:
        a.setflags(write=False)

    def run(u, v, x, y):
        value, saved = wasserstein_1d_forward(u, v, u_positions=x, v_positions=y, mass=mass)
        first = wasserstein_1d_backward(np.ones(3), saved)
        second = wasserstein_1d_backward(np.ones(3), saved)
        assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
        return value, *first

    for a, b in zip(run(*spread), run(*plain), strict=True):
        assert np.array_equal(a, b)
    assert all(np.array_equal(a, b) for a, b in zip(spread, plain, strict=True))


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"u_weights": []}, r"u_weights must not be empty, got shape \(0,\)"),
        ({"v_weights": np.ones((3, 0))}, r"v_weights must not be empty, got shape \(3, 0\)"),
        ({"u_weights": 1.0}, r"u_weights must .*, got shape \(\)"),
        ({"u_weights": [1.0, np.nan, 1, 1]}, "u_weights must be finite, got nan"),
        ({"v_weights": [1.0, 1, np.inf, 1]}, "v_weights must be finite, got inf"),
        ({"u_weights": [1.0, -0.5, 1, 1]}, "u_weights must .*not .*negative, got -0.5"),
        ({"v_weights": [1.0, 1, 1, -2.0]}, "v_weights must .*not .*negative, got -2"),
        (
            {"u_weights": np.eye(4), "v_weights": np.eye(4) - 2 * np.eye(4)[::-1]},
            "v_weights must not be negative, got -2.0 in row 0",
        ),
        ({"v_weights": ["x"] * 4}, "v_weights must hold real numbers"),
        ({"u_positions": np.ones(3)}, r"u_positions must have .*\(4,\).*, got \(3,\)"),
        ({"u_positions": [0.0, 1, 2, np.nan]}, r"u_positions must be finite, got nan"),
        ({"v_positions": np.ones((2, 4))}, r"v_positions must have .*got (shape )?\(2, 4\)"),
        ({"v_weights": np.ones(5)}, r"v_positions|v_weights"),  # positions of u do not fit v
        (
            {"u_weights": np.ones((2, 4)), "v_weights": np.ones((3, 4))},
            r"v_weights must have .*\(2,.*, got .*\(3",
        ),
        (
            {"u_weights": np.ones((3, 2, 4))},
            r"v_weights must have the leading shape of u_weights \(3, 2\), got \(\)",
        ),
        ({"p": 0.5}, "p must be at least 1, got 0.5"),
        ({"p": np.nan}, "p must be finite, got nan"),
        ({"p": "two"}, "p must be a number, got 'two'"),
        ({"mass": "free"}, "mass must be one of 'balanced', .*'unbalanced', got 'free'"),
        ({"mass_floor": -1.0}, "mass_floor must be at least 0, got -1"),
    ],
)
def test_errors_name_argument_rule_and_value(changes, message):
    arguments = {
        "u_weights": np.ones(4), "v_weights": np.ones(4), "u_positions": np.arange(4.0), **changes
    }  # fmt: skip
    with pytest.raises(ParameterError, match=message):
        wasserstein_1d_forward(arguments.pop("u_weights"), arguments.pop("v_weights"), **arguments)


@pytest.mark.parametrize(
    ("d_value", "message"),
    [
        (np.ones(3), r"d_value must have shape \(2,\), got \(3,\)"),
        ([1.0, np.nan], r"d_value must be finite, got nan at index \(1\)"),
    ],
)
def test_backward_errors_name_argument_rule_and_value(d_value, message):
    _, saved = wasserstein_1d_forward(np.ones((2, 4)), np.ones((2, 4)), u_positions=np.arange(4.0))
    with pytest.raises(ParameterError, match=message):
        wasserstein_1d_backward(d_value, saved)


def test_a_silent_estimate_is_charged():
    u, v = np.zeros((4, 3)), np.zeros((4, 2))
    u[1:, 1], v[2, 1] = [0.5, 2.0, 0.25], 1.0
    values = np.array([0.0, 0.0, 0.0, 7.0])
    charge_silence(u, v, 0.3, 5.0, values)
    assert values.tolist() == [0.0, 5.0, 0.0, 7.0]
    u[:], v[:] = 0.2, [0.15, 0.15]
    values[:] = 0.0
    charge_silence(u, v, 0.3, 5.0, values)  # 0.6 against 0.3, which is silence
    assert values.tolist() == [5.0] * 4
    charge_silence(u, v, 0.6, 5.0, values)
    assert values.tolist() == [5.0] * 4  # these have a value already
    values[:] = 0.0
    charge_silence(u, v, np.sum(u[0]), 5.0, values)
    assert not values.any()  # both sides are silent


def test_levels_left_over_at_a_tie_take_the_slope_of_their_own_side():
    # two levels of u (one without weight) meet one of v: adding to d_u[3] changes nothing
    _, saved = wasserstein_1d_forward(
        [1.0, 0, 1, 2], [1.0, 1, 2], u_positions=[0, 0.3, 0.5, 1], v_positions=[0.1, 0.4, 0.9],
        mass="cutoff",
    )  # fmt: skip
    d_u = wasserstein_1d_backward(1.0, saved)[0]
    step = 1e-6
    more, _ = wasserstein_1d_forward(
        [1.0, 0, 1, 2 + step], [1.0, 1, 2], u_positions=[0, 0.3, 0.5, 1],
        v_positions=[0.1, 0.4, 0.9], mass="cutoff",
    )  # fmt: skip
    value, _ = wasserstein_1d_forward(
        [1.0, 0, 1, 2], [1.0, 1, 2], u_positions=[0, 0.3, 0.5, 1], v_positions=[0.1, 0.4, 0.9],
        mass="cutoff",
    )  # fmt: skip
    assert abs(d_u[3]) < 1e-12
    assert abs((more - value) / step) < 1e-5

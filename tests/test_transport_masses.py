"""Partial and unbalanced transport against linear programmes, optimisers and finite differences."""

import gradcheck
import naive
import naive_masses
import numpy as np
import ot
import pytest

from spectralot import ParameterError, wasserstein_1d_backward, wasserstein_1d_forward

pytestmark = pytest.mark.usefixtures("one_thread")

PARTIAL = [{"mass": "partial", "share": share} for share in (0.2, 0.7, 0.95)]
UNBALANCED = [{"mass": "unbalanced", "reach": reach} for reach in (0.03, 0.3, 3.0)]
SIZES = [(1, 1), (1, 6), (7, 1), (5, 5), (6, 4)]  # points of u and of v

all_masses = pytest.mark.parametrize(
    "options", PARTIAL + UNBALANCED, ids=lambda o: "-".join(map(str, o.values()))
)
one_of_each = pytest.mark.parametrize("options", [PARTIAL[1], UNBALANCED[1]], ids=["part", "kl"])
all_sizes = pytest.mark.parametrize("sizes", SIZES, ids=str)


def value_of(u, v, **options):
    return wasserstein_1d_forward(u, v, p=1, **options)[0]


def gradients_of(u, v, d_value=None, **options):
    value, saved = wasserstein_1d_forward(u, v, p=1, **options)
    return wasserstein_1d_backward(np.ones_like(value) if d_value is None else d_value, saved)


def oracle(u, v, x, y, *, mass, share=None, reach=None):
    if mass == "partial":
        return naive_masses.partial(u, v, x, y, share)
    return naive_masses.unbalanced(u, v, x, y, reach)


def sparse(rng, *shape):
    weights = rng.uniform(0, 1, shape) * (rng.uniform(size=shape) < 0.7)
    weights[..., rng.integers(shape[-1])] += 0.2
    return weights


# --- values --------------------------------------------------------------------------------------


@all_masses
@all_sizes
def test_value_matches_the_oracle(sizes, options, rng):
    n, m = sizes
    u, v = sparse(rng, 4, n), sparse(rng, 4, m) * rng.uniform(0.3, 3, (4, 1))
    x, y = rng.uniform(0, 1, (4, n)), rng.uniform(0, 1, (4, m))
    x[2:], y[2:] = np.round(4 * x[2:]) / 4, np.round(4 * y[2:]) / 4  # points that coincide
    value = value_of(u, v, u_positions=x, v_positions=y, **options)
    shared = value_of(u, v, u_positions=x[0], v_positions=y[0], **options)
    assert value.shape == (4,) and value.dtype == np.float64
    for r in range(4):
        expected = oracle(u[r], v[r], x[r], y[r], **options)
        assert value[r] == pytest.approx(expected, rel=1e-7, abs=1e-8)
        expected = oracle(u[r], v[r], x[0], y[0], **options)
        assert shared[r] == pytest.approx(expected, rel=1e-7, abs=1e-8)


@all_masses
def test_value_on_one_set_of_positions(options, rng):
    u, v = sparse(rng, 3, 9), sparse(rng, 3, 9)
    for x in (np.arange(9) / 8, np.sort(rng.uniform(0, 1, 9)), rng.uniform(0, 1, 9)):
        value = value_of(u, v, u_positions=x, **options)
        for r in range(3):
            expected = oracle(u[r], v[r], x, x, **options)
            assert value[r] == pytest.approx(expected, rel=1e-7, abs=1e-8)


@pytest.mark.parametrize("share", [0.1, 0.6, 0.999])
def test_partial_agrees_with_pot(share, rng):
    u, v = sparse(rng, 20), sparse(rng, 25)
    x, y = rng.normal(size=20), rng.normal(size=25)
    distance = np.abs(x[:, None] - y)
    plan = ot.partial.partial_wasserstein(u / u.sum(), v / v.sum(), distance, m=share)
    value = value_of(u, v, u_positions=x, v_positions=y, mass="partial", share=share)
    assert value == pytest.approx(np.sum(plan * distance), rel=1e-9)


@pytest.mark.parametrize("reach", [0.1, 1.0])
def test_unbalanced_is_below_the_cost_of_a_plan_of_pot_and_near(reach, rng):
    u, v = rng.uniform(0.1, 1, 6), rng.uniform(0.1, 2, 5)
    x, y = rng.uniform(0, 1, 6), rng.uniform(0, 1, 5)
    distance = np.abs(x[:, None] - y)
    plan = ot.unbalanced.mm_unbalanced(
        u / u.sum(), v / u.sum(), distance, reach, div="kl", numItermax=20_000
    )
    cost = naive_masses.unbalanced_plan_cost(plan, u, v, x, y, reach)
    value = value_of(u, v, u_positions=x, v_positions=y, mass="unbalanced", reach=reach)
    assert value - 1e-12 <= cost <= value + 1e-5 * reach


def test_by_hand():
    x = np.array([0.0, 1.0, 5.0])
    u, v = np.array([1.0, 0.0, 1.0]), np.array([0.0, 2.0, 0.0])
    for share, cost in [(0.25, 0.25), (0.5, 0.5), (0.75, 0.5 + 0.25 * 4)]:  # the near half first
        value = value_of(u, v, u_positions=x, mass="partial", share=share)
        assert value == pytest.approx(cost, rel=1e-12)
    # one point each: mass q goes a way of 1 where ln q + 1 / (2 reach) = (ln a + ln b) / 2
    for level in (0.25, 1.0, 4.0):
        value = value_of([1.0, 0], [0, level], u_positions=[0.0, 1.0], mass="unbalanced", reach=0.7)
        kept = np.sqrt(level) * np.exp(-0.5 / 0.7)
        assert value == pytest.approx(0.7 * (1 + level - 2 * kept), rel=1e-12)


# --- relations -----------------------------------------------------------------------------------


def test_a_share_of_one_is_balanced(rng):
    u, v, x = rng.uniform(0, 1, (5, 30)), rng.uniform(0, 1, (5, 30)), rng.normal(size=30)
    whole = wasserstein_1d_forward(u, v, u_positions=x, p=1, mass="partial", share=1)
    plain = wasserstein_1d_forward(u, v, u_positions=x, p=1)
    assert np.array_equal(whole[0], plain[0])
    ends = [wasserstein_1d_backward(np.ones(5), saved) for _, saved in (whole, plain)]
    assert all(np.array_equal(a, b) for a, b in zip(*ends, strict=True))
    # and approached from below, by the other solver
    nearly = gradients_of(u, v, u_positions=x, mass="partial", share=1 - 1e-9)
    for a, b in zip(nearly, ends[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


def test_a_long_reach_tends_to_balanced_where_masses_are_equal(rng):
    u, v = rng.uniform(0, 1, 30), rng.uniform(0, 1, 30)
    v *= u.sum() / v.sum()
    x = np.linspace(0, 1, 30)
    expected = naive.wasserstein_1d(u, v, x, p=1)
    apart = [
        expected - value_of(u, v, u_positions=x, mass="unbalanced", reach=reach)
        for reach in (1e2, 1e4)
    ]
    assert 0 < apart[0] < 0.02 * expected and 0 < apart[1] < 2e-4 * expected


def test_a_short_reach_compares_point_by_point(rng):
    u, v = rng.uniform(0.1, 1, 9), rng.uniform(0.1, 1, 9)
    reach = 1e-3
    value = value_of(u, v, u_positions=np.arange(9.0), mass="unbalanced", reach=reach)
    a, b = u / u.sum(), v / u.sum()
    assert value == pytest.approx(reach * np.sum((np.sqrt(a) - np.sqrt(b)) ** 2), rel=1e-12)


@one_of_each
def test_scales_of_weights_and_of_the_axis(options, rng):
    u, v, x = rng.uniform(0.1, 1, 12), rng.uniform(0.1, 1, 12), rng.uniform(0, 1, 12)
    value = value_of(u, v, u_positions=x, **options)
    gradients = gradients_of(u, v, u_positions=x, **options)
    for scale in (1e-30, 1e-12, 1e6, 1e30):
        scaled = value_of(scale * u, scale * v, u_positions=x, **options)
        assert scaled == pytest.approx(value, rel=1e-12)
        d_u, d_v, d_x, d_y = gradients_of(scale * u, scale * v, u_positions=x, **options)
        for a, b in zip((d_u * scale, d_v * scale, d_x, d_y), gradients, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    if options["mass"] == "partial":  # either side's own level says nothing
        assert value_of(u, 3 * v, u_positions=x, **options) == pytest.approx(value, rel=1e-12)
        wide = value_of(u, v, u_positions=-5 * x, **options)
    else:
        wide = value_of(u, v, u_positions=-5 * x, mass="unbalanced", reach=5 * options["reach"])
    assert wide == pytest.approx(5 * value, rel=1e-12)


@one_of_each
def test_exchanging_the_sides_or_the_direction(options, rng):
    u, v = sparse(rng, 8), sparse(rng, 9)
    v *= u.sum() / v.sum()
    x, y = rng.normal(size=8), rng.normal(size=9)
    d_u, d_v, d_x, d_y = gradients_of(u, v, u_positions=x, v_positions=y, **options)
    e_u, e_v, e_x, e_y = gradients_of(u, v, u_positions=-x, v_positions=-y, **options)
    full, heard = u > 0, v > 0  # an empty point's slope is one-sided: any of many
    for a, b in [(d_u[full], e_u[full]), (d_v[heard], e_v[heard]), (d_x, -e_x), (d_y, -e_y)]:
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    e_v, e_u, e_y, e_x = gradients_of(v, u, u_positions=y, v_positions=x, **options)
    for a, b in [(d_x, e_x), (d_y, e_y)]:
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    assert d_x.sum() + d_y.sum() == pytest.approx(0.0, abs=1e-12)
    if options["mass"] == "partial":
        assert d_u @ u == pytest.approx(0.0, abs=1e-12)
        assert d_x @ x + d_y @ y == pytest.approx(
            value_of(u, v, u_positions=x, v_positions=y, **options), rel=1e-9
        )
    else:
        assert d_u @ u + d_v @ v == pytest.approx(0.0, abs=1e-12)


# --- gradients -----------------------------------------------------------------------------------


@all_masses
@all_sizes
def test_gradients_of_rows_with_their_own_positions(sizes, options, rng):
    rows = (3,)
    u, v = gradcheck.positive(rng, (*rows, sizes[0])), gradcheck.positive(rng, (*rows, sizes[1]))
    x, y = gradcheck.separate_positions(rng, *sizes, rows)

    def forward(u, v, x, y):
        return value_of(u, v, u_positions=x, v_positions=y, **options)

    d_value = rng.standard_normal(rows)
    gradients = gradients_of(u, v, d_value, u_positions=x, v_positions=y, **options)
    flat = [np.max(np.abs(g)) < 1e-14 for g in gradients]
    checked = [None if f else g for f, g in zip(flat, gradients, strict=True)]
    assert not any(flat[2:])
    gradcheck.check_elements(
        forward, (u, v, x, y), checked, d_value, step=1e-6, tolerance=1e-5 if min(sizes) else 0
    )


@all_masses
def test_gradients_on_one_uniform_set_of_positions(options, rng):
    """Equal gaps: many ways are equally long, so plans are many but the potential is one."""
    u, v, x = gradcheck.positive(rng, (4, 9)), gradcheck.positive(rng, (4, 9)), np.arange(9) / 8
    d_value = rng.standard_normal(4)
    gradients = gradients_of(u, v, d_value, u_positions=x, **options)

    def forward(u, v):
        return value_of(u, v, u_positions=x, **options)

    gradcheck.check_elements(forward, (u, v), gradients[:2], d_value, step=1e-6)

    def both(x):  # a step along all positions at once keeps the gaps ratios apart from ties
        return value_of(u, v, u_positions=x, **options)

    total = float((gradients[2] + gradients[3]) @ x)
    found = float(d_value @ (both(x * (1 + 1e-6)) - both(x * (1 - 1e-6)))) / 2e-6
    assert total == pytest.approx(found, rel=1e-6)


@pytest.mark.parametrize("options", [PARTIAL[2], UNBALANCED[1]], ids=["part", "kl"])
def test_points_of_both_sides_at_one_place_take_the_mean_of_both_directions(options, rng):
    u, v, x = gradcheck.positive(rng, 7), gradcheck.positive(rng, 7), rng.uniform(0, 1, 7)
    _, _, d_x, d_y = gradients_of(u, v, u_positions=x, **options)

    def forward(x, y):
        return value_of(u, v, u_positions=x, v_positions=y, **options)

    gradcheck.check_elements(forward, (x, x), (d_x, d_y), 1.0, step=1e-7, tolerance=1e-5)


@one_of_each
def test_gradients_of_shared_positions_sum_over_the_rows(options, rng):
    u, v = gradcheck.positive(rng, (2, 3, 6)), gradcheck.positive(rng, (2, 3, 4))
    x, y = gradcheck.separate_positions(rng, 6, 4)
    d_value = rng.standard_normal((2, 3))
    gradients = gradients_of(u, v, d_value, u_positions=x, v_positions=y, **options)
    wide = [np.broadcast_to(a, (2, 3, len(a))) for a in (x, y)]
    own = gradients_of(u, v, d_value, u_positions=wide[0], v_positions=wide[1], **options)
    assert np.array_equal(gradients[0], own[0]) and np.array_equal(gradients[1], own[1])
    for a, b in zip(gradients[2:], own[2:], strict=True):
        np.testing.assert_allclose(a, b.sum((0, 1)), rtol=1e-12, atol=1e-14)


@one_of_each
def test_positions_may_be_left_alone(options, rng):
    u, v, x = rng.uniform(0, 1, (3, 8)), rng.uniform(0, 1, (3, 8)), np.arange(8.0)
    every = gradients_of(u, v, u_positions=x, **options)
    some = gradients_of(u, v, u_positions=x, position_gradients=False, **options)
    assert some[2] is None and some[3] is None
    assert np.array_equal(some[0], every[0]) and np.array_equal(some[1], every[1])


@all_masses
def test_equal_inputs_cost_nothing_and_pull_nowhere(options, rng):
    u = rng.uniform(0, 1, (20, 33))
    u[:, 5:9] = 0.0
    for x in (np.linspace(0, 1, 33), rng.normal(size=33), np.round(rng.normal(size=u.shape), 1)):
        for y in (None, x.copy()):
            assert np.all(value_of(u, u, u_positions=x, v_positions=y, **options) == 0)
            for gradient in gradients_of(u, u.copy(), u_positions=x, v_positions=y, **options):
                assert np.all(gradient == 0)


def test_where_enough_mass_lies_face_to_face_partial_is_flat():
    u, v = np.array([3.0, 1.0, 0.0]), np.array([3.0, 0.0, 1.0])
    options = {"u_positions": np.arange(3.0), "mass": "partial"}
    assert value_of(u, v, share=0.75, **options) == 0
    assert all(np.all(g == 0) for g in gradients_of(u, v, share=0.75, **options))
    assert value_of(u, v, share=0.8, **options) == pytest.approx(0.05)


# --- mass and extremes ---------------------------------------------------------------------------


def test_silence_and_the_mass_floor(rng):
    x, u = np.linspace(0, 1, 5), rng.uniform(0.5, 1, (5, 5))
    v = rng.uniform(0.5, 1, (5, 5))
    u[0] = u[1] = v[1] = v[2] = 0.0
    u[3] *= 1e-3
    for options, values in [
        ({"mass": "partial", "share": 0.99}, {0: 0.0, 1: 0.0, 2: 0.0, 3: 0.0}),
        ({"mass": "unbalanced", "reach": 0.4}, {0: 0.0, 1: 0.0, 2: 0.4, 3: 0.0}),
    ]:
        value = value_of(u, v, u_positions=x, mass_floor=1e-2, **options)
        gradients = gradients_of(u, v, u_positions=x, mass_floor=1e-2, **options)
        for row, expected in values.items():
            assert value[row] == expected
            assert all(np.all(g[row] == 0) for g in gradients[:2])
        assert value[4] > 0 and all(np.any(g[4] != 0) for g in gradients[:2])
        alone = gradients_of(u[:3], v[:3], u_positions=x, **options)
        assert all(np.all(g == 0) for g in alone)


def test_the_estimates_level_counts_only_when_unbalanced(rng):
    u, x = rng.uniform(0, 1, 20), np.linspace(0, 1, 20)
    partial = {"u_positions": x, "mass": "partial", "share": 0.8}
    assert value_of(u, 2 * u, **partial) == pytest.approx(0.0, abs=1e-15)
    for level in (0.1, 0.5, 3.0):  # equal shape: every point is rescaled, nothing moves
        value = value_of(u, level * u, u_positions=x, mass="unbalanced", reach=0.3)
        assert value == pytest.approx(0.3 * (1 - np.sqrt(level)) ** 2, rel=1e-9)
        d_v = gradients_of(u, level * u, u_positions=x, mass="unbalanced", reach=0.3)[1]
        assert np.all(d_v < 0) if level < 1 else np.all(d_v > 0)


@all_masses
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extremes_stay_finite(options, dtype, rng):
    x = np.linspace(0, 1, 65)
    one, other, full = np.zeros(65), np.zeros(65), rng.uniform(0, 1, 65)
    one[3] = other[60] = 1.0
    spread = np.exp(rng.uniform(-60, 0, 65))  # 26 decades
    rows = [one, other, full, spread, np.zeros(65), np.full(65, 1e-6)]
    u = np.array([a * s for a in rows for _ in rows for s in (1e-12, 1.0, 1e6)], dtype)
    v = np.array([a * s for _ in rows for a in rows for s in (1e-12, 1e6, 1.0)], dtype)
    for positions in (x, 1e4 * x, 1e-9 * x, x.repeat(2)[1:66]):
        value = value_of(u, v, u_positions=positions, **options)
        assert np.all(np.isfinite(value)) and np.all(value >= 0)
        for gradient in gradients_of(u, v, u_positions=positions, **options):
            assert np.all(np.isfinite(gradient)) and gradient.dtype == dtype


def cost_of_the_plan_behind(u, v, x, reach):
    """What the masses cost that the gradients say are kept: never below the least cost."""
    value, saved = wasserstein_1d_forward(u, v, u_positions=x, p=1, mass="unbalanced", reach=reach)
    d_u, d_v, _, _ = wasserstein_1d_backward(1.0, saved)
    a, b = u / u.sum(), v / u.sum()
    kept_u, kept_v = a * (1 - (d_u * u.sum() + value) / reach), b * (1 - d_v * u.sum() / reach)
    assert kept_u.sum() == pytest.approx(kept_v.sum(), rel=1e-9)
    cost = kept_u.sum() * naive.wasserstein_1d(kept_u, kept_v, x, p=1)
    for kept, had in ((kept_u, a), (kept_v, b)):
        logs = np.log(np.where(kept > 0, kept, 1.0) / np.where(kept > 0, had, 1.0))
        cost += reach * np.sum(kept * logs - kept + had)
    return value, cost


@pytest.mark.parametrize("decades", [1, 12, 30])
@pytest.mark.parametrize("reach", [0.01, 0.3, 10.0])
def test_any_range_of_weights_is_solved_to_rounding(decades, reach, rng):
    """Faint masses press against heavy ones, whose potential they cannot move."""
    x = np.linspace(0, 1, 300)
    for _ in range(5):
        u, v = np.exp(-2.3 * decades * rng.uniform(0, 1, (2, 300)))
        value, cost = cost_of_the_plan_behind(u, v, x, reach)
        assert cost == pytest.approx(value, rel=1e-9, abs=1e-12 * reach)


@pytest.mark.parametrize("gap", [0.1, 9, 80])
def test_ways_of_many_reaches(gap, rng):
    """The scale of the knots begins anew many times; far masses are created and destroyed."""
    x = np.cumsum(rng.uniform(0, gap, 400))
    u, v = rng.uniform(0.1, 1, (2, 400))
    u[:130] = 0.0
    v[270:] = 0.0
    value, cost = cost_of_the_plan_behind(u, v, x, 1.0)
    assert cost == pytest.approx(value, rel=1e-9)
    everything = wasserstein_1d_forward(u, v, u_positions=x, p=1, mass="unbalanced", reach=1.0)
    assert all(np.all(np.isfinite(g)) for g in wasserstein_1d_backward(1.0, everything[1]))


@pytest.mark.parametrize("reach", [1e-310, 1e-12, 1e12, 1e300])
def test_any_reach_is_finite(reach, rng):
    u, v, x = rng.uniform(0, 1, (5, 40)), rng.uniform(0, 1, (5, 40)), np.linspace(0, 1, 40)
    value = value_of(u, v, u_positions=x, mass="unbalanced", reach=reach)
    gradients = gradients_of(u, v, u_positions=x, mass="unbalanced", reach=reach)
    assert np.all(np.isfinite(value)) and all(np.all(np.isfinite(g)) for g in gradients)


@pytest.mark.parametrize("reach", [0.02, 0.5])
def test_a_spectrums_range_of_magnitudes(reach, rng):
    """Peaks over a floor 12 decades below: value and slopes of the peaks still agree."""
    peaks = np.exp(-0.5 * ((np.arange(400) - rng.uniform(20, 380, (8, 1))) / 1.5) ** 2)
    u = peaks[:4].sum(0) + 1e-12 * rng.uniform(0.1, 1, 400)
    v = 0.7 * peaks[4:].sum(0) + 1e-12 * rng.uniform(0.1, 1, 400)
    x = np.linspace(0, 1, 400)
    options = {"u_positions": x, "mass": "unbalanced", "reach": reach}
    d_u, d_v, _, _ = gradients_of(u, v, **options)
    gradcheck.check_projected(
        lambda u, v: value_of(u, v, **options), (u, v), (d_u, d_v), 1.0, rng=rng, scales=[u, v],
        step=1e-5, tolerance=1e-6,
    )  # fmt: skip


# --- reproducibility, dtypes, memory -------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@one_of_each
def test_bitwise_equal_for_any_thread_count_and_row_by_row(options, dtype, rng, with_threads):
    u, v = (rng.uniform(0, 1, (67, n)).astype(dtype) for n in (31, 40))
    x, y = (rng.normal(size=n).astype(dtype) for n in (31, 40))
    d_value = rng.standard_normal(67).astype(dtype)

    def run():
        value, saved = wasserstein_1d_forward(u, v, u_positions=x, v_positions=y, p=1, **options)
        return value, *wasserstein_1d_backward(d_value, saved)

    first = with_threads(2, run)
    for n_threads in (1, 2, 1):
        again = with_threads(n_threads, run)
        assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    for r in (0, 13, 66):
        alone = value_of(u[r], v[r], u_positions=x, v_positions=y, **options)
        assert np.shape(alone) == () and alone == first[0][r]


@one_of_each
def test_float32_is_near_float64_and_inputs_stay(options, rng, full_scale_error):
    u, v = rng.uniform(0, 1, (5, 20)), rng.uniform(0, 1, (5, 20))
    x = rng.uniform(0, 1, 20).astype(np.float32)
    u, v = u.astype(np.float32), v.astype(np.float32)
    kept = u.copy(), v.copy(), x.copy()
    single = gradients_of(u, v, u_positions=x, **options)
    double = gradients_of(*(a.astype(np.float64) for a in (u, v)), u_positions=x, **options)
    assert {g.dtype for g in single} == {np.dtype(np.float32)}
    assert {g.dtype for g in double} == {np.dtype(np.float64)}
    for a, b in zip(single, double, strict=True):
        assert full_scale_error(a, b) < 1e-6
    assert all(np.array_equal(a, b) for a, b in zip((u, v, x), kept, strict=True))


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mass": "partial"}, "share must be given with mass 'partial', got None"),
        ({"mass": "unbalanced"}, "reach must be given with mass 'unbalanced', got None"),
        (
            {"share": 0.5},
            "share must be left out unless mass is 'partial', got 0.5 with 'balanced'",
        ),
        ({"mass": "partial", "share": 0.5, "reach": 1}, "reach must be left out .*'partial'"),
        ({"mass": "unbalanced", "share": 0.5, "reach": 1}, "share must be left out .*'unbal"),
        ({"mass": "cutoff", "reach": 2}, "reach must be left out .*got 2 with 'cutoff'"),
        ({"mass": "partial", "share": 0}, "share must be above 0, got 0"),
        ({"mass": "partial", "share": 1.5}, "share must be at most 1, got 1.5"),
        ({"mass": "partial", "share": "all"}, "share must be a number, got 'all'"),
        ({"mass": "unbalanced", "reach": -1}, "reach must be above 0, got -1"),
        ({"mass": "unbalanced", "reach": np.inf}, "reach must be finite, got inf"),
        ({"mass": "partial", "share": 0.5, "p": 2}, "p must be 1 with mass 'partial', got 2"),
        ({"mass": "unbalanced", "reach": 1, "p": 1.5}, "p must be 1 with .*'unbalanced', got 1.5"),
        (
            {"mass": "partial", "share": 0.5, "u_weights": [1.0, np.nan, 1, 1]},
            "u_weights must be finite, got nan",
        ),
        (
            {"mass": "unbalanced", "reach": 1, "v_weights": [1.0, 1, -2, 1]},
            "v_weights must not be negative, got -2",
        ),
        (
            {"mass": "unbalanced", "reach": 1, "u_weights": [1.0, np.inf, 1, 1]},
            "u_weights must be finite, got inf",
        ),
    ],
)
def test_errors_name_argument_rule_and_value(changes, message):
    arguments = {
        "u_weights": np.ones(4), "v_weights": np.ones(4), "u_positions": np.arange(4.0), "p": 1,
        **changes,
    }  # fmt: skip
    with pytest.raises(ParameterError, match=message):
        wasserstein_1d_forward(arguments.pop("u_weights"), arguments.pop("v_weights"), **arguments)


def test_unbalanced_potential_is_level_before_the_first_mass(rng):
    """There it may be anything within the gaps; the middle of that is chosen."""
    u, v = np.r_[0, 0, rng.uniform(0.2, 1, 6)], np.r_[0, 0, rng.uniform(0.2, 1, 6)]
    options = dict(u_positions=np.arange(8) / 4, mass="unbalanced", reach=0.7)
    d_u, d_v, _, _ = gradients_of(u, v, **options)
    assert d_u[0] == d_u[1] == d_u[2] != 0 and d_v[0] == d_v[1] == d_v[2] != 0


@pytest.mark.parametrize("options", [dict(mass="partial", share=0.7),
                                     dict(mass="unbalanced", reach=0.7)])  # fmt: skip
@pytest.mark.parametrize("at_v", [[1, 1, 2, 3, 4, 4], [0, 1, 1, 2, 4]], ids=["two", "one"])
def test_points_of_both_sides_at_repeated_places_move_together(at_v, options, rng):
    """Several points of each side stand at one place: moving the place moves them all."""
    places, at_u = np.sort(rng.uniform(0, 3, 5)), [0, 1, 1, 2, 4]
    u, v = rng.uniform(0.2, 1, 5), rng.uniform(0.2, 1, len(at_v))

    def value(places):
        return value_of(u, v, u_positions=places[at_u], v_positions=places[at_v], **options)

    _, _, d_x, d_y = gradients_of(
        u, v, u_positions=places[at_u], v_positions=places[at_v], **options
    )
    together = np.bincount(at_u, d_x, 5) + np.bincount(at_v, d_y, 5)
    for k in range(5):
        step = 1e-6 * (np.arange(5) == k)
        slope = (value(places + step) - value(places - step)) / 2e-6
        assert together[k] == pytest.approx(slope, rel=1e-5, abs=1e-8)
    np.testing.assert_allclose(  # points of one side at one place share by mass
        d_x[1] * u[2], d_x[2] * u[1], rtol=1e-9, atol=1e-15
    )

"""Transport between lines: against loops, finite differences and what can be said by hand."""

import numpy as np
import pytest
from gradcheck import check_elements, check_projected, positive, separate_levels
from naive_lines import harmonics, line_transport

from spectralot import ParameterError
from spectralot.losses.lines import AXES, LineSOT

TARGET_HZ = np.array([220.0, 440.0, 660.0, 880.0])
POWERS = np.array([1.0, 0.5, 0.3, 0.1])
KINDS = [
    dict(p=1), dict(p=2), dict(p=1.5),
    dict(mass="partial", share=0.6), dict(mass="unbalanced", reach=300.0),
]  # fmt: skip


def lines(rng, *shape):
    """Frequencies some 3 % apart at least, in no order, and powers."""
    hz = 200.0 * 1.03 ** (np.arange(np.prod(shape)) + rng.uniform(0.1, 0.9, np.prod(shape)))
    return rng.permutation(hz).reshape(shape), positive(rng, shape)


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("p", [1, 2, 1.5])
def test_value_equals_the_loops(rng, axis, p):
    (x, u), (y, v) = lines(rng, 3, 7), lines(rng, 3, 4)
    u[1, 2:5] = 0
    expected = [line_transport(*row, axis, p) for row in zip(x, u, y, v, strict=True)]
    value = LineSOT(frequency_axis=axis, p=p)(x, u, y, v)[0]
    assert value == pytest.approx(np.mean(expected), rel=1e-9)
    assert LineSOT(frequency_axis=axis, p=p)(x[0], u[0], y[0], v[0])[0] == pytest.approx(
        expected[0], rel=1e-9
    )


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(map(str, kind.values())))
@pytest.mark.parametrize("axis", AXES)
def test_gradients_equal_finite_differences(rng, axis, kind):
    if "reach" in kind:
        kind = dict(kind, reach={"hz": 50.0, "log": 0.05, "mel": 40.0, "erb": 1.0}.get(axis, 300.0))
    loss = LineSOT(frequency_axis=axis, **kind)
    hz, _ = lines(rng, 3, 9)
    u, v = separate_levels(rng, 5, 4, (3,), gap=1e-2)
    x, y = hz[:, :5], hz[:, 5:]
    _, d_y, d_v = loss(x, u, y, v)
    check_elements(
        lambda y, v: loss(x, u, y, v)[0], [y, v], [d_y, d_v], 1.0, scales=[100.0, 1.0], step=1e-6
    )


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(map(str, kind.values())))
@pytest.mark.parametrize("inharmonicity", [0.0, 1e-3, np.array([0.0, 1e-3])])
def test_f0_enters_directly(rng, kind, inharmonicity):
    loss = LineSOT(**kind)
    f0_hz = np.array([217.0, 231.0])
    u, v = separate_levels(rng, 4, 5, (2,), gap=1e-2)
    target_hz = TARGET_HZ * np.array([[1.0, 1.01, 0.98, 1.03], [1.02, 1.0, 1.01, 0.97]])
    value, d_f0_hz, d_v = loss.harmonic(target_hz, u, f0_hz, v, inharmonicity=inharmonicity)
    each = np.broadcast_to(inharmonicity, 2)
    hz = np.array([harmonics(f, 5, b) for f, b in zip(f0_hz, each, strict=True)])
    assert value == pytest.approx(loss(target_hz, u, hz, v)[0], rel=1e-12)
    check_projected(
        lambda f, v: loss.harmonic(target_hz, u, f, v, inharmonicity=inharmonicity)[0],
        [f0_hz, v], [d_f0_hz, d_v], 1.0, rng=rng, scales=[10.0, 1.0], step=1e-6,
    )  # fmt: skip
    one = loss.harmonic(target_hz[0], u[0], 217.0, v[0], inharmonicity=each[0])
    assert isinstance(one[0], float) and np.shape(one[1]) == () and one[2].shape == (5,)
    assert float(one[1]) == pytest.approx(2 * d_f0_hz[0], rel=1e-12)


@pytest.mark.parametrize("cents", [-350.0, 1.0, 100.0])
def test_value_is_the_error_in_cents_and_its_slope_is_one(cents):
    f0_hz = 220.0 * 2 ** (cents / 1200)
    value, d_f0_hz, _ = LineSOT().harmonic(TARGET_HZ, POWERS, f0_hz, 7 * POWERS)
    assert value == pytest.approx(abs(cents), rel=1e-9)
    assert d_f0_hz * f0_hz * np.log(2) / 1200 == pytest.approx(np.sign(cents), rel=1e-12)
    square, d_f0_hz, _ = LineSOT(p=2).harmonic(TARGET_HZ, POWERS, f0_hz, POWERS)
    assert square == pytest.approx(cents**2, rel=1e-9)
    assert d_f0_hz * f0_hz * np.log(2) / 1200 == pytest.approx(2 * cents, rel=1e-9)


def test_wrong_timbre_moves_the_minimum_of_squares_by_the_mean_positions():
    """What docs/derivations/lines.md says; with p = 1 the minimum stays."""
    powers = np.array([1.0, 0.4, 0.25, 0.1])
    cents = np.arange(-300.0, 300.5, 0.5)
    f0_hz = 220.0 * 2 ** (cents / 1200)
    pitch = 1200 * np.log2(np.arange(1, 5))
    shift = pitch @ POWERS / POWERS.sum() - pitch @ powers / powers.sum()
    for p, expected in ((1, 0.0), (2, shift)):
        values = [LineSOT(p=p).harmonic(TARGET_HZ, POWERS, f, powers)[0] for f in f0_hz]
        assert cents[np.argmin(values)] == pytest.approx(expected, abs=0.25)
    assert abs(shift) > 20


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(map(str, kind.values())))
def test_lines_without_power_are_padding(rng, kind):
    loss = LineSOT(**kind)
    (x, u), (y, v) = lines(rng, 5), lines(rng, 4)
    plain = loss(x, u, y, v)
    more = (np.r_[0.0, x, -3.0, 5e4], np.r_[0, u, 0, 0], np.r_[y[:2], 0, y[2:], 9e3])
    value, d_hz, d_powers = loss(*more, np.r_[v[:2], 0, v[2:], 0])
    assert value == pytest.approx(plain[0], rel=1e-12)
    real = np.array([0, 1, 3, 4])
    np.testing.assert_allclose(d_hz[real], plain[1], rtol=1e-9)
    np.testing.assert_allclose(d_powers[real], plain[2], rtol=1e-9, atol=1e-9)
    assert not d_hz[[2, 5]].any() and not d_powers[[2, 5]].any()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(map(str, kind.values())))
def test_special_inputs_are_finite(kind):
    loss = LineSOT(**kind)
    for scale in (1e-12, 1.0, 1e6):
        u, v = scale * POWERS, scale * POWERS[::-1]
        results = [
            loss(TARGET_HZ, u, TARGET_HZ, v),
            loss(TARGET_HZ[:1], u[:1], TARGET_HZ[2:3], v[2:3]),
            loss(1e-12 * TARGET_HZ, u, 1e6 * TARGET_HZ, v),
        ]
        assert all(np.isfinite(part).all() for result in results for part in result)
        value, d_hz, d_powers = loss(TARGET_HZ, u, TARGET_HZ, u)
        assert value == 0 and not d_hz.any() and not d_powers.any()


def test_a_side_without_power_counts_nothing_but_stays_in_the_mean():
    powers = np.stack([POWERS, np.zeros(4)])
    hz = np.stack([TARGET_HZ, TARGET_HZ])
    one = LineSOT()(TARGET_HZ, POWERS, 1.1 * TARGET_HZ, POWERS)
    for u, v in ((powers, np.ones_like(powers) * POWERS), (np.ones_like(powers) * POWERS, powers)):
        value, d_hz, d_powers = LineSOT()(hz, u, 1.1 * hz, v)
        assert value == pytest.approx(one[0] / 2, rel=1e-12)
        np.testing.assert_allclose(d_hz[0], one[1] / 2)
        assert not d_hz[1].any() and not d_powers[1].any()


def test_unbalanced_mass_hears_the_level_and_silence_costs_the_reach():
    loss = LineSOT(mass="unbalanced", reach=300.0)
    silent = np.zeros(4)
    value, d_hz, d_powers = loss(TARGET_HZ, POWERS, TARGET_HZ, silent)
    assert value == pytest.approx(300) and not d_hz.any() and not d_powers.any()
    value, d_hz, d_powers = loss(TARGET_HZ, silent, TARGET_HZ, POWERS)
    assert value == 0 and not d_hz.any() and not d_powers.any()
    assert loss(TARGET_HZ, POWERS, TARGET_HZ, 2 * POWERS)[0] > 10
    assert (loss(TARGET_HZ, POWERS, TARGET_HZ, 2 * POWERS)[2] > 0).all()


def test_float32_stays_float32_and_nothing_is_written_to(rng):
    (x, u), (y, v) = lines(rng, 2, 6), lines(rng, 2, 6)
    inputs = [a.astype(np.float32) for a in (x, u, y, v)]
    copies = [a.copy() for a in inputs]
    _, d_hz, d_powers = LineSOT()(*inputs)
    assert (d_hz.dtype, d_powers.dtype) == (np.float32, np.float32)
    expected = LineSOT()(*(a.astype(np.float64) for a in inputs))
    np.testing.assert_allclose(d_hz, expected[1], rtol=1e-6)
    _, d_f0_hz, d_powers = LineSOT().harmonic(
        inputs[0], inputs[1], np.float32([200, 210]), inputs[3]
    )
    assert (d_f0_hz.dtype, d_powers.dtype) == (np.float32, np.float32)
    for array, copy in zip(inputs, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_threads_do_not_change_a_bit(rng, with_threads):
    args = (*lines(rng, 40, 6), *lines(rng, 40, 5))
    one, two = (with_threads(n, LineSOT(), *args) for n in (1, 2))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(frequency_axis="linear"), "frequency_axis must be one of 'cents', .* got 'linear'"),
        (dict(mass="cutoff"), "mass must be one of 'balanced', .* got 'cutoff'"),
        (dict(p=0.5), "p must be at least 1, got 0.5"),
        (dict(share=0.5), "share"),
        (dict(reach=50.0), "reach"),
        (dict(mass="partial"), "share"),
        (dict(mass="unbalanced"), "reach"),
        (dict(mass="partial", share=0.5, p=2), "p must be 1 with mass 'partial', got 2"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ParameterError, match=message):
        LineSOT(**options)


def test_wrong_arguments_are_named():
    loss, good = LineSOT(), (TARGET_HZ, POWERS)
    for args, message in (
        ((*good, TARGET_HZ, POWERS[:3]), r"estimate_powers must have shape \(4,\), got \(3,\)"),
        ((TARGET_HZ, -POWERS, *good), "target_powers must not be negative, got -1"),
        ((*good, TARGET_HZ - 220, POWERS), "estimate_hz must be above 0 where .* is, got 0"),
        ((*good, TARGET_HZ[None], POWERS[None]), r"estimate_hz must have .* batch axis \(\), got"),
        ((TARGET_HZ * np.nan, POWERS, *good), "target_hz must be finite, got nan"),
    ):
        with pytest.raises(ParameterError, match=message):
            loss(*args)
    for args, message in (
        ((*good, 0.0, POWERS), "f0_hz must be above 0, got 0"),
        ((*good, 220.0, POWERS[None]), "powers must have 1 dimension"),
        ((*good, [220.0], POWERS[None]), r"f0_hz must have the target's batch axis \(\), got"),
    ):
        with pytest.raises(ParameterError, match=message):
            loss.harmonic(*args)
    for bend, message in (
        (-1e-4, "inharmonicity must be at least 0, got -0.0001"),
        ([1e-4], r"inharmonicity must have shape \(\), got \(1,\)"),
    ):
        with pytest.raises(ParameterError, match=message):
            loss.harmonic(*good, 220.0, POWERS, inharmonicity=bend)
    with pytest.raises(ParameterError, match=r"powers must have shape \(2, H\), got \(3, 4\)"):
        loss.harmonic(*good, [220.0, 220.0], np.ones((3, 4)))
